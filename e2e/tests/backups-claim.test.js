// One writer at a time: who else starts on a replica or a folder is refused, and
// who was taken over notices.

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { addNote, assertHasAll, assertRefused, folders, get, post, replicated, servers, Writers } from '../backups.js'
import { S3, skip } from '../s3.js'
import { until } from '../server.js'

describe('two servers on one project', { skip, concurrency: true }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  for (const busy of [false, true]) {
    test(`the second one on a replica is refused while the first is ${busy ? 'writing' : 'idle'}`, async (t) => {
      const { start, refused } = servers(t)
      const env = s3.env(`second-${busy}`)
      const first = await start({ env })
      const acked = [await replicated(first)]
      const writers = busy ? new Writers(first, 2, 20) : null
      const result = await refused({ env })
      assertRefused(result, /another process writes to this replica/, new RegExp(`pid ${first.process.pid} on `), /--take-over/)
      assert.ok(result.ms < 15_000, `it took ${result.ms} ms`)
      acked.push(...((await writers?.stop()) ?? []), await addNote(first))
      await assertHasAll(first, acked, 'the first one')
      assert.deepEqual(writers?.refused ?? [], [])
      await replicated(first)
    })
  }

  test('the second one on a folder is refused at once', async (t) => {
    const { start, refused } = servers(t)
    const first = await start()
    const result = await refused({ dir: first.dir })
    assertRefused(result, /another server is running on the folder/)
    assert.ok(result.ms < 2000, `it took ${result.ms} ms`)
    await addNote(first)
  })

  test('a clean stop lets the next one start at once, elsewhere', async (t) => {
    const { start } = servers(t)
    const env = s3.env('clean')
    const first = await start({ env })
    const acked = [await addNote(first)]
    assert.deepEqual(await first.stop(), { code: 0, signal: null })
    const begin = Date.now()
    await assertHasAll(await start({ env }), acked, 'elsewhere')
    assert.ok(Date.now() - begin < 5000)
  })

  for (const how of ['lease', 'take-over']) {
    test(`a server that was stopped and taken over (${how}) refuses writes, and nothing of its successor is lost`, async (t) => {
      const { start } = servers(t)
      const env = s3.env(`frozen-${how}`)
      const first = await start({ env })
      const kept = [await replicated(first)]
      first.process.kill('SIGSTOP')
      // Without --take-over it waits until the lease has ended.
      const second = await start({ env, args: how === 'lease' ? [] : ['--take-over'] })
      kept.push(await addNote(second), await replicated(second))
      first.process.kill('SIGCONT')

      const refused = await until('the refusal', async () => {
        const answer = await first.fetch('/api/collections/notes/records', { token: first.token, json: { n: 1 } })
        return answer.status !== 200 && answer
      }, 5000)
      assert.equal(refused.status, 503)
      assert.equal(refused.body.error.code, 'replica_taken_over')
      const ready = await first.fetch('/api/v1/ready')
      assert.equal(ready.status, 503)
      assert.equal((await first.fetch('/api/v1/live')).status, 200)
      assert.equal((await first.fetch('/api/collections/notes/records', { token: first.token })).status, 200, 'reads go on')
      assert.match(await get(first, '/metrics'), /^picobase_replication_lost 1/m)
      const health = await first.fetch('/api/v1/health', { token: first.token })
      assert.equal(health.body.checks.replication.status, 'failing')

      kept.push(await replicated(second))
      await first.stop()
      await second.stop('SIGKILL')
      const third = await start({ env })
      await assertHasAll(third, kept, 'the third one')
      await third.stop()
      const back = await servers(t).refused({ dir: first.dir, env })
      assertRefused(back, /do not belong together/, /PICOBASE_S3_PREFIX/)
    })
  }
})

describe('a folder that does not belong to the replica', { skip }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  test('an older copy is refused, and harms nothing', async (t) => {
    const { start, refused } = servers(t)
    const env = s3.env('copy')
    let server = await start({ env })
    const acked = [await addNote(server)]
    await server.stop()
    const copy = await folders(t)()
    await cp(server.dir, copy, { recursive: true })
    server = await start({ dir: server.dir, env })
    acked.push(await addNote(server))
    await server.stop()
    assertRefused(await refused({ dir: copy, env }), /do not belong together/, /older copy/)
    await assertHasAll(await start({ dir: server.dir, env }), acked, 'the folder itself')
  })

  test('one of another project is refused; with a prefix of its own it is replicated', async (t) => {
    const { start, refused } = servers(t)
    const mine = await start({ env: s3.env('mine') })
    const acked = [await replicated(mine)]
    await mine.stop()
    let other = await start({ env: s3.env('other') })
    const others = [await replicated(other)]
    await other.stop()
    assertRefused(await refused({ dir: other.dir, env: s3.env('mine') }), /do not belong together/, /another folder/, /PICOBASE_S3_PREFIX/)

    const local = await start()
    await post(local, '/api/collections/notes/records', { n: 1 })
    await local.stop()
    assertRefused(await refused({ dir: local.dir, env: s3.env('mine') }), /another folder/)

    await assertHasAll(await start({ env: s3.env('mine') }), acked, 'mine, elsewhere')
    other = await start({ dir: other.dir, env: s3.env('others-new-home') })
    others.push(await replicated(other))
    await other.stop()
    await assertHasAll(await start({ env: s3.env('others-new-home') }), others, 'the other, elsewhere')
  })
})
