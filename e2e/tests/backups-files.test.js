// Uploaded files: in the bucket with the answer to the upload, and back from
// there when the folder is gone.

import assert from 'node:assert/strict'
import { readFile, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addFile, allNotes, download, get, post, replicated, restored, moment, servers } from '../backups.js'
import { crc32, deflateSync } from 'node:zlib'
import { S3, skip } from '../s3.js'
import { until } from '../server.js'

// A grey picture of 40 by 40 dots, for thumbnails.
const picture = (() => {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const length = Buffer.alloc(4)
    length.writeUInt32BE(data.length)
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  const header = Buffer.from([0, 0, 0, 40, 0, 0, 0, 40, 8, 0, 0, 0, 0])
  const rows = Buffer.alloc(40 * 41, 0x80)
  for (let y = 0; y < 40; y++) rows[y * 41] = 0
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])
})()

describe('uploaded files', { skip }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  const stored = (note) => s3.keys('files/files').then((keys) => keys.filter((key) => key.endsWith(`${note.id}/${note.file}`)))

  test('a file is in the bucket before its upload is answered; an empty folder serves it, and its thumbnails', async (t) => {
    const { start } = servers(t)
    const env = s3.env('files')
    let server = await start({ env })
    const notes = []
    for (let i = 0; i < 10; i++) {
      const note = await addFile(server, `file-${i}.bin`, `content ${i}`)
      assert.equal((await stored(note)).length, 1, `${note.file} is not in the bucket`)
      assert.equal(String(await readFile(s3.file((await stored(note))[0]))), `content ${i}`)
      notes.push(note)
    }
    const image = await addFile(server, 'picture.png', picture, 'image/png')
    await replicated(server)
    await server.stop('SIGKILL')

    server = await start({ env })
    for (const [i, note] of notes.entries()) assert.equal(String(await download(server, note)), `content ${i}`)
    assert.ok((await download(server, image)).equals(picture))
    const thumb = await download(server, image, '?thumb=10x10')
    assert.equal(thumb.subarray(1, 4).toString(), 'PNG')
    assert.ok(!thumb.equals(picture), 'the thumbnail is the picture itself')
  })

  test('the data folder loses its files: they are served all the same', async (t) => {
    const { start } = servers(t)
    const server = await start({ env: s3.env('files') })
    const note = await addFile(server, 'lost.txt', 'lost and found')
    await rename(path.join(server.dir, 'storage'), path.join(server.dir, '.gone'))
    assert.equal(String(await download(server, note)), 'lost and found')
    await server.stop()
  })

  for (const fault of ['refuse', 'hang']) {
    test(`S3 is away during an upload (${fault}): it is answered, and in the bucket once S3 is back`, async (t) => {
      const { start } = servers(t)
      const own = await S3.start()
      t.after(() => own.close())
      const env = own.env()
      let server = await start({ env })
      await addFile(server, 'before.txt', 'before')
      await own.fault(fault)
      const begin = Date.now()
      const note = await addFile(server, 'meanwhile.txt', 'meanwhile')
      const took = Date.now() - begin
      assert.ok(took < 12_000, `the upload took ${took} ms`)
      assert.equal(String(await download(server, note)), 'meanwhile')
      assert.equal((await get(server, '/api/v1/health')).checks.files.pending, 1)
      await own.fault(null)
      const key = await until('the upload', async () => (await own.keys('files')).find((key) => key.endsWith(note.file)), 30_000)
      await until('the whole file', async () => String(await readFile(own.file(key))) === 'meanwhile')
      await replicated(server)
      await server.stop('SIGKILL')
      server = await start({ env })
      assert.equal(String(await download(server, note)), 'meanwhile')
    })
  }

  test('killed with an upload pending: the next start brings it to the bucket', async (t) => {
    const { start } = servers(t)
    const own = await S3.start()
    t.after(() => own.close())
    let server = await start({ env: own.env() })
    await own.fault('refuse')
    const note = await addFile(server, 'pending.txt', 'pending')
    await server.stop('SIGKILL')
    await own.fault(null)
    server = await start({ dir: server.dir, env: own.env() })
    await until('the upload', async () => (await own.keys('files')).some((key) => key.endsWith(note.file)))
    assert.equal(String(await download(server, note)), 'pending')
  })

  test('a file whose record was deleted comes back with a restore to before', async (t) => {
    const { start } = servers(t)
    const env = s3.env('deleted')
    const server = await start({ env })
    const note = await addFile(server, 'gone.txt', 'gone')
    const at = await moment()
    assert.equal((await server.fetch(`/api/collections/notes/records/${note.id}`, { method: 'DELETE', token: server.token })).status, 204)
    await until('the file to be gone from the folder', () => stat(path.join(server.dir, 'storage', note.collectionId, note.id, note.file)).then(() => false, () => true))
    await replicated(server)
    await server.stop('SIGKILL')
    // Elsewhere, where the file never was.
    const elsewhere = await start({ env })
    assert.ok(!(await allNotes(elsewhere)).has(note.id))
    await restored(elsewhere, await post(elsewhere, '/api/v1/backups/pitr', { at }))
    assert.equal(String(await download(elsewhere, note)), 'gone')
  })
})
