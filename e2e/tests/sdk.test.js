// @picobase/client in Node, against the real binary: alone, and behind the router.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EventSource } from 'eventsource'
import { createClient, filter, PicoBaseError } from '../../packages/client/dist/index.js'
import { fileFromPath } from '../../packages/client/dist/node.js'
import { Server, until } from '../server.js'
import { targets } from '../targets.js'

const rejects = (promise, expected) => assert.rejects(promise, (error) => {
  assert.ok(error instanceof PicoBaseError, String(error))
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(error[name], value, `${name} of ${error.code}: ${error.message}`)
  return true
})

for (const [name, target] of Object.entries(targets)) describe(name, () => {
  let server, token

  before(async () => {
    server = await target.start()
    token = await server.superuserToken()
    const made = await server.fetch('/api/collections', {
      token,
      json: {
        name: 'posts', type: 'base', listRule: '', viewRule: '', createRule: '', updateRule: '', deleteRule: '',
        fields: [
          { name: 'title', type: 'text' }, { name: 'n', type: 'number' }, { name: 'draft', type: 'bool' },
          { name: 'tags', type: 'select', maxSelect: 3, values: ['a', 'b', 'c'] },
          { name: 'files', type: 'file', maxSelect: 5 }, { name: 'author', type: 'relation', collectionId: '_pb_users_auth_', maxSelect: 1 },
          { name: 'at', type: 'date' }, { name: 'created', type: 'autodate', onCreate: true },
        ],
      },
    })
    assert.equal(made.status, 200, JSON.stringify(made.body))
  })
  after(() => server?.close())

  const client = (options) => createClient(server.url, server.publishable, options)

  test('configuration comes from the environment, and what is missing is named', async () => {
    assert.throws(() => createClient(), { code: 'config_missing', message: /PICOBASE_URL/ })
    for (const prefix of ['', 'NEXT_PUBLIC_', 'VITE_', 'PUBLIC_']) {
      process.env[prefix + 'PICOBASE_URL'] = server.url
      process.env[prefix + 'PICOBASE_API_KEY'] = server.publishable
      try {
        assert.equal((await createClient().pocketbase.health.check()).code, 200)
        await createClient().collection('posts').getList()
      } finally {
        delete process.env[prefix + 'PICOBASE_URL']
        delete process.env[prefix + 'PICOBASE_API_KEY']
      }
    }
  })

  test('errors have code, status, message, details and request id', async () => {
    await rejects(createClient(server.url, '').collection('posts').getList(), { code: 'api_key_required', status: 401 })
    await rejects(client().collection('nowhere').getList(), { code: 'not_found', status: 404 })
    try {
      await client().collection('posts').create({ n: 'many' , tags: ['z']})
      assert.fail('no error')
    } catch (error) {
      assert.equal(error.status, 400)
      assert.match(error.requestId, /\w{10}/)
      assert.equal(error.details.tags.code, 'validation_invalid_value')
      assert.equal(error.data.data.tags.code, 'validation_invalid_value', 'as PocketBase has it')
    }
    await rejects(createClient('http://127.0.0.1:1', 'x').collection('posts').getList(), { code: 'network', status: 0 })
    const controller = new AbortController()
    const request = client().collection('posts').getList(1, 1, { signal: controller.signal })
    controller.abort()
    await rejects(request, { code: 'aborted', isAbort: true })
  })

  test('records are created, read, changed and deleted', async () => {
    const posts = client().collection('posts')
    const made = await posts.create({ title: 'one', n: 1 })
    assert.equal((await posts.getOne(made.id)).title, 'one')
    assert.equal((await posts.update(made.id, { 'n+': 2 })).n, 3)
    assert.equal((await posts.upsert({ id: made.id, title: 'two' })).title, 'two')
    assert.equal((await posts.upsert({ id: 'abcdefghijklmno', title: 'new' })).id, 'abcdefghijklmno')
    assert.equal((await posts.upsert({ title: 'no id' })).title, 'no id')
    assert.equal((await posts.getFirstListItem(filter`title = ${'two'}`)).id, made.id)
    await posts.delete(made.id)
    await rejects(posts.getOne(made.id), { code: 'not_found' })
    for (const { id } of await posts.getFullList()) await posts.delete(id)
  })

  test('values are escaped, whatever is in them', async () => {
    const posts = client().collection('posts')
    const values = ['"', '\\', '\\"', "'", '" || 1=1 || "', 'a\nb\tc\rd', '\\n', '{:x}', '%', '$&', '💾']
    for (const title of values) {
      const { id } = await posts.create({ title })
      assert.deepEqual((await client().from('posts').eq('title', title)).map((post) => post.id), [id], JSON.stringify(title))
      assert.equal((await posts.getFirstListItem(filter`title = ${title} && id = ${id}`)).id, id)
      await posts.delete(id)
    }
    for (const name of ['title="" || id', 'id)', '', 'a b', '1=1'])
      assert.throws(() => client().from('posts').eq(name, 1), { code: 'invalid_query' }, name)
  })

  test('queries are put together by calls', async () => {
    const pb = client()
    for (let n = 1; n <= 8; n++) await pb.collection('posts').create({ title: 't' + n, n, draft: n % 2 == 0, tags: n > 6 ? ['a', 'b'] : ['c'], at: new Date(2026, 0, n) })
    const numbers = async (query) => (await query.order('n')).map((post) => post.n)
    assert.deepEqual(await numbers(pb.from('posts').gt('n', 2).lte('n', 4)), [3, 4])
    assert.deepEqual(await numbers(pb.from('posts').eq('draft', true).neq('n', 2).gte('n', 4).lt('n', 8)), [4, 6])
    assert.deepEqual(await numbers(pb.from('posts').in('n', [1, 8, 99])), [1, 8])
    assert.deepEqual(await numbers(pb.from('posts').in('n', [])), [])
    assert.deepEqual(await numbers(pb.from('posts').like('title', 'T3')), [3])
    assert.deepEqual(await numbers(pb.from('posts').contains('tags', 'b')), [7, 8])
    assert.deepEqual(await numbers(pb.from('posts').gt('at', new Date(2026, 0, 6, 12))), [7, 8])
    assert.deepEqual(await numbers(pb.from('posts').is('author', null).filter('n = 1 || n = 2')), [1, 2])
    const page = await pb.from('posts').select('id,title').order('-n').limit(3).page(2)
    assert.deepEqual(page.map((post) => [Object.keys(post).sort().join(), post.title]), [['id,title', 't5'], ['id,title', 't4'], ['id,title', 't3']])
    assert.equal((await pb.from('posts').order('n', { ascending: false }).maybeSingle()).n, 8)
    assert.equal(await pb.from('posts').eq('title', 'none').maybeSingle(), null)
    await rejects(pb.from('posts').eq('title', 'none').single(), { code: 'not_found', status: 404 })
    assert.equal(await pb.from('posts').gt('n', 5).count(), 3)
    await rejects(Promise.resolve(pb.from('posts').limit(1001)), { code: 'invalid_query' })
  })

  test('all records are found once, while others come and go', async () => {
    const pb = client()
    const all = await pb.collection('posts').getFullList({ sort: 'draft,-n', batch: 3 })
    assert.deepEqual(all.map((post) => post.n), [7, 5, 3, 1, 8, 6, 4, 2])
    for (const sort of ['', 'n', '-n', 'draft,-n', '-at,title']) {
      // A record that was read is deleted, and one that sorts first is made, between the pages.
      const made = []
      let pages = 0
      const busy = createClient(server.url, server.publishable, {
        fetch: async (url, init) => {
          const answer = await fetch(url, init)
          if (pages++ == 1) {
            const { items } = await answer.clone().json()
            const { id, created, collectionId, collectionName, ...copy } = items[0]
            await pb.collection('posts').delete(id)
            made.push(await pb.collection('posts').create(copy))
          }
          return answer
        },
      })
      const before = (await pb.collection('posts').getFullList()).map((post) => post.id)
      const found = (await busy.collection('posts').getFullList({ sort, batch: 2 })).map((post) => post.id)
      assert.equal(new Set(found).size, found.length, sort)
      const after = (await pb.collection('posts').getFullList()).map((post) => post.id)
      for (const id of before.filter((id) => after.includes(id))) assert.ok(found.includes(id), `${sort}: ${id} was left out`)
    }
  })

  test('requests are only cancelled when asked', async () => {
    const posts = client().collection('posts')
    const both = await Promise.all([posts.getList(1, 1), posts.getList(2, 1)])
    assert.equal(both.length, 2)
    await Promise.all([1, 2].map(() => posts.getFirstListItem('n > 0')))
    const first = posts.getList(1, 1, { requestKey: 'list' })
    const second = posts.getList(2, 1, { requestKey: 'list' })
    await rejects(first, { code: 'aborted' })
    assert.equal((await second).page, 2)
  })

  test('files are uploaded from memory and disk, read and removed', async (t) => {
    const pb = client()
    const dir = await mkdtemp(path.join(tmpdir(), 'picobase-files-'))
    t.after(() => rm(dir, { recursive: true }))
    const file = path.join(dir, 'file.txt')
    await writeFile(file, 'from disk')
    let post = await pb.collection('posts').create({ title: 'files', files: [new File(['from memory'], 'a.txt'), await fileFromPath(file, { name: 'b.txt' })] })
    assert.equal(post.files.length, 2)
    const read = async (name) => (await fetch(pb.storage.getUrl(post, name))).text()
    assert.deepEqual([await read(post.files[0]), await read(post.files[1])], ['from memory', 'from disk'])
    post = await pb.storage.upload('posts', post.id, 'files', [new Blob(['third'])])
    assert.equal(post.files.length, 3)
    post = await pb.storage.remove('posts', post.id, 'files', post.files.slice(0, 2))
    assert.equal(await read(post.files[0]), 'third')
  })

  test('people sign up, in and out', async () => {
    const pb = client()
    const events = []
    const stop = pb.auth.onAuthStateChange((event, session) => events.push([event, session?.user.email]))
    await until('the first event', () => events.length)
    const { user, session } = await pb.auth.signUp('ada@example.com', 'correct horse', { name: 'Ada' })
    assert.equal(user.name, 'Ada')
    assert.ok(session.expiresAt > Date.now())
    assert.equal(pb.auth.user.id, user.id)
    assert.equal((await pb.auth.getUser()).id, user.id)
    // A token that was made in the same second is the same.
    await until('another token', async () => (await pb.auth.refresh()).token != session.token)
    await pb.collection('users').update(user.id, { name: 'Countess' })
    assert.equal(pb.auth.user.name, 'Countess')
    pb.auth.signOut()
    assert.equal(pb.auth.user, null)
    assert.equal(pb.auth.session, null)
    await rejects(pb.auth.signIn('ada@example.com', 'wrong'), { status: 400 })
    await pb.auth.signIn('ada@example.com', 'correct horse')
    stop()
    pb.auth.signOut()
    const kinds = events.map(([event]) => event).filter((event, i, all) => event != all[i - 1])
    assert.deepEqual(kinds.filter((event, i) => i != kinds.indexOf('USER_UPDATED') || i > kinds.indexOf('TOKEN_REFRESHED')), ['INITIAL_SESSION', 'SIGNED_IN', 'TOKEN_REFRESHED', 'USER_UPDATED', 'SIGNED_OUT', 'SIGNED_IN'])
    assert.equal((await pb.auth.listProviders()).password.enabled, true)
    assert.equal(await pb.auth.requestPasswordReset('ada@example.com'), true)
  })

  test('a session that the server no longer accepts is over, a wrong key is not that', async () => {
    const pb = client()
    const { user } = await pb.auth.signUp('gone@example.com', 'correct horse')
    const other = createClient(server.url, 'pbk_pub_wrong', { authStore: pb.pocketbase.authStore, autoRefresh: false })
    await rejects(other.auth.getUser(), { code: 'api_key_malformed' })
    assert.equal(pb.auth.user.id, user.id)
    await server.fetch(`/api/collections/users/records/${user.id}`, { token, method: 'DELETE' })
    assert.equal(await pb.auth.getUser(), null)
    assert.equal(pb.auth.session, null)
  })

  // At a server by itself only: it waits for most of the shortest life of a token, ten
  // seconds, and a router has no part in it.
  if (target == Server) test('a token is renewed once, before it ends', async () => {
    let refreshes = 0
    const pb = client({ fetch: (url, init) => ((refreshes += String(url).includes('/auth-refresh')), fetch(url, init)) })
    await server.fetch('/api/collections/users', { token, method: 'PATCH', json: { authToken: { duration: 12 } }, })
    try {
      await pb.auth.signUp('short@example.com', 'correct horse')
      const first = pb.auth.session.token
      await until('the last tenth of its life', async () => {
        await Promise.all([pb.collection('posts').getList(1, 1), pb.collection('posts').getList(2, 1), pb.auth.getSession()])
        return refreshes
      })
      assert.equal(refreshes, 1)
      assert.notEqual(pb.auth.session.token, first)
    } finally {
      await server.fetch('/api/collections/users', { token, method: 'PATCH', json: { authToken: { duration: 1209600 } } })
    }
  })

  test('one-time codes and a second factor', async () => {
    await server.fetch('/api/collections/users', { token, method: 'PATCH', json: { mfa: { enabled: true }, otp: { enabled: true } } })
    try {
      const pb = client()
      await server.fetch('/api/collections/users/records', { token, json: { email: 'mfa@example.com', password: 'correct horse', passwordConfirm: 'correct horse' } })
      await assert.rejects(pb.auth.signIn('mfa@example.com', 'correct horse'), (error) => error.code == 'mfa_required' && error.details.mfaId.length == 15)
      const { otpId } = await pb.auth.signInWithOtp('mfa@example.com')
      assert.ok(otpId)
      await rejects(pb.auth.verifyOtp(otpId, '000000', { mfaId: 'x' }), { status: 400 })
    } finally {
      await server.fetch('/api/collections/users', { token, method: 'PATCH', json: { mfa: { enabled: false }, otp: { enabled: false } } })
    }
  })

  test('changes arrive, also after a restart of the server, and as whoever signs in', async () => {
    const pb = client()
    assert.equal(typeof globalThis.EventSource, 'undefined')
    await rejects(pb.realtime.subscribe('posts', () => {}), { code: 'eventsource_missing' })
    globalThis.EventSource = EventSource
    try {
      const seen = []
      const states = []
      pb.realtime.onStateChange((state) => states.push(state))
      const stop = await pb.realtime.subscribe('posts', (change) => seen.push(change.action + ' ' + change.record.title))
      const { id } = await pb.collection('posts').create({ title: 'live' })
      await until('the first change', () => seen.includes('create live'))
      const one = []
      await pb.collection('posts').subscribe(id, (change) => one.push(change.record.title))
      await pb.collection('posts').update(id, { title: 'lively' })
      await until('the change of one', () => one.includes('lively'))

      await pb.auth.signUp('live@example.com', 'correct horse')
      await until('the connection as the new user', async () => {
        await pb.collection('posts').update(id, { title: 'signed in' })
        return one.includes('signed in')
      })
      const known = states.length
      await server.restart()
      await until('the loss and the new connection', () => {
        const later = states.slice(known)
        return later.includes('disconnected') && later.at(-1) == 'connected'
      })
      // It subscribes again a moment after it is connected.
      await until('the change after the restart', async () => {
        await pb.collection('posts').update(id, { title: 'back' })
        return one.includes('back')
      })
      await stop()
      await pb.realtime.unsubscribe()
      assert.equal(pb.realtime.isConnected, false)
    } finally {
      delete globalThis.EventSource
    }
  })

  test('CommonJS has the same', async () => {
    const require = createRequire(import.meta.url)
    const { createClient, PicoBaseError } = require('../../packages/client/dist/index.cjs')
    const pb = createClient(server.url, server.publishable)
    await assert.rejects(pb.collection('nowhere').getList(), (error) => error instanceof PicoBaseError && error.code == 'not_found')
    assert.equal((await pb.collection('posts').getList(1, 1)).items.length, 1)
  })
})

