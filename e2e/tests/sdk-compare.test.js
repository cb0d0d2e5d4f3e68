// The same calls through the stock client and through the one that @picobase/client
// wraps: PocketBase's own behaviour must stay.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { EventSource } from 'eventsource'
import PocketBase, { ClientResponseError } from 'pocketbase'
import { createClient, PicoBaseError } from '../../packages/client/dist/index.js'
import { until } from '../server.js'
import { targets } from '../targets.js'

// Each gets the client and what the call before it has returned, for its own records.
const calls = {
  health: (pb) => pb.health.check(),
  create: (pb) => pb.collection('posts').create({ title: 'one', n: 1 }),
  'create with a file': (pb) => pb.collection('posts').create({ title: 'file', files: [new File(['x'], 'x.txt')] }),
  'create with FormData': (pb) => {
    const form = new FormData()
    form.append('title', 'form')
    form.append('n', '7')
    return pb.collection('posts').create(form)
  },
  'create, refused': (pb) => pb.collection('posts').create({ n: 1 }),
  list: (pb) => pb.collection('posts').getList(1, 2, { sort: 'n', filter: pb.filter('title = {:t}', { t: 'one' }) }),
  'list, with a wrong filter': (pb) => pb.collection('posts').getList(1, 2, { filter: 'nope = 1' }),
  'full list': (pb) => pb.collection('posts').getFullList(),
  'full list, sorted, in batches': (pb) => pb.collection('posts').getFullList({ sort: '-title,n', batch: 2 }),
  'full list, of some fields': (pb) => pb.collection('posts').getFullList({ fields: 'title', sort: 'title', batch: 2 }),
  'first of a filter': (pb) => pb.collection('posts').getFirstListItem('n > 0'),
  'none of a filter': (pb) => pb.collection('posts').getFirstListItem('n > 100'),
  'one that is not there': (pb) => pb.collection('posts').getOne('missing'),
  'one without an id': (pb) => pb.collection('posts').getOne(''),
  update: async (pb) => pb.collection('posts').update((await pb.collection('posts').getFirstListItem('n = 1')).id, { 'n+': 4 }),
  delete: async (pb) => pb.collection('posts').delete((await pb.collection('posts').create({ title: 'gone' })).id),
  batch: async (pb) => {
    const batch = pb.createBatch()
    batch.collection('posts').create({ title: 'b1' })
    batch.collection('posts').upsert({ id: 'batchbatchbatch', title: 'b2' })
    batch.collection('posts').delete('batchbatchbatch')
    return batch.send()
  },
  'batch, refused as a whole': (pb) => {
    const batch = pb.createBatch()
    batch.collection('posts').create({ title: 'b3' })
    batch.collection('posts').create({})
    return batch.send()
  },
  'sign up': (pb) => pb.collection('users').create({ email: 'same@example.com', password: 'correct horse', passwordConfirm: 'correct horse' }),
  'sign in, wrong': (pb) => pb.collection('users').authWithPassword('same@example.com', 'wrong'),
  'sign in': async (pb) => (await pb.collection('users').authWithPassword('same@example.com', 'correct horse')).record,
  'who is signed in': (pb) => [pb.authStore.isValid, pb.authStore.record.email],
  refresh: async (pb) => (await pb.collection('users').authRefresh()).record,
  'auth methods': (pb) => pb.collection('users').listAuthMethods(),
  'file URL': async (pb) => pb.files.getURL(await pb.collection('posts').getFirstListItem('title = "file"'), 'x.txt', { thumb: '1x1' }).replace(/\/\w{15}\//, '/ID/'),
  'file token': async (pb) => typeof (await pb.files.getToken()),
  'what needs a superuser': (pb) => pb.collections.getList(),
  realtime: async (pb) => {
    const seen = []
    const stop = await pb.collection('posts').subscribe('*', ({ action, record }) => seen.push(action + ' ' + record.title))
    await pb.collection('posts').create({ title: 'live' })
    await until('the change', () => seen.length)
    await stop()
    return [seen, pb.realtime.isConnected]
  },
  'a custom request': (pb) => pb.send('/api/health', { method: 'GET', query: { a: 1 } }),
  'a path that is not there': (pb) => pb.send('/api/nowhere', { method: 'GET' }),
  'cancelled by its key': async (pb) => {
    const first = pb.collection('posts').getList(1, 1, { requestKey: 'same' }).catch((error) => error.isAbort)
    await pb.collection('posts').getList(1, 1, { requestKey: 'same' })
    return first
  },
  'cancelled by hand': (pb) => {
    const list = pb.collection('posts').getList(1, 1, { requestKey: 'mine' }).catch((error) => [error.isAbort, error.status])
    pb.cancelRequest('mine')
    return list
  },
  'sign out': (pb) => (pb.authStore.clear(), pb.authStore.isValid),
}

// What differs between two records of the same kind, and two requests.
const plain = (value) => JSON.parse(JSON.stringify(value ?? null, (name, value) =>
  ['id', 'created', 'updated', 'collectionId', 'token', 'state', 'codeVerifier', 'codeChallenge', 'authURL'].includes(name) || (name == 'files' && Array.isArray(value)) ? '…' : value))

for (const [name, target] of Object.entries(targets)) describe(name, () => {
  let server, clients

  before(async () => {
    globalThis.EventSource = EventSource
    server = await target.start()
    const token = await server.superuserToken()
    await server.fetch('/api/settings', { token, method: 'PATCH', json: { batch: { enabled: true, maxRequests: 50, timeout: 3 } } })
    const fields = [{ name: 'title', type: 'text', required: true }, { name: 'n', type: 'number' }, { name: 'files', type: 'file', maxSelect: 3 }]
    await server.fetch('/api/collections', { token, json: { name: 'posts', type: 'base', listRule: '', viewRule: '', createRule: '', updateRule: '', deleteRule: '', fields } })
    const stock = new PocketBase(server.url)
    stock.beforeSend = (url, options) => ({ url, options: { ...options, headers: { ...options.headers, 'X-API-Key': server.publishable } } })
    clients = { stock, ours: createClient(server.url, server.publishable).pocketbase }
  })
  after(async () => {
    delete globalThis.EventSource
    await server?.close()
  })

  async function outcome(call, pb) {
    try {
      return { value: plain(await call(pb)) }
    } catch (error) {
      assert.ok(pb == clients.stock ? error instanceof ClientResponseError : error instanceof PicoBaseError, String(error))
      // What PocketBase's client says by itself, without a request, has no body.
      const answered = error.url ? { data: plain(error.data), response: plain(error.response), url: error.url } : {}
      return { status: error.status, message: error.message, ...answered }
    }
  }

  test('both clients do the same', async (t) => {
    const stock = {}
    for (const [name, call] of Object.entries(calls)) stock[name] = await outcome(call, clients.stock)
    const token = await server.superuserToken()
    for (const table of ['posts', 'users']) await server.fetch(`/api/collections/${table}/truncate`, { token, method: 'DELETE' })
    for (const [name, call] of Object.entries(calls)) {
      await t.test(name, async () => assert.deepEqual(await outcome(call, clients.ours), stock[name]))
    }
  })
})
