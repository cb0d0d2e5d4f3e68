// A project that begins as a copy of another, and has nothing to do with it from then on.

import assert from 'node:assert/strict'
import { cp, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addFile, addNote, allNotes, assertDrill, assertHasAll, assertRefused, download, get, moment, post, replicated, servers, signIn } from '../backups.js'
import { S3, skip } from '../s3.js'
import { picobase, Server, until } from '../server.js'

/** What a branch must not let in, and what it must. */
async function assertSeparate(original, branch, file, content) {
  for (const key of [original.publishable, original.secret]) {
    assert.equal((await branch.fetch('/api/health', { key })).status, 401, 'a key of the original')
  }
  assert.ok(branch.publishable && branch.publishable !== original.publishable, 'it has keys of its own')
  const stranger = await branch.fetch('/api/collections/_superusers/records', { token: original.token })
  assert.notEqual(stranger.status, 200, "the original's superuser")
  const user = await branch.fetch('/api/collections/users/auth-refresh', { method: 'POST', key: branch.publishable, headers: { Authorization: original.user } })
  assert.notEqual(user.status, 200, "the original's user")
  // The same people, with their passwords; and what they get is of no use to the original.
  await signIn(branch)
  assert.equal((await original.fetch('/api/collections/_superusers/records', { token: branch.token })).status === 200, false)
  const again = await branch.fetch('/api/collections/users/auth-with-password', { key: branch.publishable, json: { identity: 'ann@example.com', password: 'correct horse' } })
  assert.equal(again.status, 200, JSON.stringify(again.body))
  assert.deepEqual(await download(branch, file), content)
}

/** An original with a note, a file, a user who is signed in, and a webhook to receiver. */
async function original(start, receiver, options) {
  const server = await start(options)
  server.notes = [await addNote(server, { body: 'first' })]
  server.content = Buffer.from('the bytes of a file')
  server.file = await addFile(server, 'a.txt', server.content, 'text/plain')
  await post(server, '/api/collections/users/records', { email: 'ann@example.com', password: 'correct horse', passwordConfirm: 'correct horse' })
  const answer = await server.fetch('/api/collections/users/auth-with-password', { key: server.publishable, json: { identity: 'ann@example.com', password: 'correct horse' } })
  server.user = answer.body.token
  await post(server, '/api/v1/settings', { webhooks: { allowedPrivateHosts: ['127.0.0.1'] } }, { method: 'PATCH' })
  await post(server, '/api/v1/webhooks', { url: receiver.url, events: ['user.created'] })
  return server
}

