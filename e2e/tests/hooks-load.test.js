// A hundred uploads of hooks while requests run.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Load, median } from '../load.js'
import { Server, until } from '../server.js'

const uploads = 100
const warm = 50 // uploads after which memory has to be flat
const kept = 50 // versions beside the active one

// Each version answers its number and sets it on new records. They differ in more than the number, so that a swap
// changes modules, middlewares and jobs too.
const versions = [
  (n) => ({
    'main.pb.js': `routerAdd('GET', '/version', (e) => e.json(200, { version: ${n} }))
onRecordCreate((e) => { e.record.set('version', ${n}); e.next() }, 'posts')`,
  }),
  (n) => ({
    'main.pb.js': `routerAdd('GET', '/version', (e) => e.json(200, { version: require('./lib/version.js').version }))
routerUse((e) => e.next())
cronAdd('job', '0 0 1 1 *', () => {})
onRecordCreate((e) => { e.record.set('version', require('./lib/version.js').version); e.next() }, 'posts')`,
    'lib/version.js': `module.exports = { version: ${n} }`,
  }),
  (n) => ({
    'a.pb.js': `const version = ${n}
routerAdd('GET', '/version', (e) => e.json(200, { version }))`,
    'b.pb.js': `onRecordCreate((e) => {
  e.record.set('version', ${n})
  e.next()
  console.log('created', e.record.id)
}, 'posts')`,
  }),
]

// So large that a version which is not let go of shows: in memory it takes about a megabyte.
const words = (n) => JSON.stringify(Array.from({ length: 10_000 }, (_, i) => `word ${n} ${i}`))

const bad = [
  { 'main.pb.js': 'const a = (\n' },
  { 'main.pb.js': `routerAdd('GET', '/version', (e) => e.json(200, { version: -1 }))\nundefinedFunction()` },
  { 'main.pb.js': `routerAdd('GET', '/api/v1/hooks', (e) => e.json(200, {}))` },
]

