// What goes on while a part of the fleet is gone: the platform, a router, a tenant.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import http, { Agent } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { EventSource } from 'eventsource'
import PocketBase from 'pocketbase'
import '../localhost.js'
import { Platform, tenants } from '../platform.js'
import { binary, cleanEnv, freePort, until } from '../server.js'

globalThis.EventSource = EventSource // Node has none

// How long the platform is away. By hand: OUTAGE_SECONDS=60 npx node --test tests/fleet-outages.test.js
const outage = Number(process.env.OUTAGE_SECONDS ?? 3) * 1000

const password = 'correct horse battery'

describe('a fleet with a router of its own', { concurrency: false }, () => {
  let platform, router, port, token, project

  async function startRouter() {
    const args = ['router', '--platform', `http://127.0.0.1:${platform.port}`, '--http', `127.0.0.1:${port}`, '--admin', '']
    router = spawn(binary, args, { env: cleanEnv({ PICOBASE_ROUTER_TOKEN: 'shared' }), stdio: 'ignore' })
    router.exited = new Promise((resolve) => router.on('exit', resolve))
    await until('the router', async () => (await call('/api/v1/ready').catch(() => ({}))).status === 200)
  }

  const call = (pathname, options) => platform.request.call({ port }, `${project.name}.localhost`, pathname, { key: project.keys.secret, ...options })

  /** Sends requests one after the other on several connections, until stop: [{ began, status, body, error }]. */
  function load(connections, pathname) {
    const agent = new Agent({ keepAlive: true })
    const results = []
    let over = false
    const loops = Array.from({ length: connections }, async () => {
      while (!over) {
        const began = performance.now()
        const answer = await call(pathname, { agent }).catch((error) => ({ error }))
        results.push({ began, ...answer })
      }
    })
    return {
      results,
      async stop() {
        over = true
        await Promise.all(loops)
        agent.destroy()
        return results
      },
    }
  }

  before(async () => {
    platform = await Platform.start({
      command: ['platform', 'serve', '--no-router', '--base-domain', 'localhost', '--stop-projects'],
      env: { PICOBASE_ROUTER_TOKEN: 'shared', PICOBASE_SUPERUSER_EMAIL: 'root@example.com', PICOBASE_SUPERUSER_PASSWORD: password },
    })
    const signIn = await platform.request('localhost', '/api/collections/users/auth-with-password', { json: { identity: 'root@example.com', password } })
    token = signIn.body.token
    project = (await platform.request('localhost', '/api/platform/v1/projects', { token, json: { name: 'shop' } })).body
    port = await freePort()
    await startRouter()
    const owner = await platform.request('localhost', `/api/platform/v1/projects/${project.id}/token`, { token, method: 'POST' })
    const made = await call('/api/collections', {
      key: undefined, token: owner.body.token,
      json: { name: 'notes', type: 'base', listRule: '', viewRule: '', createRule: '', fields: [{ name: 'text', type: 'text' }] },
    })
    assert.equal(made.status, 200, made.text)
    const limits = await call('/api/v1/settings', { key: undefined, token: owner.body.token, method: 'PATCH', json: { rateLimits: { enabled: false } } })
    assert.equal(limits.status, 200, limits.text)
  })
  after(async () => {
    router?.kill()
    await router?.exited
    await platform?.close()
  })

  test('no request to a project that is awake fails while the platform is gone', async () => {
    const { results, stop } = load(4, '/api/collections/notes/records')
    await until('load', () => results.length > 20)
    await platform.kill('SIGKILL')
    const dead = results.length
    await new Promise((resolve) => setTimeout(resolve, outage))
    assert.ok(results.length > dead + 20, 'nothing was asked meanwhile')
    await platform.launch()
    const back = results.length
    await until('more load', () => results.length > back + 20)
    await stop()
    assert.deepEqual([...new Set(results.map((r) => r.error?.code ?? r.status))], [200])
  })

  test('clients connect again to a router that was killed, and get what happens', async () => {
    const pb = new PocketBase(`http://shop.localhost:${port}`)
    pb.autoCancellation(false)
    pb.beforeSend = (url, options) => ({ url, options: { ...options, headers: { ...options.headers, 'X-API-Key': project.keys.publishable } } })
    const events = []
    await pb.collection('notes').subscribe('*', (event) => events.push(event))
    const seen = async (text) => {
      const note = await pb.collection('notes').create({ text })
      return until(`the event of ${text}`, () => events.find((event) => event.record.id === note.id))
    }
    await seen('before')
    let lost = false
    pb.realtime.onDisconnect = () => (lost = true)
    const connection = pb.realtime.clientId
    router.kill('SIGKILL')
    await router.exited
    await startRouter()
    await until('the new connection', () => pb.realtime.isConnected && pb.realtime.clientId !== connection)
    // The client subscribes again a moment after it is connected.
    await until('an event afterwards', async () => {
      await pb.collection('notes').create({ text: 'afterwards' })
      return events.some((event) => event.record.text === 'afterwards')
    })
    await pb.collection('notes').unsubscribe()
    assert.ok(!lost || pb.realtime.clientId !== connection)
  })

  test('of a project that is killed only the requests in flight fail, and it is back', async () => {
    const { [project.id]: pid } = await tenants(platform)
    // Larger than what the router keeps to send it again, and slow to end: in flight.
    const open = Array.from({ length: 5 }, () => {
      const request = http.request({
        host: '127.0.0.1', port, method: 'POST', path: '/api/collections/notes/records',
        headers: { Host: `shop.localhost:${port}`, 'X-API-Key': project.keys.publishable, 'Content-Type': 'application/json', 'Content-Length': 500_000 },
      })
      request.write(Buffer.alloc(400_000, ' '))
      return new Promise((resolve) => {
        const more = setInterval(() => request.write(' '), 20)
        request.on('close', () => clearInterval(more))
        request.on('error', (error) => resolve({ error }))
        request.on('response', (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
        })
      })
    })
    const { results, stop } = load(8, '/api/collections/notes/records')
    await until('load', () => results.length > 50)
    process.kill(pid, 'SIGKILL')
    // What reaches it until it is gone is in flight too.
    await until('its end', () => {
      try {
        return !process.kill(pid, 0)
      } catch {
        return true
      }
    })
    const killed = performance.now()
    await until('it to be back', () => results.some((r) => r.began > killed && r.status === 200))
    const back = results.length
    await until('more load', () => results.length > back + 50)
    await stop()
    const failed = results.filter((r) => r.status !== 200)
    assert.ok(failed.every((r) => r.began < killed), `failed afterwards: ${failed.filter((r) => r.began >= killed).map((r) => r.error ?? r.text)}`)
    const interrupted = await Promise.all(open)
    for (const answer of [...failed, ...interrupted]) {
      assert.equal(answer.status, 502, String(answer.error ?? answer.text))
      const body = JSON.parse(answer.text)
      assert.equal(body.status, 502)
      assert.equal(body.error.code, 'upstream_failed')
      assert.ok(body.message && answer.headers['x-request-id'], answer.text)
      assert.match(answer.headers['content-type'], /^application\/json/)
    }
    assert.notEqual((await tenants(platform))[project.id], pid)
  })
})