async function startReceiver(t) {
  const receiver = { got: 0 }
  const server = createServer((_request, response) => {
    receiver.got++
    response.end()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${server.address().port}/`
  t.after(() => server.close())
  return receiver
}

/** Starts a branch, which makes nothing by itself as startProject would. */
async function startBranch(t, env, options = {}) {
  const server = await Server.start({ env, ...options })
  t.after(() => server.close())
  return server
}

async function assertNoWebhook(branch, receiver) {
  const before = receiver.got
  await post(branch, '/api/collections/users/records', { email: 'bob@example.com', password: 'correct horse', passwordConfirm: 'correct horse' })
  const { items } = await get(branch, '/api/v1/webhooks')
  assert.deepEqual(items.map((w) => w.enabled), [false])
  assert.deepEqual((await get(branch, '/api/v1/webhooks/deliveries')).items, [])
  assert.equal(receiver.got, before)
}

describe('a branch in the same bucket', { skip, concurrency: true }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  for (const encrypted of [false, true]) {
    test(`of the latest${encrypted ? ', encrypted' : ''}`, async (t) => {
      const { start, refused } = servers(t)
      const receiver = await startReceiver(t)
      const key = {}
      if (encrypted) {
        const made = await picobase(['backups', 'keygen'])
        key.PICOBASE_ENCRYPTION_KEY = /AGE-SECRET-KEY[-\w]+/.exec(made.stdout)[0]
      }
      const first = await original(start, receiver, { env: { ...s3.env(`origin-${encrypted}`), ...key } })
      first.notes.push(await replicated(first))
      await until('the file', async () => (await get(first, '/api/v1/health')).checks.files.pending === 0)
      const env = { ...s3.env(`branch-${encrypted}`), ...key, PICOBASE_BRANCH_FROM: `origin-${encrypted}` }
      let branch = await startBranch(t, env)
      await assertSeparate(first, branch, first.file, first.content)
      await assertHasAll(branch, first.notes, 'the branch')
      await assertNoWebhook(branch, receiver)

      // Each goes its own way.
      const own = await addNote(branch, { body: 'of the branch' })
      await addNote(first, { body: 'of the original' })
      assert.equal((await allNotes(first)).has(own.id), false)
      await replicated(branch)
      await assertDrill(branch)
      await until('the files', async () => (await get(branch, '/api/v1/health')).checks.files.pending === 0)

      // A lost disk comes back from its own replica, not from the original.
      const keys = branch.publishable
      await branch.stop()
      await rm(branch.dir, { recursive: true })
      branch = await startBranch(t, env)
      assert.equal(branch.publishable, undefined, 'no new keys')
      assert.equal((await branch.fetch('/api/health', { key: keys })).status, 200)
      await signIn(branch)
      await assertHasAll(branch, [...first.notes, own], 'the branch from its own replica')
      assert.deepEqual(await download(branch, first.file), first.content)

      const wrong = await refused({ env: { ...s3.env(`typo-${encrypted}`), ...key, PICOBASE_BRANCH_FROM: 'no-such-project' } })
      assertRefused(wrong, /branch from no-such-project: there is no replica of a project/)
      const same = await refused({ env: { ...s3.env('same'), PICOBASE_BRANCH_FROM: 'same' } })
      assertRefused(same, /a branch needs a prefix of its own/)
    })
  }

  test('of a moment in the past', async (t) => {
    const { start, refused } = servers(t)
    const first = await original(start, await startReceiver(t), { env: s3.env('past') })
    const at = await moment()
    const later = await addNote(first, { body: 'later' })
    await post(first, `/api/collections/notes/records/${first.file.id}`, undefined, { method: 'DELETE' })
    await replicated(first)
    const env = { ...s3.env('past-branch'), PICOBASE_BRANCH_FROM: 'past/', PICOBASE_BRANCH_AT: at }

    const branch = await startBranch(t, env)
    await assertSeparate(first, branch, first.file, first.content)
    const notes = await allNotes(branch)
    assert.ok(notes.has(first.notes[0].id) && notes.has(first.file.id) && !notes.has(later.id), [...notes.keys()].join())

    const early = await refused({ env: { ...s3.env('early'), PICOBASE_BRANCH_FROM: 'past', PICOBASE_BRANCH_AT: '2001-01-01T00:00:00Z' } })
    assert.equal(early.code, 1)
    assert.match(early.output, /branch from past: /)
    assertRefused(await refused({ env: { ...s3.env('early'), PICOBASE_BRANCH_FROM: 'past', PICOBASE_BRANCH_AT: 'yesterday' } }), /PICOBASE_BRANCH_AT: "yesterday" is not a time/)
    assertRefused(await refused({ env: { ...s3.env('early'), PICOBASE_BRANCH_AT: at } }), /PICOBASE_BRANCH_AT is set and PICOBASE_BRANCH_FROM is not/)
  })
})

test('a branch that is killed on its way is no project yet, and is made by the next start', { skip }, async (t) => {
  const s3 = await S3.start()
  t.after(() => s3.close())
  const { start, launch } = servers(t)
  const first = await original(start, await startReceiver(t), { env: s3.env('killed') })
  first.notes.push(await replicated(first))
  await until('the file', async () => (await get(first, '/api/v1/health')).checks.files.pending === 0)
  await first.stop()
  const env = { ...s3.env('killed-branch'), PICOBASE_BRANCH_FROM: 'killed' }
  let dir
  for (const at of [/^GET \S+killed\/replica\S+\.ltx/, /^GET \S+killed\/files\/\w/]) {
    const hangs = s3.hangAt(at)
    const cut = await launch({ dir, env })
    dir = cut.dir
    await hangs
    await cut.stop('SIGKILL')
    await s3.fault(null)
    await assert.rejects(stat(path.join(dir, 'data.db')), /ENOENT/)
  }
  const branch = await startBranch(t, env, { dir, args: ['--take-over'], patience: 60_000 })
  await signIn(branch)
  await assertHasAll(branch, first.notes, 'the branch')
  assert.deepEqual(await download(branch, first.file), first.content)
  const left = await readdir(path.join(dir, 'storage'), { recursive: true })
  assert.deepEqual(left.filter((name) => name.includes('.branching-')), [])
})

test('a branch of a folder, while its server runs', async (t) => {
  const { start, refused } = servers(t)
  const receiver = await startReceiver(t)
  const first = await original(start, receiver)
  first.notes.push(await replicated(first))
  const branch = await startBranch(t, { PICOBASE_BRANCH_FROM: first.dir })
  await assertSeparate(first, branch, first.file, first.content)
  await assertHasAll(branch, first.notes, 'the branch')
  await assertNoWebhook(branch, receiver)
  await addNote(first, { body: 'the original goes on' })
  const own = await addNote(branch, { body: 'so does the branch' })
  await assertDrill(branch)

  // A folder with data of its own does not become a copy of anything.
  await branch.stop()
  const again = await Server.start({ dir: branch.dir, env: { PICOBASE_BRANCH_FROM: first.dir } })
  t.after(() => again.stop('SIGKILL'))
  await signIn(again)
  assert.ok((await allNotes(again)).has(own.id))

  // A copy of the store and the files is enough.
  const copy = path.join(path.dirname(first.dir), `${path.basename(first.dir)}-copy`)
  t.after(() => rm(copy, { recursive: true, force: true }))
  for (const part of ['.pico/store', 'storage']) await cp(path.join(first.dir, part), path.join(copy, part), { recursive: true })
  const second = await startBranch(t, { PICOBASE_BRANCH_FROM: copy })
  await assertSeparate(first, second, first.file, first.content)

  const empty = await refused({ env: { PICOBASE_BRANCH_FROM: path.join(copy, 'nowhere') } })
  assertRefused(empty, /branch from .*nowhere: there is no replica of a project/)
})
