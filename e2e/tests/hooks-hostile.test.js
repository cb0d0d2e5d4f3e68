// Hooks that attack the server they run in, a dozen at once, while others use it.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { Load, percentile } from '../load.js'
import { Server, until } from '../server.js'

const attackers = 12
const duration = 6000

// What attacks are answered with, and what some must be. For memory the call is ended that has run longest, which may be
// the attack beside the one that takes it; on a busy machine time is up before memory is.
const codes = ['hook_timeout', 'hook_memory', 'hook_failed', 'hooks_busy', 'hook_suspended']
const attacks = { '/loop': 'hook_timeout', '/memory': undefined, '/regexp': undefined, '/promises': undefined, '/network': 'hook_timeout' }

const hooks = (port) => `
routerAdd('GET', '/loop', () => { for (;;) { try { for (;;) {} } catch (e) {} } })
routerAdd('GET', '/memory', () => { const all = []; for (;;) all.push('x'.repeat(1000).split('')) })
routerAdd('GET', '/regexp', () => { for (;;) /^(?=(a+)+$)b/.test('a'.repeat(50) + 'b') })
routerAdd('GET', '/promises', () => { const again = () => Promise.resolve().then(again); again(); return Promise.resolve() })
routerAdd('GET', '/network', () => { for (;;) { try { $http.send({ url: 'http://127.0.0.1:${port}/' }) } catch (e) {} } })
routerAdd('GET', '/hello', (e) => e.json(200, { hello: 'all' }))
`

describe('a dozen hostile hooks', () => {
  let server, token, silent
  before(async () => {
    silent = createServer(() => {}) // takes requests and answers none
    await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
    server = await Server.start({ args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
    token = await server.superuserToken()
    await until('the first keys', () => server.publishable)
    const made = await server.fetch('/api/collections', {
      token,
      json: { name: 'posts', type: 'base', createRule: '', listRule: '', viewRule: '', fields: [{ name: 'title', type: 'text' }] },
    })
    assert.equal(made.status, 200, JSON.stringify(made.body))
    const settings = { rateLimits: { enabled: false }, jshooks: { allowedPrivateHosts: ['127.0.0.1'] } }
    assert.equal((await server.fetch('/api/v1/settings', { token, method: 'PATCH', json: settings })).status, 200)
    const uploaded = await server.fetch('/api/v1/hooks', { token, json: { files: { 'main.pb.js': hooks(silent.address().port) } } })
    assert.equal(uploaded.status, 201, JSON.stringify(uploaded.body))
  })
  after(async () => {
    await server?.close()
    silent.closeAllConnections()
    silent.close()
  })

  test('harm nobody but themselves', async (t) => {
    const headers = { 'X-API-Key': server.publishable }
    const records = '/api/collections/posts/records'
    const { id } = (await server.fetch(records, { key: server.publishable, json: { title: 'x' } })).body
    const requests = {
      health: { path: '/api/health' },
      list: { path: records + '?perPage=30' },
      view: { path: `${records}/${id}` },
      create: { method: 'POST', path: records, json: { title: 'x' } },
      hook: { path: '/hello' },
    }
    const names = Object.keys(requests)
    const others = []
    const attacked = []
    const run = async (time) => {
      others.length = 0
      const load = new Load(server.url, {
        connections: names.length,
        next: (n) => ({ name: names[n % names.length], headers, ...requests[names[n % names.length]] }),
        take: (answer) => others.push(answer),
      })
      await new Promise((resolve) => setTimeout(resolve, time))
      await load.stop()
      return Object.fromEntries(names.map((name) => [name, others.filter((a) => a.request.name === name).map((a) => a.answered - a.sent)]))
    }
    const usual = await run(1000)
    const paths = Object.keys(attacks)
    const attack = new Load(server.url, {
      connections: attackers,
      next: (n) => ({ headers, path: paths[n % paths.length] }),
      take: (answer) => attacked.push(answer),
    })
    let attackedTimes
    try {
      attackedTimes = await run(duration)
    } finally {
      await attack.stop()
    }

    for (const name of names) {
      const p95 = (times) => percentile(times, 0.95).toFixed(1)
      t.diagnostic(`${name}: p95 ${p95(usual[name])} ms, attacked ${p95(attackedTimes[name])} ms, most ${Math.max(...attackedTimes[name]).toFixed(1)} ms of ${attackedTimes[name].length}`)
    }
    const failed = others.filter((a) => a.status !== 200).map((a) => [a.request.name, a.status, a.error ?? a.body])
    assert.deepEqual(failed.slice(0, 3), [], `${failed.length} of ${others.length}`)
    for (const name of names) {
      assert.ok(attackedTimes[name].length > 0, `no answer to ${name}`)
      assert.ok(Math.max(...attackedTimes[name]) < 5000, `${name} took ${Math.max(...attackedTimes[name])} ms`)
    }
    for (const [path, sure] of Object.entries(attacks)) {
      const answers = attacked.filter((a) => a.request.path === path)
      const got = answers.map((a) => a.body?.error?.code ?? `${a.status} ${a.error ?? JSON.stringify(a.body)}`)
      t.diagnostic(`${path}: ${[...new Set(got)].join(', ')} of ${got.length}`)
      assert.deepEqual([...new Set(got.filter((code) => !codes.includes(code)))], [], path)
      if (sure) assert.ok(got.includes(sure), `${path}: ${[...new Set(got)]}`)
    }
    if (existsSync(`/proc/${server.process.pid}/status`)) {
      const peak = Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${server.process.pid}/status`, 'utf8'))[1]) / 1024
      t.diagnostic(`at most ${Math.round(peak)} MB`)
      assert.ok(peak < 1500, `the server took ${peak} MB`)
    }
    // The server is as it was.
    assert.equal((await server.fetch('/hello', { key: server.publishable })).status, 200)
    assert.equal((await server.fetch('/api/v1/health')).body.checks.hooks.status, 'ok')
    assert.equal(server.process.exitCode, null)
  })
})
