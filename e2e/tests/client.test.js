// The stock PocketBase client against the real binary: with a publishable key,
// a secret key and none, everything an app does.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { EventSource } from 'eventsource'
import PocketBase from 'pocketbase'
import { email, password, Server, until } from '../server.js'

globalThis.EventSource = EventSource // Node has none

let server

function client(key) {
  const pb = new PocketBase(server.url)
  pb.autoCancellation(false)
  if (key) {
    pb.beforeSend = (url, options) => {
      options.headers = { ...options.headers, 'X-API-Key': key }
      return { url, options }
    }
  }
  return pb
}

before(async () => {
  server = await Server.start()
  const root = client()
  await root.collection('_superusers').authWithPassword(email, password)
  await root.settings.update({ batch: { enabled: true } })
  const users = await root.collections.getOne('users')
  const posts = await root.collections.create({
    name: 'posts',
    type: 'base',
    listRule: '', // everybody reads
    viewRule: '',
    createRule: '@request.auth.id != "" && author = @request.auth.id',
    updateRule: 'author = @request.auth.id',
    deleteRule: 'author = @request.auth.id',
    fields: [
      { name: 'title', type: 'text', required: true },
      { name: 'author', type: 'relation', collectionId: users.id, maxSelect: 1 },
      { name: 'cover', type: 'file', maxSelect: 1 },
    ],
  })
  await root.collections.create({
    name: 'comments',
    type: 'base',
    listRule: '',
    viewRule: '',
    fields: [
      { name: 'text', type: 'text' },
      { name: 'post', type: 'relation', collectionId: posts.id, maxSelect: 1 },
    ],
  })
  await root.collections.create({ name: 'locked', type: 'base', fields: [{ name: 'note', type: 'text' }] })
})

after(() => server?.close())

async function refused(promise, status, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, status, error.message)
    if (code) assert.equal(error.response.error.code, code)
    return true
  })
}

describe('with a publishable key', () => {
  let pb
  let me
  before(async () => {
    pb = client(server.publishable)
    me = await pb.collection('users').create({ email: 'ann@example.com', password: 'correct horse', passwordConfirm: 'correct horse', name: 'Ann' })
    await pb.collection('users').authWithPassword('ann@example.com', 'correct horse')
  })

  test('a wrong password is refused in both error shapes', async () => {
    const stranger = client(server.publishable)
    await refused(stranger.collection('users').authWithPassword('ann@example.com', 'wrong'), 400, 'bad_request')
  })

  test('create, read, update, list, filter, expand, delete', async () => {
    const post = await pb.collection('posts').create({ title: 'first', author: me.id })
    assert.equal((await pb.collection('posts').getOne(post.id)).title, 'first')
    await pb.collection('posts').update(post.id, { title: 'second' })
    await pb.collection('posts').create({ title: 'other', author: me.id })
    const page = await pb.collection('posts').getList(1, 10, { filter: pb.filter('title = {:t}', { t: 'second' }), expand: 'author' })
    assert.equal(page.totalItems, 1)
    assert.equal(page.items[0].expand.author.id, me.id)
    await pb.collection('posts').delete(post.id)
    await refused(pb.collection('posts').getOne(post.id), 404, 'not_found')
  })

  test('rules hold: no post in another name, no locked collection', async () => {
    await refused(pb.collection('posts').create({ title: 'x', author: '' }), 400)
    await refused(pb.collection('locked').getList(), 403, 'forbidden')
    await refused(pb.collections.getFullList(), 403)
  })

  test('a missing field is named', async () => {
    await assert.rejects(pb.collection('posts').create({ title: '', author: me.id }), (error) => {
      assert.equal(error.response.error.code, 'validation_failed')
      assert.ok(error.response.data.title, 'PocketBase clients look into data')
      assert.ok(error.response.error.details.title)
      return true
    })
  })

  test('files: upload, then read without a key', async () => {
    const content = 'x'.repeat(100_000)
    const post = await pb.collection('posts').create({ title: 'with file', author: me.id, cover: new File([content], 'cover.txt') })
    const response = await fetch(pb.files.getURL(post, post.cover))
    assert.equal(response.status, 200)
    assert.equal(await response.text(), content)
  })

  test('batch', async () => {
    const batch = pb.createBatch()
    batch.collection('posts').create({ title: 'one', author: me.id })
    batch.collection('posts').create({ title: 'two', author: me.id })
    const results = await batch.send()
    assert.deepEqual(results.map((r) => r.status), [200, 200])
    const broken = pb.createBatch()
    broken.collection('posts').create({ title: 'three', author: me.id })
    broken.collection('posts').create({ title: '', author: me.id })
    await refused(broken.send(), 400)
    assert.equal((await pb.collection('posts').getList(1, 1, { filter: 'title = "three"' })).totalItems, 0)
  })

  test('realtime', async () => {
    const events = []
    await pb.collection('posts').subscribe('*', (event) => events.push(event))
    const post = await pb.collection('posts').create({ title: 'live', author: me.id })
    await until('the event', () => events.find((e) => e.action === 'create' && e.record.id === post.id))
    pb.realtime.disconnect()
  })
})

