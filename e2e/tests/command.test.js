// The command line and the life of the process.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { email, freePort, password, picobase, Server, until } from '../server.js'

async function inFolder(run) {
  const dir = await mkdtemp(path.join(tmpdir(), 'picobase-e2e-'))
  try {
    return await run(path.join(dir, 'pb_data'), dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

describe('exit codes', () => {
  const wrong = [
    [['serve', '--nope'], 1, /unknown flag: --nope/],
    [['serve', '--api-keys', 'maybe'], 1, /--api-keys/],
    [['serve', '--log-format', 'xml'], 1, /--log-format/],
    [['keys', 'create', '--nope'], 2, /unknown flag: --nope/],
    [['keys', 'create'], 2, /--kind/],
    [['keys', 'create', '--kind', 'secret', '--expires', 'tomorrow'], 2, /--expires/],
    [['keys', 'revoke'], 2, /ID/],
    [['keys', 'frobnicate'], 2, /frobnicate/],
    [['frobnicate'], 2, /frobnicate/],
    [['keys', 'list', '--dir', '/nonexistent/pb_data'], 3, /no project/],
    [['keys', 'list', '--url', 'http://127.0.0.1:1', '--key', 'pbk_sec_x'], 5, /no answer/],
    [['keys', 'list', '--url', 'nonsense', '--key', 'pbk_sec_x'], 2, /URL/],
    [['keys', 'list', '--url', 'http://127.0.0.1:1'], 2, /--key/],
  ]
  for (const [args, code, message] of wrong) {
    test(`picobase ${args.join(' ')} → ${code}`, () =>
      inFolder(async (dir, cwd) => {
        const result = await picobase(args, { cwd })
        assert.equal(result.code, code, result.stderr)
        assert.match(result.stderr, message)
        assert.ok(result.stderr.trim().split('\n').length <= 2, `one clear line, not:\n${result.stderr}`)
        assert.equal(result.stdout, '')
      }))
  }

  test('bad environments are named', () =>
    inFolder(async (dir, cwd) => {
      for (const [env, message] of [
        [{ PORT: 'http' }, /PORT/],
        [{ PICOBASE_SUPERUSER_EMAIL: 'a@example.com' }, /PICOBASE_SUPERUSER_PASSWORD/],
        [{ PICOBASE_SUPERUSER_EMAIL: 'nonsense', PICOBASE_SUPERUSER_PASSWORD: 'correct horse' }, /PICOBASE_SUPERUSER_EMAIL/],
        [{ PICOBASE_PLATFORM_PUBLIC_KEY: 'nonsense', PICOBASE_PROJECT_ID: 'p' }, /platform public key/],
      ]) {
        const result = await picobase(['serve', '--dir', dir], { cwd, env })
        assert.equal(result.code, 1)
        assert.match(result.stderr, message)
      }
    }))

  test('a busy port is one line and exit 1, and makes no keys that nobody sees', () =>
    inFolder(async (dir) => {
      const port = await freePort()
      const holder = createServer().listen(port, '127.0.0.1')
      try {
        const result = await picobase(['serve', '--dir', dir, '--http', `127.0.0.1:${port}`])
        assert.equal(result.code, 1)
        assert.match(result.stderr, /address already in use/)
        assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr)
      } finally {
        holder.close()
      }
      const keys = await picobase(['keys', 'list', '--json', '--dir', dir])
      assert.equal(keys.code, 3, `there is a project already: ${keys.stdout}`)
    }))
})

describe('keys', () => {
  let server
  before(async () => (server = await Server.start()))
  after(() => server?.close())
  const dirArgs = () => ['--dir', server.dir]
  const urlArgs = (key) => ['--url', server.url, '--key', key]

  test('a key made beside the running server works within a second, a revoked one no longer', async () => {
    const created = await picobase(['keys', 'create', '--kind', 'secret', '--label', 'cli', '--scope', 'keys', '--scope', 'records:read', '--json', ...dirArgs()])
    assert.equal(created.code, 0, created.stderr)
    const key = JSON.parse(created.stdout)
    assert.deepEqual(Object.keys(key).sort(), ['created', 'expires', 'id', 'key', 'kind', 'label', 'scopes'])
    assert.deepEqual(key.scopes, ['keys', 'records:read'])
    const start = Date.now()
    await until('the key to work', async () => (await server.fetch('/api/v1/keys', { key: key.key })).status === 200)
    // A second is the promise; the other is for a busy machine.
    assert.ok(Date.now() - start < 2000, `it took ${Date.now() - start} ms`)

    const revoked = await picobase(['keys', 'revoke', key.id, '--yes', ...dirArgs()])
    assert.equal(revoked.code, 0, revoked.stderr)
    await until('the revocation', async () => (await server.fetch('/api/v1/keys', { key: key.key })).body?.error?.code === 'api_key_revoked')
  })

  test('the same over HTTP, with its exit codes', async () => {
    const maker = JSON.parse((await picobase(['keys', 'create', '--kind', 'secret', '--scope', '*', '--json', ...dirArgs()])).stdout).key
    await until('the key to work', async () => (await server.fetch('/api/v1/keys', { key: maker })).status === 200)
    const created = JSON.parse((await picobase(['keys', 'create', '--kind', 'publishable', '--label', 'web', '--expires', '90d', '--json', ...urlArgs(maker)])).stdout)
    assert.match(created.key, /^pbk_pub_/)
    assert.ok(new Date(created.expires) > new Date())

    const listed = await picobase(['keys', 'list', ...urlArgs(maker)])
    assert.match(listed.stdout, new RegExp(created.id))
    assert.ok(!listed.stdout.includes(created.key), 'the list shows a whole key')

    const rotated = await picobase(['keys', 'rotate', created.id, '--grace', '1h', '--json', ...urlArgs(maker)])
    assert.equal(rotated.code, 0, rotated.stderr)
    assert.notEqual(JSON.parse(rotated.stdout).key, created.key)

    assert.equal((await picobase(['keys', 'revoke', 'nothere', '--yes', ...urlArgs(maker)])).code, 3)
    assert.equal((await picobase(['keys', 'list', ...urlArgs(server.publishable)])).code, 4)
    assert.equal((await picobase(['keys', 'revoke', created.id, ...urlArgs(maker)])).code, 2, 'without a terminal it needs --yes')
    assert.equal((await picobase(['keys', 'list'], { env: { PICOBASE_URL: server.url, PICOBASE_API_KEY: maker } })).code, 0)
  })

  test('usage and logs', async () => {
    await server.fetch('/api/health', { key: server.publishable })
    const usage = await picobase(['usage', '--interval', 'total', '--json', ...dirArgs()])
    assert.equal(usage.code, 0, usage.stderr)
    await until('the request in the log', async () => (await picobase(['logs', '--json', ...dirArgs()])).stdout.includes('/api/health'))
    assert.equal((await picobase(['logs', '--tail', ...dirArgs()])).code, 2)
  })

  test('changes by the command line are in the audit trail', async () => {
    const trail = await server.fetch('/api/v1/audit?action=key.created&actorKind=cli', { token: await server.superuserToken() })
    assert.ok(trail.body.totalItems > 0, JSON.stringify(trail.body))
  })
})

describe('the process', () => {
  test('the first start prints keys once, the second none; nothing is written outside of the folder', () =>
    inFolder(async (dir, outside) => {
      let server = await Server.start({ dir, superuser: false, env: { HOME: outside } })
      assert.ok(server.publishable && server.secret, server.output)
      assert.match(server.output, /pbinstall/)
      const [, command] = /Try it:\s+(curl .*)\n/.exec(server.output)
      const [, header, url] = /^curl -H '(.*)' (\S+)$/.exec(command)
      const [name, value] = header.split(': ')
      assert.equal((await fetch(url, { headers: { [name]: value } })).status, 200, 'the printed curl line does not work')
      assert.deepEqual(await server.stop(), { code: 0, signal: null })
      assert.deepEqual(await readdir(outside), ['pb_data'])

      server = await Server.start({ dir })
      assert.equal(server.secret, undefined, server.output)
      assert.ok(await server.superuserToken(), 'the superuser of the environment')
      await server.stop()
    }))

  test('the superuser of the environment is made once and never changed', () =>
    inFolder(async (dir) => {
      let server = await Server.start({ dir })
      await server.stop()
      server = await Server.start({ dir, env: { PICOBASE_SUPERUSER_PASSWORD: 'another password' } })
      assert.ok(await server.superuserToken())
      await server.stop()
    }))

  test('PORT is honoured, logs are JSON', async () => {
    await inFolder(async (dir) => {
      const port = await freePort()
      const server = new Server()
      server.dir = dir
      server.url = `http://127.0.0.1:${port}`
      server.spawn(['serve', '--dir', dir, '--log-format', 'json'], { PORT: String(port) })
      await server.ready()
      await until('the log', () => server.secret ?? (server.secret = /pbk_sec_\w+/.exec(server.output)?.[0]))
      await server.stop()
      for (const line of server.output.trim().split('\n')) JSON.parse(line)
      assert.equal((await picobase(['healthcheck'], { env: { PORT: String(port) } })).code, 5)
    })
  })

  test('a stop lets the request in flight finish', async () => {
    const server = await Server.start()
    try {
      const token = await server.superuserToken()
      const upload = JSON.stringify({ name: 'slow', type: 'base' })
      // The first half of a body keeps the request in flight.
      const request = httpRequest(server.url + '/api/collections', {
        method: 'POST',
        headers: { Authorization: token, 'Content-Type': 'application/json', 'Content-Length': upload.length },
      })
      const answered = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject))
      request.write(upload.slice(0, 10))
      await until('the request to be in flight', async () => {
        const metrics = await (await fetch(server.url + '/metrics')).text()
        return Number(/^picobase_requests_in_flight (\d+)/m.exec(metrics)?.[1]) >= 1
      })
      server.process.kill('SIGTERM')
      await until('the drain', async () => (await fetch(server.url + '/api/v1/ready')).status === 503)
      const refused = await server.fetch('/api/health', { key: server.publishable })
      assert.equal(refused.status, 503)
      assert.equal(refused.body.error.code, 'draining')
      assert.ok(refused.headers.get('retry-after'))
      request.end(upload.slice(10))
      const response = await answered
      assert.equal(response.statusCode, 200)
      response.resume()
      assert.deepEqual(await server.exited, { code: 0, signal: null })
    } finally {
      await server.close()
    }
  })

  test('a stop tells realtime clients before it ends their streams', async () => {
    const server = await Server.start()
    try {
      const stream = await fetch(server.url + '/api/realtime')
      const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader()
      let seen = ''
      const readUntil = async (text) => {
        while (!seen.includes(text)) {
          const { value, done } = await reader.read()
          if (done) return false
          seen += value
        }
        return true
      }
      assert.ok(await readUntil('PB_CONNECT'))
      server.process.kill('SIGTERM')
      assert.ok(await readUntil('pico_shutdown'), `the stream ended without a word: ${seen}`)
      assert.match(seen, /"reconnect":true/)
      assert.equal(await readUntil('nothing more'), false, 'the stream ends by itself')
      assert.deepEqual(await server.exited, { code: 0, signal: null })
    } finally {
      await server.close()
    }
  })

  test('usage survives a stop to the last request, a kill to the last two seconds', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'picobase-e2e-'))
    let server = await Server.start({ dir })
    const key = server.publishable
    const count = async (token) => {
      const { body } = await server.fetch('/api/v1/usage?interval=total&route=other&groupBy=status', { token })
      return body.total.requests
    }
    const knock = async (times) => {
      for (let i = 0; i < times; i++) await server.fetch('/nothing/here', { key })
    }
    await knock(20)
    await server.stop()
    server = await Server.start({ dir })
    const token = await server.superuserToken()
    assert.equal(await count(token), 20)
    await knock(10)
    await until('the flush', async () => (await picobase(['usage', '--interval', 'total', '--route', 'other', '--json', '--dir', dir]).then((r) => JSON.parse(r.stdout).total.requests)) === 30)
    await server.stop('SIGKILL')
    server = await Server.start({ dir })
    assert.equal(await count(await server.superuserToken()), 30)
    await server.close()
  })

  test('the folder stays small and private', () =>
    inFolder(async (dir) => {
      const server = await Server.start({ dir })
      await server.stop()
      const entries = await readdir(dir)
      for (const entry of entries) assert.ok(!entry.startsWith('.pico_tmp') || (await stat(path.join(dir, entry))).mode % 0o100 === 0, entry)
    }))
})

test('stock superuser command', () =>
  inFolder(async (dir) => {
    const made = await picobase(['superuser', 'upsert', email, password, '--dir', dir])
    assert.equal(made.code, 0, made.stderr)
    const wrong = await picobase(['superuser', 'upsert', 'nonsense', 'x', '--dir', dir])
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /email/)
    const server = await Server.start({ dir, superuser: false })
    assert.ok(await server.superuserToken())
    await server.stop()
  }))
