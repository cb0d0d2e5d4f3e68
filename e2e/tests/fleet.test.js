// What a server does for the fleet around it: sockets, routers in front, keys that
// somebody else has made, whether it may sleep, and how it goes.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import { describe, test } from 'node:test'
import { EventSource } from 'eventsource'
import { folders, get, post, servers } from '../backups.js'
import { email, password, picobase, Server, until } from '../server.js'

/** Requests a path through a socket and returns { status, headers, body }. */
function through(socketPath, pathname, { method = 'GET', headers = {}, json } = {}) {
  return new Promise((resolve, reject) => {
    const body = json === undefined ? undefined : JSON.stringify(json)
    const request = http.request({ socketPath, path: pathname, method, headers: { ...headers, ...(body ? { 'Content-Type': 'application/json' } : {}) } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: JSON.parse(text || 'null') }))
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** A server at a socket. */
async function atSocket(t, dir, env = {}) {
  const server = new Server()
  server.dir = dir
  server.socket = path.join(path.dirname(dir), 's')
  server.spawn(['serve', '--dir', dir, '--http', `unix:${server.socket}`], { PICOBASE_SUPERUSER_EMAIL: email, PICOBASE_SUPERUSER_PASSWORD: password, ...env })
  t.after(() => server.stop('SIGKILL'))
  await until('start', async () => {
    if (server.process.exitCode !== null) throw new Error(server.output)
    return through(server.socket, '/api/v1/ready').then((answer) => answer.status === 200, () => false)
  })
  const answer = await through(server.socket, '/api/collections/_superusers/auth-with-password', { method: 'POST', json: { identity: email, password } })
  server.token = answer.body.token
  return server
}

describe('sockets', { concurrency: true }, () => {
  test('a server at a socket, for its own user alone', async (t) => {
    const dir = await (await folders(t))()
    const first = await atSocket(t, dir)
    assert.equal((await stat(first.socket)).mode & 0o777, 0o600)
    assert.match(first.output, new RegExp(`Socket +${first.socket}`))
    assert.match(first.output, new RegExp(`curl --unix-socket ${first.socket} -H 'X-API-Key: pbk_pub_`))
    assert.doesNotMatch(first.output, /localhost\/_\//)
    assert.equal((await picobase(['healthcheck', '--url', `unix:${first.socket}`])).code, 0)
    const key = /pbk_sec_\w+/.exec(first.output)[0]
    const made = await through(first.socket, '/api/v1/keys', { method: 'POST', headers: { Authorization: first.token }, json: { kind: 'secret', scopes: ['keys'] } })
    const listed = await picobase(['keys', 'list', '--json', '--url', `unix://${first.socket}`, '--key', made.body.key])
    assert.equal(listed.code, 0, listed.stderr)
    assert.notEqual(key, made.body.key)

    // The socket of a server that answers is not taken, that of a killed one is.
    const other = await picobase(['serve', '--dir', `${dir}-2`, '--http', `unix:${first.socket}`])
    assert.equal(other.code, 1)
    assert.match(other.stderr, /another server answers there/)
    await first.stop('SIGKILL')
    assert.equal((await picobase(['healthcheck', '--url', `unix:${first.socket}`])).code, 5)
    const second = await atSocket(t, dir)
    assert.deepEqual(await second.stop(), { code: 0, signal: null })
    await assert.rejects(stat(second.socket), /ENOENT/)
  })

  test('what is no socket is left alone', async (t) => {
    const dir = await (await folders(t))()
    const refused = await picobase(['serve', '--dir', dir, '--http', `unix:${process.execPath}`])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /something else of that name/)
    const closed = await picobase(['serve', '--dir', `${dir}-2`, '--http', 'fd:77'])
    assert.equal(closed.code, 1)
    assert.match(closed.stderr, /no listener that was opened for this process/)
  })

  test('a restore restarts it at its socket', async (t) => {
    const dir = await (await folders(t))()
    const server = await atSocket(t, dir)
    const headers = { Authorization: server.token }
    const backup = await through(server.socket, '/api/v1/backups', { method: 'POST', headers, json: {} })
    assert.ok(backup.status < 300, JSON.stringify(backup.body))
    const id = await until('the backup', async () => (await through(server.socket, '/api/v1/backups', { headers })).body.items.find((b) => b.status === 'ok')?.id)
    await through(server.socket, `/api/v1/backups/${id}/restore`, { method: 'POST', headers, json: {} })
    await until('the restart', async () => {
      const answer = await through(server.socket, '/api/v1/backups/pitr', { headers }).catch(() => null)
      return answer?.body?.lastRestore?.status === 'done'
    })
  })
})

describe('behind a router', { concurrency: true }, () => {
  const client = '198.51.100.7'

  for (const { name, routers, trusted } of [
    { name: 'named by its network', routers: '127.0.0.0/8', trusted: true },
    { name: 'that is none', routers: '10.0.0.0/8', trusted: false },
    { name: 'while nothing is configured', routers: '', trusted: false },
  ]) {
    test(`a peer ${name} ${trusted ? 'says' : 'does not say'} who the client is`, async (t) => {
      const server = await servers(t).start({ env: { PICOBASE_ROUTERS: routers } })
      const forwarded = { 'X-Forwarded-For': `6.6.6.6, ${client}` }
      const seen = trusted ? client : '127.0.0.1'

      // The log.
      await server.fetch('/api/collections/notes/records?seen=1', { token: server.token, headers: forwarded })
      const entry = await until('the log', async () => (await get(server, '/api/v1/logs')).items.find((e) => JSON.stringify(e).includes('seen=1')))
      assert.ok(JSON.stringify(entry).includes(`"${seen}"`), JSON.stringify(entry))

      // PocketBase's realtime check: who subscribes must be who connected.
      const source = new EventSource(`${server.url}/api/realtime`, { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...forwarded } }) })
      t.after(() => source.close())
      const clientId = await new Promise((resolve) => source.addEventListener('PB_CONNECT', (e) => resolve(JSON.parse(e.data).clientId)))
      const subscribe = (address) => server.fetch('/api/realtime', { token: server.token, json: { clientId, subscriptions: ['notes/*'] }, headers: { 'X-Forwarded-For': address } })
      assert.equal((await subscribe('203.0.113.9')).status, trusted ? 400 : 204)
      assert.equal((await subscribe(client)).status, 204)
      source.close()

      // The allowlist, and rate limits by address.
      await post(server, '/api/v1/settings', { ipAllowlist: { enabled: true, cidrs: [client, '127.0.0.1'] } }, { method: 'PATCH' })
      const from = (address, key) => server.fetch('/api/collections/notes/records', { key, headers: { 'X-Forwarded-For': address } })
      assert.equal((await from(client, server.publishable)).status, 200)
      assert.equal((await from('203.0.113.9', server.publishable)).status, trusted ? 403 : 200)
      const limits = { enabled: true, perIP: { rate: 0.001, burst: 3 }, perKey: { rate: 1000, burst: 1000 } }
      await post(server, '/api/v1/settings', { rateLimits: limits, ipAllowlist: { enabled: false } }, { method: 'PATCH' })
      const answers = []
      for (let i = 0; i < 6; i++) answers.push((await from(`192.0.2.${i}`, server.publishable)).status)
      assert.equal(answers.includes(429), !trusted, `from six addresses: ${answers}`)
    })
  }

  test('at a socket', async (t) => {
    for (const [routers, seen] of [['unix', client], ['127.0.0.0/8', '127.0.0.1']]) {
      const server = await atSocket(t, await (await folders(t))(), { PICOBASE_ROUTERS: routers })
      const headers = { Authorization: server.token }
      await through(server.socket, '/api/collections/users/records?seen=1', { headers: { ...headers, 'X-Forwarded-For': client } })
      const entry = await until('the log', async () => (await through(server.socket, '/api/v1/logs', { headers })).body.items.find((e) => JSON.stringify(e).includes('seen=1')))
      assert.ok(JSON.stringify(entry).includes(`"${seen}"`), `${routers}: ${JSON.stringify(entry)}`)
    }
  })

  test('a list that does not parse stops the start', async (t) => {
    const refused = await servers(t).refused({ env: { PICOBASE_ROUTERS: 'router.internal' } })
    assert.match(refused.output ?? refused.stderr, /PICOBASE_ROUTERS: .*neither a network/)
  })
})