describe('with a secret key', () => {
  let pb
  before(() => (pb = client(server.secret)))

  test('reads and writes past the rules', async () => {
    const note = await pb.collection('locked').create({ note: 'server side' })
    await pb.collection('locked').update(note.id, { note: 'changed' })
    assert.equal((await pb.collection('locked').getFullList()).length, 1)
    await pb.collection('locked').delete(note.id)
  })

  test('expands, filters and batches past the rules', async () => {
    const author = await pb.collection('users').getFirstListItem('email = "ann@example.com"')
    const post = await pb.collection('posts').create({ title: 'by the server', author: author.id })
    await pb.collection('comments').create({ text: 'hm', post: post.id })
    const found = await pb.collection('comments').getFirstListItem(`post.author.email = "ann@example.com"`, { expand: 'post.author' })
    assert.equal(found.expand.post.expand.author.email, 'ann@example.com')
    const batch = pb.createBatch()
    batch.collection('locked').create({ note: 'a' })
    batch.collection('comments').upsert({ id: found.id, text: 'upserted' })
    assert.deepEqual((await batch.send()).map((r) => r.status), [200, 200])
  })

  test('sees locked collections live', async () => {
    const events = []
    await pb.collection('locked').subscribe('*', (event) => events.push(event))
    const note = await pb.collection('locked').create({ note: 'live' })
    await until('the event', () => events.find((e) => e.record.id === note.id))
    pb.realtime.disconnect()
  })

  test('never reaches superusers, impersonation, SQL or the schema without its scope', async () => {
    await refused(pb.collection('_superusers').getFullList(), 403, 'api_key_not_allowed')
    await refused(pb.send('/api/collections/users/impersonate/anyone', { method: 'POST' }), 403, 'api_key_not_allowed')
    await refused(pb.send('/api/sql', { method: 'POST', body: { query: 'SELECT 1' } }), 403, 'api_key_not_allowed')
    await refused(pb.collections.getFullList(), 403, 'api_key_scope_required')
  })
})

describe('without a key', () => {
  test('an app is told what is missing', async () => {
    await refused(client().collection('posts').getList(), 401, 'api_key_required')
    await refused(client().collection('users').authWithPassword('ann@example.com', 'correct horse'), 401, 'api_key_required')
  })

  test('a superuser needs none', async () => {
    const root = client()
    await root.collection('_superusers').authWithPassword(email, password)
    assert.ok((await root.collections.getFullList()).length > 3)
  })

  test('the gate can be opened', async () => {
    const root = client()
    await root.collection('_superusers').authWithPassword(email, password)
    await root.send('/api/v1/settings', { method: 'PATCH', body: { apiKeys: { required: false } } })
    assert.ok((await client().collection('posts').getList()).totalItems > 0)
    await root.send('/api/v1/settings', { method: 'PATCH', body: { apiKeys: { required: true } } })
    await refused(client().collection('posts').getList(), 401, 'api_key_required')
  })
})

test('a revoked key ends the live connection of a stock client', async () => {
  const root = client()
  await root.collection('_superusers').authWithPassword(email, password)
  const created = await root.send('/api/v1/keys', { method: 'POST', body: { kind: 'publishable', label: 'short-lived' } })
  const pb = client(created.key)
  await pb.collection('posts').subscribe('*', () => {})
  let disconnected = false
  pb.realtime.onDisconnect = () => (disconnected = true)
  await root.send(`/api/v1/keys/${created.id}`, { method: 'DELETE' })
  await until('the disconnect', () => disconnected || !pb.realtime.isConnected)
  await refused(pb.collection('posts').getList(), 401, 'api_key_revoked')
  pb.realtime.disconnect() // it would try for ever
})
