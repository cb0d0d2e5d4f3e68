// The replica in the bucket: what was acknowledged survives kills, and the store
// being away.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, writeFile, rm, stat, truncate, readFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { allNotes, assertDrill, assertHasAll, assertRefused, folders, get, replicated, servers, startProject, addNote, Writers } from '../backups.js'
import { S3, skip } from '../s3.js'
import { binary, cleanEnv, until } from '../server.js'

const rounds = Number(process.env.PICOBASE_E2E_ROUNDS || 4)

// How old a write may be that a restore elsewhere does not have.
const allowedLoss = 1000

describe('kills', { skip }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  test(`kill -9 under full load, ${rounds} times, loses nothing that was acknowledged`, async (t) => {
    const { start } = servers(t)
    let server = await start({ env: s3.env('kills') })
    const { dir } = server
    const acked = []
    let worst = 0
    for (let round = 1; round <= rounds; round++) {
      const writers = new Writers(server)
      await writers.more(300 + Math.floor(Math.random() * 700))
      const killed = Date.now()
      await server.stop('SIGKILL')
      acked.push(...(await writers.stop()))
      assert.deepEqual(writers.refused, [])

      const prefix = `kills-${round}`
      await s3.copy('kills', prefix)
      const elsewhere = await start({ env: s3.env(prefix) })
      const there = await allNotes(elsewhere)
      for (const { id, at } of acked) {
        if (there.has(id)) continue
        worst = Math.max(worst, killed - at)
        assert.ok(killed - at <= allowedLoss, `round ${round}: a row is lost elsewhere that was acknowledged ${killed - at} ms before the kill`)
      }
      await assertDrill(elsewhere)
      await elsewhere.close()

      server = await start({ dir, env: s3.env('kills') })
      await assertHasAll(server, acked, `round ${round}, the same folder`)
    }
    await assertDrill(server)
    t.diagnostic(`${acked.length} rows acknowledged; the oldest one lost elsewhere was acknowledged ${worst} ms before its kill`)
  })

  test('restored, written to, killed, restored again: nothing of either life is lost', async (t) => {
    const { start } = servers(t)
    const env = s3.env('lives')
    const acked = []
    let server = await start({ env })
    for (let life = 1; life <= 3; life++) {
      const writers = new Writers(server, 2)
      await writers.more(100)
      acked.push(...(await writers.stop()))
      acked.push(await replicated(server))
      await server.stop('SIGKILL')
      server = await start({ env })
      await assertHasAll(server, acked, `after life ${life}`)
    }
    await assertDrill(server)
  })

  test('killed during the first restore, the next start restores', async (t) => {
    const { start, launch } = servers(t)
    const slow = await S3.start()
    t.after(() => slow.close())
    let server = await start({ env: slow.env() })
    const writers = new Writers(server, 2)
    await writers.more(200)
    const acked = await writers.stop()
    assert.deepEqual(await server.stop(), { code: 0, signal: null })

    const hangs = slow.hangAt(/^GET \S+\.ltx/)
    server = await launch({ env: slow.env() })
    await hangs
    const answer = await until('an answer of the probes', () => server.fetch('/api/v1/ready').catch(() => null))
    assert.equal(answer.status, 503)
    assert.equal(answer.body.error.code, 'restoring')
    assert.equal((await server.fetch('/api/v1/live')).status, 200)
    await server.stop('SIGKILL')
    await slow.fault(null)
    server = await start({ dir: server.dir, env: slow.env() })
    await assertHasAll(server, acked, 'after the second start')
    await replicated(server)
  })

  test('killed right behind the first restore, the next start goes on', async (t) => {
    const { start, launch } = servers(t)
    const env = s3.env('behind')
    let server = await start({ env })
    const acked = [await addNote(server), await replicated(server)]
    await server.stop()
    server = await launch({ env })
    await until('the restored database', () => stat(path.join(server.dir, 'data.db')).catch(() => null))
    await server.stop('SIGKILL')
    server = await start({ dir: server.dir, env })
    await assertHasAll(server, acked, 'after the second start')
    await assertDrill(server)
  })

  test('the stock litestream command restores the replica, and its file opens without S3', async (t) => {
    const { start } = servers(t)
    let server = await start({ env: s3.env('some/prefix') })
    const writers = new Writers(server, 2)
    await writers.more(200)
    const acked = await writers.stop()
    await replicated(server)
    await server.stop('SIGKILL')

    const dir = await folders(t)()
    await mkdir(dir)
    await promisify(execFile)(
      path.resolve(binary, '../litestream-v0.5.18'),
      ['restore', '-o', path.join(dir, 'data.db'), `s3://${s3.bucket}/some/prefix/replica/data.db?endpoint=${s3.endpoint}&region=${s3.region}&forcePathStyle=true`],
      { env: cleanEnv({ AWS_ACCESS_KEY_ID: s3.accessKey, AWS_SECRET_ACCESS_KEY: s3.secretKey }) },
    )
    server = await start({ dir })
    await assertHasAll(server, acked, 'by litestream')
    await assertDrill(server)
  })
})