/** The metrics without labels, by name. */
async function metrics(server) {
  const text = (await server.fetch('/metrics')).body
  return Object.fromEntries([...text.matchAll(/^(\w+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]))
}

describe('hooks under load', () => {
  let server, token
  before(async () => {
    // The collector keeps close to what is used, so that growth shows.
    server = await Server.start({ args: ['--hooksDir', '/nonexistent', '--replication', 'off'], env: { GOGC: '50' } })
    token = await server.superuserToken()
    const made = await server.fetch('/api/collections', {
      token,
      json: { name: 'posts', type: 'base', createRule: '', fields: [{ name: 'title', type: 'text' }, { name: 'version', type: 'number' }] },
    })
    assert.equal(made.status, 200, JSON.stringify(made.body))
    await server.fetch('/api/v1/settings', { token, method: 'PATCH', json: { rateLimits: { enabled: false } } })
  })
  after(() => server?.close())

  const upload = (files, more = {}) => server.fetch('/api/v1/hooks', { token, json: { files, ...more } })

  test('100 uploads: no request fails, each is answered by a version of its time, nothing grows', async (t) => {
    const first = await upload(versions[0](0))
    assert.equal(first.status, 201, JSON.stringify(first.body))
    const idle = await metrics(server)

    // When each version can have been in force: from its upload being sent until its successor's was answered.
    const times = [{ from: 0, until: Infinity }]
    const answers = []
    const seen = { '/version': new Set(), '/api/collections/posts/records': new Set() }
    const load = new Load(server.url, {
      connections: 24,
      next: (n) =>
        n % 2
          ? { path: '/version', headers: { 'X-API-Key': server.publishable } }
          : { method: 'POST', path: '/api/collections/posts/records', json: { title: 'x' }, headers: { 'X-API-Key': server.publishable } },
      take: ({ sent, answered, status, body, error, request }) => {
        answers.push({ sent, answered, version: body?.version, failed: status === 200 ? undefined : (error ?? body), path: request.path })
        seen[request.path].add(body?.version)
      },
    })
    const seenEverywhere = (version) => until(`answers of version ${version}`, () => Object.values(seen).every((s) => s.has(version)))
    const samples = []
    try {
      await seenEverywhere(0)
      for (let n = 1; n <= uploads; n++) {
        if (n % 9 === 0) {
          const refused = await upload(bad[(n / 9) % bad.length])
          assert.equal(refused.status, 422, JSON.stringify(refused.body))
          assert.equal(refused.body.error.code, 'hooks_invalid')
        }
        const from = performance.now()
        const made = await upload({ ...versions[n % versions.length](n), 'lib/words.json': words(n) })
        assert.equal(made.status, 201, JSON.stringify(made.body))
        times[n - 1].until = performance.now()
        times.push({ from, until: Infinity })
        await seenEverywhere(n)
        samples.push(await metrics(server))
      }
    } finally {
      await load.stop()
    }

    assert.deepEqual(answers.filter((a) => a.failed !== undefined).slice(0, 3), [])
    const wrong = answers.filter((a) => !(times[a.version]?.from <= a.answered && times[a.version]?.until >= a.sent))
    assert.deepEqual(wrong.slice(0, 3), [])
    const of = (name, from, to) => median(samples.slice(from, to).map((s) => s[name]))
    const memory = [of('process_resident_memory_bytes', warm / 2, warm), of('process_resident_memory_bytes', uploads - warm / 2, uploads)]
    assert.ok(memory[1] < memory[0] + 15e6, `resident memory went from ${memory[0]} to ${memory[1]} bytes`)
    const goroutines = [of('go_goroutines', warm / 2, warm), of('go_goroutines', uploads - warm / 2, uploads)]
    assert.ok(goroutines[1] < goroutines[0] + 20, `goroutines went from ${goroutines[0]} to ${goroutines[1]}`)
    t.diagnostic(`${answers.length} requests; ${memory.map((m) => `${Math.round(m / 1e6)} MB`).join(', then ')}; goroutines ${goroutines.join(', then ')}`)
    await until('the end of the goroutines of the load', async () => (await metrics(server)).go_goroutines <= idle.go_goroutines + 10)
  })

  test('the newest 50 versions are kept, beside the active one; numbers are not used again', async () => {
    const list = async () => (await server.fetch('/api/v1/hooks', { token })).body
    const newest = uploads + 1
    const numbers = (from, count) => Array.from({ length: count }, (_, i) => String(from - i))
    let state = await list()
    assert.deepEqual(state.items.map((v) => v.id), numbers(newest, kept))
    assert.equal(state.active, String(newest))
    assert.equal((await server.fetch(`/api/v1/hooks/${newest - kept}`, { token })).status, 404)

    const oldest = newest - kept + 1
    assert.equal((await server.fetch(`/api/v1/hooks/${oldest}/activate`, { token, method: 'POST' })).status, 200)
    for (const n of [1, 2]) assert.equal((await upload(versions[0](newest + n), { activate: false })).status, 201)
    state = await list()
    assert.deepEqual(state.items.map((v) => v.id), [...numbers(newest + 2, kept), String(oldest)])
    assert.equal(state.active, String(oldest))
    assert.equal((await server.fetch('/version', { key: server.publishable })).body.version, oldest - 1)
  })
})

test('kill -9 at any moment of an upload: what was answered is active, in whole, after the next start', async () => {
  const args = ['--hooksDir', '/nonexistent', '--replication', 'off']
  let server = await Server.start({ args })
  try {
    await until('the first keys', () => server.publishable)
    const { dir, publishable: key } = server
    const numbered = new Map() // by version's id, what it answers; of those that were answered
    let answered = { id: null }
    for (let round = 0, n = 0; round < 12; round++) {
      const token = await server.superuserToken()
      const limit = performance.now() + 15 * round
      let sent
      const uploads = (async () => {
        for (;;) {
          sent = ++n
          const made = await server.fetch('/api/v1/hooks', { token, json: { files: versions[n % versions.length](n) } }).catch(() => undefined)
          if (made?.status !== 201) return
          answered = { id: made.body.id, version: n }
          numbered.set(made.body.id, n)
        }
      })()
      await until('the moment', () => performance.now() >= limit)
      await server.stop('SIGKILL')
      await uploads

      server = await Server.start({ dir, args })
      const state = (await server.fetch('/api/v1/hooks', { token: await server.superuserToken() })).body
      const active = state.items.filter((v) => v.active)
      assert.ok(active.length <= 1, JSON.stringify(active))
      assert.equal(state.running?.version ?? null, state.active)
      assert.deepEqual(state.problems, [])
      if (state.active === null) {
        assert.equal(answered.id, null, 'an answered version is gone')
        continue
      }
      const { version } = (await server.fetch('/version', { key })).body
      assert.ok(version === answered.version || version === sent, `version ${version}, answered ${answered.version}, sent ${sent}`)
      // Of the one under way either all is there or nothing.
      if (version === sent) answered = { id: state.active, version }
      assert.equal(state.active, answered.id)
    }
    assert.ok(numbered.size > 5, `only ${numbered.size} uploads were answered`)
  } finally {
    await server.close()
  }
})
