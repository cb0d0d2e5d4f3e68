// Snapshots: zips that PocketBase opens, made, moved and restored through each
// of the APIs, by schedule, and killed in between.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addFile, addNote, allNotes, assertDrill, download, folders, get, makeKey, moment, post, replicated, restored, servers, startStock } from '../backups.js'
import { S3, skip } from '../s3.js'
import { picobase, until } from '../server.js'

const backupsOf = async (server) => (await get(server, '/api/v1/backups')).items

/** The bytes at a path that asks for a superuser. */
async function bytes(server, pathname, headers = {}) {
  const answer = await fetch(server.url + pathname, { headers: { Authorization: server.token, ...headers } })
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
}

function form(name, content) {
  const body = new FormData()
  body.set('file', new Blob([content], { type: 'application/zip' }), name)
  return body
}

const places = { S3: (s3, prefix) => (s3 ? s3.env(prefix) : null), 'the data folder': () => ({}) }

for (const [place, envOf] of Object.entries(places)) {
  describe(`snapshots in ${place}`, { skip: place === 'S3' && skip }, () => {
    let s3
    before(async () => (s3 = place === 'S3' ? await S3.start() : null))
    after(() => s3?.close())

    test('create, list, download in parts, verify, upload, restore, delete', async (t) => {
      const { start } = servers(t)
      const server = await start({ env: envOf(s3, 'api') })
      const note = await addNote(server)
      const made = await post(server, '/api/v1/backups', { label: 'by hand' })
      assert.deepEqual([made.kind, made.status, made.label], ['manual', 'ok', 'by hand'])
      assert.ok(made.verified)
      assert.deepEqual((await backupsOf(server)).map(({ id }) => id), [made.id])

      const url = `/api/v1/backups/${made.id}`
      const whole = await bytes(server, `${url}/download`)
      assert.equal(whole.bytes.length, made.size)
      assert.equal(createHash('sha256').update(whole.bytes).digest('hex'), made.sha256)
      assert.match(whole.headers.get('content-disposition'), new RegExp(made.id))
      const rest = await bytes(server, `${url}/download`, { Range: 'bytes=1000-', 'If-Range': whole.headers.get('etag') })
      assert.equal(rest.status, 206)
      assert.equal(rest.headers.get('content-range'), `bytes 1000-${made.size - 1}/${made.size}`)
      assert.ok(rest.bytes.equals(whole.bytes.subarray(1000)))
      assert.equal((await bytes(server, `${url}/download`, { Range: 'bytes=1000-', 'If-Range': '"another"' })).status, 200)

      const put = (id, body) => server.fetch(`/api/v1/backups/${id}`, { method: 'PUT', token: server.token, body })
      const uploaded = await put('from_elsewhere.zip', whole.bytes)
      assert.equal(uploaded.status, 201, JSON.stringify(uploaded.body))
      assert.deepEqual([uploaded.body.kind, uploaded.body.sha256], ['uploaded', made.sha256])
      assert.equal((await put('from_elsewhere.zip', whole.bytes)).body.error.code, 'backup_exists')
      const damaged = Buffer.from(whole.bytes)
      damaged[Math.floor(damaged.length / 2)] ^= 0x40
      for (const junk of [damaged, whole.bytes.subarray(0, 5000), 'no zip']) {
        const refused = await put('junk.zip', junk)
        assert.deepEqual([refused.status, refused.body.error?.code], [400, 'backup_invalid'])
      }
      assert.equal((await post(server, '/api/v1/backups/from_elsewhere.zip/verify')).status, 'ok')

      const later = await addNote(server)
      await restored(server, await post(server, '/api/v1/backups/from_elsewhere.zip/restore'))
      const notes = await allNotes(server)
      assert.ok(notes.has(note.id) && !notes.has(later.id))

      assert.equal((await server.fetch(url, { method: 'DELETE', token: server.token })).status, 204)
      assert.equal((await server.fetch(url, { token: server.token })).body.error.code, 'backup_not_found')
      assert.equal((await bytes(server, `${url}/download`)).status, 404)
      assert.deepEqual((await backupsOf(server)).map(({ kind }) => kind).sort(), ['before-restore', 'uploaded'])
    })

    test('the same by the command line', async (t) => {
      const { start } = servers(t)
      const server = await start({ env: envOf(s3, 'cli') })
      await addNote(server)
      const { key } = await makeKey(server, ['backups'])
      const run = async (...args) => {
        const result = await picobase(['backups', ...args, '--url', server.url, '--key', key])
        assert.equal(result.code, 0, result.stderr)
        return result.stdout
      }
      const id = (await run('create', '--label', 'by hand')).trim()
      assert.match(await run('list'), new RegExp(id))
      const file = path.join(path.dirname(await folders(t)()), 'there.zip')
      const whole = (await bytes(server, `/api/v1/backups/${id}/download`)).bytes
      await writeFile(`${file}.part`, whole.subarray(0, 3000))
      await run('download', id, '--output', file)
      assert.ok((await readFile(file)).equals(whole))
      await run('verify', id)
      await replicated(server)
      assert.match(await run('window'), /20\d\d-/)
      await run('delete', id, '--yes')
      // Only a superuser may bring a zip, since it brings superusers.
      const refused = await picobase(['backups', 'upload', file, '--url', server.url, '--key', key])
      assert.equal(refused.code, 4, refused.stderr)
      const local = await picobase(['backups', 'upload', file, '--dir', server.dir], { env: envOf(s3, 'cli') })
      assert.equal(local.code, 0, local.stderr)
      assert.match(await run('list'), /there\.zip/)
    })

    test("PocketBase's own page: list, create, download, upload, delete and restore, of the same backups", async (t) => {
      const { start } = servers(t)
      const server = await start({ env: envOf(s3, 'page') })
      const note = await addNote(server)
      const call = async (method, pathname, init = {}) => {
        const answer = await server.fetch(pathname, { method, token: server.token, ...init })
        assert.ok(answer.status < 300, `${method} ${pathname}: ${JSON.stringify(answer.body)}`)
        return answer.body
      }
      const keys = async () => (await call('GET', '/api/backups')).map(({ key }) => key).sort()
      await call('POST', '/api/backups', { json: { name: 'mine.zip' } })
      const other = await post(server, '/api/v1/backups')
      assert.deepEqual(await keys(), ['mine.zip', other.id].sort())
      assert.deepEqual((await backupsOf(server)).map(({ id }) => id).sort(), await keys())

      const { token } = await call('POST', '/api/files/token')
      const plain = await fetch(`${server.url}/api/backups/mine.zip?token=${token}`)
      assert.equal(plain.status, 200)
      const zip = Buffer.from(await plain.arrayBuffer())
      assert.equal(zip.subarray(0, 2).toString(), 'PK')
      assert.equal((await fetch(`${server.url}/api/backups/mine.zip?token=nonsense`)).status, 403)
      await call('POST', '/api/backups/upload', { body: form('back_again.zip', zip) })
      await call('DELETE', '/api/backups/mine.zip')
      assert.deepEqual(await keys(), ['back_again.zip', other.id].sort())

      const later = await addNote(server)
      await call('POST', '/api/backups/back_again.zip/restore')
      await until('the restore', async () => {
        const answer = await server.fetch(`/api/collections/notes/records/${later.id}`, { token: server.token }).catch(() => ({}))
        return answer.status === 404
      })
      assert.ok((await allNotes(server)).has(note.id))
      assert.equal((await get(server, '/api/v1/backups/pitr')).lastRestore.status, 'done')
      // And nobody else may.
      for (const [method, pathname] of [['GET', '/api/backups'], ['POST', '/api/backups'], ['DELETE', `/api/backups/${other.id}`], ['POST', `/api/backups/${other.id}/restore`]]) {
        assert.ok((await server.fetch(pathname, { method, key: server.publishable, ...(method === 'POST' && { json: {} }) })).status >= 401, `${method} ${pathname}`)
      }
    })

    test('stock PocketBase restores a zip: superuser, records and files are there', async (t) => {
      const { start } = servers(t)
      const server = await start({ env: envOf(s3, 'stock') })
      const note = await addFile(server, 'hello.txt', 'hello')
      const { id } = await post(server, '/api/v1/backups')
      const zip = (await bytes(server, `/api/v1/backups/${id}/download`)).bytes

      const stock = await startStock(t, await folders(t)())
      const uploaded = await stock.fetch('/api/backups/upload', { method: 'POST', token: stock.token, body: form(id, zip) })
      assert.equal(uploaded.status, 204, JSON.stringify(uploaded.body))
      assert.equal((await stock.fetch(`/api/backups/${id}/restore`, { method: 'POST', token: stock.token })).status, 204)
      // The superuser of the zip, whose token PicoBase made.
      stock.token = server.token
      const answer = await until('the restore', async () => {
        const answer = await stock.fetch(`/api/collections/notes/records/${note.id}`, { token: stock.token }).catch(() => ({}))
        return answer.status === 200 && answer.body
      })
      assert.equal(answer.file, note.file)
      assert.ok(await stock.superuserToken())
      assert.equal(String(await download(stock, note)), 'hello')
      assert.equal((await stock.fetch('/api/collections/notes/records', { token: stock.token, json: { n: 5 } })).status, 200)
    })

    // Needs a store that can be made slow.
    if (place === 'S3')
      test('killed while one is made: nothing half is left, and the next one works', async (t) => {
        const { start } = servers(t)
        const env = envOf(s3, 'killed')
        let server = await start({ env })
        await addNote(server)
        const whole = await post(server, '/api/v1/backups')
        const hangs = s3.hangAt(/^PUT \S+\/backups\/\S+zip/)
        server.fetch('/api/v1/backups', { method: 'POST', token: server.token }).catch(() => {}) // its end is that of the server
        await hangs
        await server.stop('SIGKILL')
        await s3.fault(null)
        server = await start({ dir: server.dir, env })
        await until('the leftovers to be gone', async () => (await backupsOf(server)).every(({ status }) => status !== 'creating'))
        const after = await post(server, '/api/v1/backups')
        const good = (await backupsOf(server)).filter(({ status }) => status === 'ok').map(({ id }) => id)
        assert.deepEqual(good.sort(), [whole.id, after.id].sort())
        for (const id of good) assert.equal((await post(server, `/api/v1/backups/${id}/verify`)).status, 'ok')
        assert.deepEqual((await s3.keys('killed/backups')).map((key) => path.basename(key)).sort(), good)
        await assertDrill(server)
      })
  })
}