test('the first keys are those that the environment has hashes of', async (t) => {
  const { start, refused } = servers(t)
  const donor = await start()
  const stored = (kind, key, more) => ({ kind, hash: createHash('sha256').update(key).digest('hex'), lastFour: key.slice(-4), label: `${kind} of the platform`, ...more })
  const keys = JSON.stringify([stored('publishable', donor.publishable), stored('secret', donor.secret, { scopes: ['usage', 'keys'] })])
  const server = await start({ env: { PICOBASE_FIRST_KEYS: keys } })
  assert.equal(server.publishable, undefined, 'no key is announced')
  assert.equal((await server.fetch('/api/health', { key: donor.publishable })).status, 200)
  const { body } = await server.fetch('/api/v1/keys', { key: donor.secret })
  assert.deepEqual(body.items.map((k) => k.label).sort(), ['publishable of the platform', 'secret of the platform'])
  assert.equal((await server.fetch('/api/v1/settings', { key: donor.secret })).status, 403, 'its scopes are as given')

  // They mean nothing to a folder with keys.
  await donor.stop()
  const again = await start({ dir: donor.dir, env: { PICOBASE_FIRST_KEYS: JSON.stringify([stored('publishable', `${donor.publishable}x`)]) } })
  assert.equal((await again.fetch('/api/health', { key: donor.publishable })).status, 200)
  const wrong = await refused({ env: { PICOBASE_FIRST_KEYS: '[{"kind":"secret"}]' } })
  assert.match(wrong.output ?? wrong.stderr, /PICOBASE_FIRST_KEYS: key 1: hash/)
})

