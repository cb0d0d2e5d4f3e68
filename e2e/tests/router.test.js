// The real router in front of two real projects. Names are addresses of this
// machine, since Node sends no Host of one's choice.

import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { EventSource } from 'eventsource'
import PocketBase from 'pocketbase'
import { answers, email, freePort, password, picobase, Server, until } from '../server.js'

globalThis.EventSource = EventSource // Node has none

/** A router process with a file of routes. */
class Router extends Server {
  static async start(routes, args = []) {
    const router = new Router()
    router.dir = await mkdtemp(path.join(tmpdir(), 'picobase-e2e-'))
    router.port = await freePort()
    router.adminPort = await freePort()
    await router.route(routes)
    router.spawn(['router', '--http', `0.0.0.0:${router.port}`, '--routes', router.file, '--admin', `127.0.0.1:${router.adminPort}`, '--access-log', ...args], {})
    await until('start', () => {
      if (router.process.exitCode !== null) throw new Error(`the router ended: ${router.output}`)
      return answers(`http://127.0.0.1:${router.adminPort}/readyz`)
    })
    return router
  }

  get file() {
    return path.join(this.dir, 'routes.json')
  }

  async route(content) {
    await writeFile(this.file + '.new', typeof content === 'string' ? content : JSON.stringify({ routes: content }))
    await rename(this.file + '.new', this.file)
  }

  at(address) {
    return `http://${address}:${this.port}`
  }

  get(address, pathname, key) {
    return fetch(this.at(address) + pathname, { headers: key ? { 'X-API-Key': key } : {} })
  }
}

const nameA = '127.0.0.1'
const nameB = '127.0.0.2'
let a, b, router

function client(url, key) {
  const pb = new PocketBase(url)
  pb.autoCancellation(false)
  pb.beforeSend = (to, options) => ({ url: to, options: { ...options, headers: { ...options.headers, 'X-API-Key': key } } })
  return pb
}

function routes() {
  return [
    { project: 'a', hosts: [nameA], url: a.url },
    { project: 'b', hosts: [nameB], url: b.url },
  ]
}

before(async () => {
  a = await Server.start()
  b = await Server.start()
  for (const server of [a, b]) {
    // A server is ready a moment before it shows its first keys.
    await until('the keys', () => /pbk_sec_\w+/.test(server.output))
    server.publishable = /pbk_pub_\w+/.exec(server.output)[0]
    server.secret = /pbk_sec_\w+/.exec(server.output)[0]
    const root = new PocketBase(server.url)
    await root.collection('_superusers').authWithPassword(email, password)
    await root.collections.create({
      name: 'notes', type: 'base', listRule: '', viewRule: '', createRule: '', fields: [{ name: 'text', type: 'text' }],
    })
  }
  router = await Router.start(routes())
})

after(async () => {
  await Promise.all([router, a, b].filter(Boolean).map((server) => server.close()))
})

test('the stock client works through it, live too', async () => {
  const pb = client(router.at(nameA), a.publishable)
  const events = []
  await pb.collection('notes').subscribe('*', (event) => events.push(event))
  const note = await pb.collection('notes').create({ text: 'hello' })
  await until('the event', () => events.find((event) => event.record.id === note.id))
  pb.realtime.disconnect()
  assert.equal((await pb.collection('notes').getOne(note.id)).text, 'hello')
  const other = client(router.at(nameB), b.publishable)
  assert.equal((await other.collection('notes').getList()).totalItems, 0)
})

test('one project’s key is nothing to another', async () => {
  for (const [name, key] of [[nameA, b.secret], [nameB, a.secret]]) {
    const response = await router.get(name, '/api/collections/notes/records', key)
    assert.equal(response.status, 401)
    assert.equal((await response.json()).error.code, 'api_key_unknown')
  }
})