describe('by schedule', { concurrency: true }, () => {
  const everySecond = (server) => post(server, '/api/v1/settings', { backups: { snapshots: { schedule: '@every 1s', keep: 2 } } }, { method: 'PATCH' })
  const scheduled = async (server) => (await backupsOf(server)).filter(({ kind, status }) => kind === 'scheduled' && status === 'ok')
  const withNote = (server, note) => until('a snapshot with the note', async () => (await scheduled(server)).some(({ at }) => new Date(at) >= new Date(note.created)))

  test('one is made when something changed, and old ones go', async (t) => {
    const server = await servers(t).start()
    await everySecond(server)
    const seen = new Set()
    for (let i = 0; i < 4; i++) {
      await withNote(server, await addNote(server))
      for (const { id } of await scheduled(server)) {
        assert.match(id, /^@auto_pb_backup_/)
        seen.add(id)
      }
    }
    assert.ok(seen.size >= 3, [...seen].join())
    await until('old ones to be gone', async () => (await scheduled(server)).length <= 2)
    const [newest] = await scheduled(server)
    assert.equal((await post(server, `/api/v1/backups/${newest.id}/verify`)).status, 'ok')
  })

  test('none is made when nothing changed', async (t) => {
    const server = await servers(t).start()
    await everySecond(server)
    await withNote(server, await addNote(server))
    await moment()
    const before = (await scheduled(server)).map(({ id }) => id)
    const begin = Date.now()
    await until('three more times of the schedule', () => Date.now() > begin + 3500)
    assert.deepEqual((await scheduled(server)).map(({ id }) => id), before)
  })
})

test("PocketBase's nightly job that keeps writers out is gone", async (t) => {
  const { start } = servers(t)
  const server = await start()
  const ids = (await get(server, '/api/crons')).map(({ id }) => id)
  assert.ok(ids.includes('picoDBOptimize'), ids.join())
  assert.ok(!ids.includes('__pbDBOptimize__'), ids.join())
  // What is in its place disturbs nothing.
  assert.equal((await server.fetch('/api/crons/picoDBOptimize', { method: 'POST', token: server.token })).status, 204)
  await addNote(server)
  await assertDrill(server)
})