test('requests wait for a project that wakes; a write only when nobody has seen it', async () => {
  const requests = []
  let refusals = 0
  let headers = {}
  const gate = createServer((request, response) => {
    requests.push(request.method)
    if (refusals-- > 0) return response.writeHead(503, { 'Retry-After': '1', ...headers }).end('{"message":"waking","error":{"code":"waking"}}')
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"id":"x"}')
  })
  await new Promise((resolve) => gate.listen(0, '127.0.0.1', resolve))
  const waits = []
  const pb = createClient(`http://127.0.0.1:${gate.address().port}`, 'k', { onWaking: (waking) => waits.push(waking) })
  try {
    refusals = 1
    await pb.collection('posts').getOne('x')
    assert.equal(waits.length, 1)
    assert.ok(waits[0].delay >= 1000 && waits[0].attempt == 1, JSON.stringify(waits))
    refusals = 1
    await rejects(pb.collection('posts').create({}), { code: 'waking', status: 503 })
    headers = { 'X-PicoBase-Forwarded': 'false' }
    refusals = 1
    assert.equal((await pb.collection('posts').create({})).id, 'x')
    assert.deepEqual(requests, ['GET', 'GET', 'POST', 'POST', 'POST'])

    refusals = 100
    const controller = new AbortController()
    const waiting = pb.collection('posts').getOne('x', { signal: controller.signal })
    await until('the wait', () => waits.length == 3)
    controller.abort()
    await rejects(waiting, { code: 'aborted' })
    const hasty = createClient(`http://127.0.0.1:${gate.address().port}`, 'k', { maxWait: 0 })
    await rejects(hasty.collection('posts').getOne('x'), { code: 'waking' })
  } finally {
    gate.closeAllConnections()
    gate.close()
  }
})