test('unknown names, and what the router says of itself', async () => {
  const response = await router.get('127.0.0.3', '/api/v1/health')
  assert.equal(response.status, 404)
  assert.equal(response.headers.get('x-picobase-forwarded'), 'false')
  const { error } = await response.json()
  assert.equal(error.code, 'project_not_found')
  const id = response.headers.get('x-request-id')
  await until('the access log', () => router.output.includes(id))
  const metrics = await fetch(`http://127.0.0.1:${router.adminPort}/metrics`).then((r) => r.text())
  assert.match(metrics, /picobase_router_requests_total{outcome="project_not_found"} 1/)
})

test('the file is read again, and a bad one changes nothing', async () => {
  await router.route('{"routes": [')
  await until('the complaint', () => router.output.includes('the table stays as it is'))
  assert.equal((await router.get(nameB, '/api/v1/health')).status, 200)
  await router.route([routes()[0], { project: 'b', hosts: [nameB], state: 'off', message: 'Closed for today.' }])
  const stopped = await until('the change', async () => {
    const response = await router.get(nameB, '/api/v1/health')
    const body = await response.json()
    return response.status === 503 && body
  })
  assert.equal(stopped.error.code, 'project_stopped')
  assert.equal(stopped.message, 'Closed for today.')
  await router.route(routes())
  await until('the change back', async () => (await router.get(nameB, '/api/v1/health')).status === 200)
})

test('requests wait for a project that restarts', async () => {
  await b.stop('SIGKILL')
  const waiting = Promise.all(Array.from({ length: 20 }, () => router.get(nameB, '/api/v1/health')))
  const again = await Server.start({ dir: b.dir, port: b.port })
  Object.assign(again, { publishable: b.publishable, secret: b.secret })
  b = again
  for (const response of await waiting) assert.equal(response.status, 200)
})

test('a stop ends streams, and the process with code 0', async () => {
  const own = await Router.start(routes())
  const pb = client(own.at(nameA), a.publishable)
  await pb.collection('notes').subscribe('*', () => {})
  let disconnected = false
  pb.realtime.onDisconnect = () => (disconnected = true)
  const began = Date.now()
  assert.deepEqual(await own.stop(), { code: 0, signal: null })
  assert.ok(Date.now() - began < 10_000, 'the stop waited for a stream')
  await until('the disconnect', () => disconnected || !pb.realtime.isConnected)
  pb.realtime.disconnect()
  await rm(own.dir, { recursive: true })
})

test('names without a table', async () => {
  const port = await freePort()
  const plain = new Server()
  plain.spawn(['router', '--http', `127.0.0.1:${port}`, '--admin', '', '--base-domain', '0.0.1', '--upstream', `http://{project}.0.0.1:${a.port}`], {})
  try {
    // 127.0.0.1 is the project 127 below the domain 0.0.1, at the address 127.0.0.1.
    const response = await until('start', () => fetch(`http://127.0.0.1:${port}/api/v1/health`).catch(() => null))
    assert.equal(response.status, 200)
  } finally {
    await plain.stop()
  }
})

test('what is missing is said', async () => {
  for (const [args, message] of [
    [[], 'give one of --platform, --routes and --upstream'],
    [['--routes', '/does/not/exist'], 'no such file'],
    [['--upstream', 'http://a', '--base-domain', 'example.com'], '{project}'],
    [['--upstream', 'http://{project}'], '--base-domain'],
    [['--platform', 'http://127.0.0.1:1'], 'PICOBASE_ROUTER_TOKEN'],
    [['--routes', router.file, '--trusted-proxies', 'nginx'], '--trusted-proxies'],
    [['--routes', router.file, '--tls', 'auto', '--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--admin', ''], '--cert-dir'],
    [['--routes', router.file, '--tls', 'on'], 'neither off nor auto'],
    [['--nonsense'], '--help'],
  ]) {
    const { code, stderr } = await picobase(['router', ...args])
    assert.equal(code, 1, args.join(' '))
    assert.ok(stderr.includes(message), `${args.join(' ')}: ${stderr}`)
  }
})