test('it tells whether it may sleep', async (t) => {
  const server = await servers(t).start()
  const due = () => get(server, '/api/v1/due')
  const begin = await due()
  assert.deepEqual(begin.busy, [])
  assert.equal(begin.synced, true)
  // Probes and the question itself are no use.
  for (const probe of ['/api/v1/health', '/api/v1/live', '/api/v1/ready', '/metrics']) await server.fetch(probe, { token: server.token })
  assert.equal((await due()).idleSince, begin.idleSince)

  await server.fetch('/api/collections/notes/records', { token: server.token })
  assert.ok((await due()).idleSince > begin.idleSince)

  const source = new EventSource(`${server.url}/api/realtime`)
  t.after(() => source.close())
  await new Promise((resolve) => source.addEventListener('PB_CONNECT', resolve))
  const stop = new AbortController()
  const tail = await fetch(`${server.url}/api/v1/logs/stream`, { headers: { Authorization: server.token }, signal: stop.signal })
  assert.equal(tail.status, 200)
  assert.deepEqual((await due()).busy, [{ what: 'realtime streams', count: 1 }, { what: 'log streams', count: 1 }])
  source.close()
  stop.abort()
  await until('the end of the streams', async () => (await due()).busy.length === 0)

  // A request that is under way.
  const slow = http.request(`${server.url}/api/collections/notes/records`, { method: 'POST', headers: { Authorization: server.token, 'Content-Type': 'application/json', 'Content-Length': 100 } })
  slow.on('error', () => {})
  slow.write('{')
  await until('the request', async () => JSON.stringify((await due()).busy) === '[{"what":"requests","count":1}]')
  slow.destroy()

  // What was written is brought to the replica by the question.
  await post(server, '/api/collections/notes/records', { body: 'x' })
  assert.equal((await due()).synced, true)
})

test('while it drains, its refusals say that they can be sent again', async (t) => {
  const server = await servers(t).start()
  // Something must be under way for it to wait for.
  const slow = http.request(`${server.url}/api/collections/notes/records`, { method: 'POST', headers: { Authorization: server.token, 'Content-Type': 'application/json', 'Content-Length': 3 } })
  slow.on('error', () => {})
  slow.write('{')
  await until('the request', async () => (await get(server, '/api/v1/due')).busy.length > 0)
  server.process.kill('SIGTERM')
  const refused = await until('the drain', async () => {
    const answer = await server.fetch('/api/collections/notes/records', { key: server.publishable, headers: { Origin: 'https://app.example.com' } })
    return answer.status === 503 && answer
  })
  assert.equal(refused.body.error.code, 'draining')
  assert.equal(refused.headers.get('x-picobase-forwarded'), 'false')
  assert.equal(refused.headers.get('access-control-allow-origin'), '*', 'a page can read it')
  for (const name of ['X-PicoBase-Forwarded', 'Retry-After', 'X-Request-Id']) {
    assert.ok(refused.headers.get('access-control-expose-headers').includes(name), name)
  }
  slow.end('}}')
  assert.equal((await server.exited).code, 0)
})

test('it leaves its exit code where it is told to', async (t) => {
  const dir = await (await folders(t))()
  const file = path.join(path.dirname(dir), 'exit')
  const server = await Server.start({ dir, env: { PICOBASE_EXIT_FILE: file } })
  t.after(() => server.stop('SIGKILL'))
  await server.stop()
  assert.equal(await readFile(file, 'utf8'), '0\n')
  const failed = await picobase(['serve', '--dir', dir, '--http', 'nonsense'], { env: { PICOBASE_EXIT_FILE: file } })
  assert.equal(await readFile(file, 'utf8'), `${failed.code}\n`)
})