// Each has its own S3, and mostly waits: they run beside each other.
describe('the store is away', { skip, concurrency: true }, () => {
  const outage = 21_000

  const breaks = {
    'is stopped': [(s3) => s3.stop(), (s3) => s3.restart()],
    'answers 500': [(s3) => s3.fault('500'), (s3) => s3.fault(null)],
    'never answers': [(s3) => s3.fault('mute'), (s3) => s3.fault(null)],
    hangs: [(s3) => s3.fault('hang'), (s3) => s3.fault(null)],
  }
  for (const [kind, [breakIt, mend]] of Object.entries(breaks)) {
    test(`S3 ${kind} for 21 s under writes: they are answered, the lag is told, then all is there`, async (t) => {
      const { start } = servers(t)
      const s3 = await S3.start()
      t.after(() => s3.close())
      const server = await start({ env: s3.env() })
      const writers = new Writers(server, 2, 30)
      await writers.more(20)
      await replicated(server)
      const begin = Date.now()
      await breakIt(s3)

      let grew = 0
      let last = 0
      let degraded = null
      await until('21 s of outage', async () => {
        const { status, checks } = await get(server, '/api/v1/health')
        if (checks.replication.lagSeconds > last) grew++
        last = checks.replication.lagSeconds
        if (checks.replication.status === 'degraded') degraded = status
        return Date.now() - begin > outage
      }, outage + 5000)
      assert.equal(degraded, 'degraded')
      assert.ok(grew > 5 && last > 15, `the lag grew ${grew} times, to ${last} s`)
      const metrics = await get(server, '/metrics')
      const lag = Number(/^picobase_replication_lag_seconds (\S+)/m.exec(metrics)[1])
      assert.ok(lag >= last, `the metrics say ${lag} s, health ${last} s`)
      assert.match(metrics, /^picobase_replication_pending_bytes [1-9]/m)
      // A store that hangs has not failed yet.
      if (kind !== 'hangs') assert.match(metrics, /^picobase_replication_failing 1/m)

      await mend(s3)
      const mended = Date.now()
      await until('the lag to end', async () => {
        const { checks } = await get(server, '/api/v1/health')
        return checks.replication.lagSeconds < 1.5
      }, 8000)
      const acked = await writers.stop()
      await replicated(server, mended + 8000 - Date.now())
      assert.deepEqual(writers.refused, [])
      assert.ok(writers.slowest < 1500, `a write took ${writers.slowest} ms`)
      assert.equal((await get(server, '/api/v1/health')).checks.replication.status, 'ok')

      await server.stop('SIGKILL')
      const elsewhere = await start({ env: s3.env() })
      await assertHasAll(elsewhere, acked, 'elsewhere')
      t.diagnostic(`${acked.length} writes, the slowest took ${writers.slowest} ms`)
    })
  }

  for (const fault of ['refuse', '500', 'hang']) {
    test(`a start while S3 is away (${fault}): a folder with data serves and catches up, an empty one does not start`, async (t) => {
      const { start, launch } = servers(t)
      const s3 = await S3.start()
      t.after(() => s3.close())
      let server = await start({ env: s3.env() })
      const acked = [await addNote(server)]
      await server.stop()
      await s3.fault(fault)

      const empty = await launch({ env: s3.env() })
      // A store that hangs is waited for, but not for ever.
      server = await start({ dir: server.dir, env: s3.env(), patience: 30_000 })
      await assertHasAll(server, acked, 'while S3 is away')
      acked.push(await addNote(server))
      if (fault === 'hang') {
        assert.equal((await empty.fetch('/api/v1/ready')).body.error.code, 'restoring')
      } else {
        const exit = await empty.exited
        assertRefused({ ...exit, output: empty.output }, /find out whether there is a replica to restore/)
      }
      await assert.rejects(stat(path.join(empty.dir, 'data.db')), /ENOENT/)
      await empty.stop('SIGKILL')

      await s3.fault(null)
      await replicated(server)
      await server.stop('SIGKILL')
      await assertHasAll(await start({ env: s3.env() }), acked, 'elsewhere')
    })
  }
})

describe('a damaged replica', { skip }, () => {
  let s3
  let objects
  before(async () => {
    s3 = await S3.start()
    const server = await startProject({ env: s3.env('good') })
    try {
      for (let i = 0; i < 5; i++) {
        await replicated(server)
      }
      await server.stop()
    } finally {
      await server.close()
    }
    objects = (await s3.keys('good/replica/data.db')).map((key) => key.slice('good/'.length))
    assert.ok(objects.length > 5, objects.join())
  })
  after(() => s3?.close())

  const damages = {
    'a byte is flipped in its middle': async (file) => {
      const bytes = await readFile(file)
      bytes[Math.floor(bytes.length / 2)] ^= 0x40
      await writeFile(file, bytes)
    },
    'it is cut short': async (file) => truncate(file, Math.floor((await readFile(file)).length / 2)),
    'it is missing': (file) => rm(file),
  }
  for (const [what, damage] of Object.entries(damages)) {
    for (const which of ['first', 'middle']) {
      test(`${which} file, ${what}: an empty folder does not start`, async (t) => {
        const { refused } = servers(t)
        const prefix = `${which} ${what}`.replaceAll(' ', '-')
        await s3.copy('good', prefix)
        await damage(s3.file(path.join(prefix, objects[which === 'first' ? 0 : Math.floor(objects.length / 2)])))
        const result = await refused({ env: s3.env(prefix) })
        assertRefused(result, /restore from the replica|replica is not whole/)
      })
    }
  }
})
