// Encryption, and that no credential is ever told.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { addFile, addNote, allNotes, assertDrill, assertRefused, download, post, replicated, servers } from '../backups.js'
import { S3, skip } from '../s3.js'
import { picobase, until } from '../server.js'

const newKey = () => randomBytes(32).toString('hex')
const plaintext = 'the quick brown fox jumps over the lazy dog'

describe('encryption', { skip }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  const kinds = { 'openssl rand -hex 32': async () => newKey(), keygen: async () => (await picobase(['backups', 'keygen'])).stdout.trim() }
  for (const [kind, makeKey] of Object.entries(kinds)) {
    test(`nothing in the bucket can be read without the key (${kind}), everything is restored with it`, async (t) => {
      const { start } = servers(t)
      const prefix = `sealed-${kind.replaceAll(' ', '-')}`
      const env = { ...s3.env(prefix), PICOBASE_ENCRYPTION_KEY: await makeKey() }
      let server = await start({ env })
      const note = await addNote(server, { body: plaintext })
      const file = await addFile(server, `${plaintext.replaceAll(' ', '_')}.txt`, plaintext)
      const snapshot = await post(server, '/api/v1/backups', { label: plaintext })
      await replicated(server)
      await assertDrill(server)
      await server.stop()

      const keys = await s3.keys(prefix)
      for (const kind of ['replica', 'backups', 'files', 'catalog', 'state']) assert.ok(keys.some((key) => key.startsWith(`${prefix}/${kind}/`)), `${kind}: ${keys}`)
      for (const key of keys) {
        const content = await readFile(s3.file(key))
        for (const text of [plaintext, 'root@example.com', 'SQLite format', 'tokenKey', 'PK\x03\x04']) {
          assert.ok(!content.includes(text), `${key} has ${JSON.stringify(text)}`)
        }
      }

      server = await start({ env })
      assert.equal((await allNotes(server)).get(note.id).body, plaintext)
      assert.equal(String(await download(server, file)), plaintext)
      assert.equal((await post(server, `/api/v1/backups/${snapshot.id}/verify`)).status, 'ok')
    })
  }

  test('a wrong key, a missing one and one for an unencrypted store: no start, on an empty folder and on an existing one', async (t) => {
    const { start, refused } = servers(t)
    const key = newKey()
    const folders = {}
    for (const [prefix, env] of [['with', { PICOBASE_ENCRYPTION_KEY: key }], ['without', {}]]) {
      const server = await start({ env: { ...s3.env(prefix), ...env } })
      await addNote(server)
      await server.stop()
      folders[prefix] = server.dir
    }
    const before = await s3.keys('')
    const cases = [
      ['a wrong key', 'with', { PICOBASE_ENCRYPTION_KEY: newKey() }],
      ['no key', 'with', {}],
      ['a key, unencrypted store', 'without', { PICOBASE_ENCRYPTION_KEY: key }],
    ]
    for (const [what, prefix, env] of cases) {
      for (const dir of [undefined, folders[prefix]]) {
        const result = await refused({ dir, env: { ...s3.env(prefix), ...env } })
        assertRefused(result, /PICOBASE_ENCRYPTION_KEY/)
        assert.ok(!result.output.includes(key), what)
      }
    }
    assert.deepEqual(await s3.keys(''), before, 'a refused start wrote to the bucket')
    await start({ dir: folders.with, env: { ...s3.env('with'), PICOBASE_ENCRYPTION_KEY: key } })

    for (const bad of ['short', 'AGE-SECRET-KEY-1NONSENSE']) {
      const result = await refused({ env: { ...s3.env('bad'), PICOBASE_ENCRYPTION_KEY: bad } })
      assertRefused(result, /PICOBASE_ENCRYPTION_KEY/)
      assert.ok(!result.output.includes(bad), result.output)
    }
  })

  test('a bucket that is named only half is no start', async (t) => {
    const { refused } = servers(t)
    const env = s3.env('half')
    for (const name of ['PICOBASE_S3_BUCKET', 'PICOBASE_S3_SECRET_ACCESS_KEY']) {
      const { [name]: _, ...rest } = env
      const result = await refused({ env: rest })
      assertRefused(result, new RegExp(name))
      assert.ok(!result.output.includes(s3.secretKey))
    }
    const wrong = await refused({ env: { ...env, PICOBASE_S3_SECRET_ACCESS_KEY: 'not-the-secret' } })
    assertRefused(wrong, /find out whether there is a replica/)
    assert.ok(!wrong.output.includes('not-the-secret'), wrong.output)
  })
})

test('credentials are never told, also while S3 fails', { skip }, async (t) => {
  const { start } = servers(t)
  const s3 = await S3.start()
  t.after(() => s3.close())
  const key = newKey()
  const env = { ...s3.env(), PICOBASE_ENCRYPTION_KEY: key }
  const server = await start({ env })
  const secrets = [s3.secretKey, s3.accessKey, key, key.toUpperCase(), 'AGE-SECRET-KEY']
  const told = async () => {
    const answers = [server.output]
    for (const [pathname, init] of [
      ['/api/v1/logs?perPage=500'], ['/api/logs?perPage=500'], ['/api/v1/health'], ['/metrics'], ['/api/v1/settings'], ['/api/settings'], ['/api/v1/audit?perPage=500'],
      ['/api/v1/backups'], ['/api/v1/backups/pitr'], ['/api/backups'], ['/api/v1/openapi.json'],
      ['/api/v1/backups', { method: 'POST' }], ['/api/v1/backups/drill', { method: 'POST' }], ['/api/v1/backups/nothere.zip'], ['/api/v1/backups/nothere.zip/restore', { method: 'POST' }],
    ]) {
      const answer = await server.fetch(pathname, { token: server.token, ...init })
      answers.push(`${init?.method ?? 'GET'} ${pathname}: ${answer.status} ${JSON.stringify([...answer.headers])} ${JSON.stringify(answer.body)}`)
    }
    return answers
  }
  const check = async (when) => {
    for (const answer of await told()) {
      for (const secret of secrets) assert.ok(!answer.includes(secret), `${when}: ${answer}`)
    }
  }
  await addNote(server)
  await check('S3 works')
  for (const fault of ['500', 'refuse']) {
    await s3.fault(fault)
    await addFile(server, 'a.txt', 'a')
    await until('failing replication', async () => /^picobase_replication_failing 1/m.test((await server.fetch('/metrics', { token: server.token })).body))
    await check(`S3: ${fault}`)
  }
  await s3.stop() // and with wrong credentials from now on
  s3.secretKey = `another-${s3.secretKey}`
  await s3.restart()
  await s3.fault(null)
  await until('failing replication', async () => /^picobase_replication_failing 1/m.test((await server.fetch('/metrics', { token: server.token })).body))
  await check('S3: wrong credentials')
  await server.stop()
  for (const secret of secrets) assert.ok(!server.output.includes(secret), server.output)
})
