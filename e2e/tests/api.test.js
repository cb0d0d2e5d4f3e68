// PicoBase's own API on the real binary: errors, settings, limits, CORS, usage,
// logs, audit, probes, description.

import assert from 'node:assert/strict'
import { generateKeyPairSync, sign as sign25519 } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { Validator } from '@seriousme/openapi-schema-validator'
import { picobase, Server, until } from '../server.js'

let server
let token

before(async () => {
  server = await Server.start()
  token = await server.superuserToken()
})
after(() => server?.close())

const patch = (json) => server.fetch('/api/v1/settings', { method: 'PATCH', token, json })

function assertShape(answer, status, code) {
  assert.equal(answer.status, status, JSON.stringify(answer.body))
  assert.equal(answer.body.error.code, code)
  assert.equal(answer.body.status, status)
  assert.equal(answer.body.message, answer.body.error.message)
  assert.ok(answer.body.data && answer.body.error.details)
  assert.ok(answer.headers.get('x-request-id'))
}

describe('errors have one shape', () => {
  test('unknown routes', async () => {
    assertShape(await server.fetch('/nothing/here', { key: server.publishable }), 404, 'not_found')
    assertShape(await server.fetch('/api/nothing', { key: server.publishable, method: 'PUT' }), 404, 'not_found')
    assertShape(await server.fetch('/nothing/here'), 401, 'api_key_required')
  })
  test('over-size bodies, announced and not', async () => {
    const large = JSON.stringify({ identity: 'x'.repeat(33 << 20) })
    const path = '/api/collections/users/auth-with-password'
    const headers = { 'Content-Type': 'application/json' }
    assertShape(await server.fetch(path, { key: server.publishable, method: 'POST', body: large, headers }), 413, 'body_too_large')
    const unannounced = await new Promise((resolve, reject) => {
      const request = httpRequest(server.url + path, { method: 'POST', headers: { ...headers, 'X-API-Key': server.publishable, 'Transfer-Encoding': 'chunked' } })
      request.on('error', reject).on('response', async (response) => {
        const body = JSON.parse(Buffer.concat(await response.toArray()).toString())
        resolve({ status: response.statusCode, headers: new Headers(response.headers), body })
      })
      request.end(large)
    })
    assertShape(unannounced, 413, 'body_too_large')
  })
  test('broken JSON', async () => {
    const answer = await server.fetch('/api/collections/users/auth-with-password', { key: server.publishable, method: 'POST', body: '{', headers: { 'Content-Type': 'application/json' } })
    assert.equal(answer.status, 400)
    assert.ok(answer.body.error.code)
  })
  test('request ids go in and out, harmful ones are replaced', async () => {
    const given = await server.fetch('/api/health', { key: server.publishable, headers: { 'X-Request-Id': 'abc-123' } })
    assert.equal(given.headers.get('x-request-id'), 'abc-123')
    const harmful = await server.fetch('/api/health', { key: server.publishable, headers: { 'X-Request-Id': '<script>' } })
    assert.match(harmful.headers.get('x-request-id'), /^[\w.-]+$/)
  })
})

describe('settings', () => {
  test('a broken patch changes nothing and names the field', async () => {
    const before = (await server.fetch('/api/v1/settings', { token })).body
    for (const [json, field] of [
      [{ cors: { origins: ['example.com'] } }, 'cors.origins'],
      [{ cors: { origins: ['*'], credentials: true } }, 'cors.credentials'],
      [{ rateLimits: { perKey: { rate: -1 } } }, 'rateLimits.perKey.rate'],
      [{ ipAllowlist: { enabled: true } }, 'ipAllowlist.cidrs'],
      [{ ipAllowlist: { cidrs: ['somewhere'] } }, 'ipAllowlist.cidrs'],
      [{ ipAllowlist: { enabled: true, cidrs: ['203.0.113.0/24'] } }, 'ipAllowlist.cidrs'], // would lock the caller out
      [{ usage: { retentionDays: 0 } }, 'usage.retentionDays'],
      [{ audit: { retentionDays: 1 } }, 'audit.retentionDays'],
      [{ auth: { redirectURLs: ['https://example.com*'] } }, 'auth.redirectURLs'],
      [{ cors: { maxAge: 60, origin: 'x' } }, 'origin'],
      [{ unknown: true }, 'unknown'],
      [{ cors: { maxAge: '60' } }, 'cors.maxAge'],
    ]) {
      const answer = await patch(json)
      assertShape(answer, 400, 'validation_failed')
      assert.ok(answer.body.message.startsWith(field + ':'), `${JSON.stringify(json)}: ${answer.body.message}`)
    }
    assert.deepEqual((await server.fetch('/api/v1/settings', { token })).body, before)
  })
  test('survive a restart', async () => {
    assert.equal((await patch({ usage: { retentionDays: 7 } })).body.usage.retentionDays, 7)
    await server.stop()
    const next = await Server.start({ dir: server.dir })
    next.publishable = server.publishable
    next.secret = server.secret
    server = next
    assert.equal((await server.fetch('/api/v1/settings', { token })).body.usage.retentionDays, 7)
  })
  test('need the scope', async () => {
    assertShape(await server.fetch('/api/v1/settings', { key: server.secret }), 403, 'api_key_scope_required')
    assertShape(await server.fetch('/api/v1/settings', { key: server.publishable }), 403, 'secret_key_required')
    assertShape(await server.fetch('/api/v1/settings'), 401, 'api_key_required')
  })
})

describe('access', () => {
  test('CORS follows the settings at once, on errors too', async () => {
    await patch({ cors: { origins: ['https://*.example.com'], credentials: true, maxAge: 60 } })
    try {
      const headers = { Origin: 'https://app.example.com' }
      const preflight = await server.fetch('/api/collections/x/records', { method: 'OPTIONS', headers: { ...headers, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-api-key' } })
      assert.equal(preflight.status, 204)
      assert.equal(preflight.headers.get('access-control-allow-origin'), headers.Origin)
      assert.equal(preflight.headers.get('access-control-max-age'), '60')
      assert.match(preflight.headers.get('access-control-allow-headers'), /x-api-key/i)
      const refused = await server.fetch('/api/health', { headers })
      assert.equal(refused.status, 401)
      assert.equal(refused.headers.get('access-control-allow-origin'), headers.Origin)
      assert.equal(refused.headers.get('access-control-allow-credentials'), 'true')
      for (const name of ['X-Request-Id', 'Retry-After', 'RateLimit', 'RateLimit-Policy']) {
        assert.match(refused.headers.get('access-control-expose-headers'), new RegExp(name, 'i'))
      }
      for (const Origin of ['https://example.com', 'https://example.com.evil.net', 'http://app.example.com', 'https://evilexample.com']) {
        const stranger = await server.fetch('/api/health', { key: server.publishable, headers: { Origin } })
        assert.equal(stranger.headers.get('access-control-allow-origin'), null, Origin)
      }
    } finally {
      await patch({ cors: { origins: ['*'], credentials: false, maxAge: 7200 } })
    }
  })

  test('rate limits answer JSON 429 with the headers, per key', async () => {
    const created = await server.fetch('/api/v1/keys', { token, json: { kind: 'secret', rateLimit: { rate: 0.1, burst: 3 } } })
    const key = created.body.key
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(await server.fetch('/api/health', { key }))
    assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 429])
    assertShape(answers[3], 429, 'rate_limited')
    assert.ok(Number(answers[3].headers.get('retry-after')) >= 1)
    assert.match(answers[3].headers.get('ratelimit-policy'), /q=3/)
    assert.match(answers[0].headers.get('ratelimit'), /r=2/)
    assert.equal((await server.fetch('/api/health', { key: server.publishable })).status, 200, 'another key')
  })

  test('an address outside of the list is turned away, whatever it claims', async () => {
    // The whole of 127/8 is this machine, so 127.0.0.2 can be the stranger.
    const from = (localAddress, headers = {}) =>
      new Promise((resolve, reject) => {
        httpRequest(server.url + '/api/health', { localAddress, headers: { 'X-API-Key': server.publishable, ...headers } }, async (response) => {
          resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(await response.toArray()).toString()) })
        }).on('error', reject).end()
      })
    const claims = { 'X-Forwarded-For': '127.0.0.1', 'X-Real-IP': '127.0.0.1', Forwarded: 'for=127.0.0.1' }
    assert.equal((await from('127.0.0.2')).status, 200)
    await patch({ ipAllowlist: { enabled: true, cidrs: ['127.0.0.1/32'] } })
    try {
      assert.equal((await from('127.0.0.1')).status, 200)
      for (const headers of [{}, claims]) {
        const refused = await from('127.0.0.2', headers)
        assert.equal(refused.status, 403)
        assert.equal(refused.body.error.code, 'ip_not_allowed')
      }
      // Behind a proxy the header counts, but from that proxy only.
      await server.fetch('/api/settings', { method: 'PATCH', token, json: { trustedProxy: { headers: ['X-Forwarded-For'] } } })
      assert.equal((await patch({ ipAllowlist: { trustedProxies: ['127.0.0.3'] } })).status, 200)
      assert.equal((await from('127.0.0.2', claims)).status, 403, 'a stranger was believed')
      assert.equal((await from('127.0.0.3', claims)).status, 200, 'the proxy was not believed')
    } finally {
      await server.fetch('/api/settings', { method: 'PATCH', token, json: { trustedProxy: { headers: [] } } })
      await patch({ ipAllowlist: { enabled: false, cidrs: [], trustedProxies: [] } })
    }
  })

  test('a thousand wrong keys a second do not slow the right ones', async () => {
    const wrong = 'pbk_sec_' + 'x'.repeat(38)
    let flooding = true
    let refused = 0
    let limited = 0
    const flood = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (flooding) {
          const { status } = await server.fetch('/api/health', { key: wrong })
          if (status === 401) refused++
          else if (status === 429) limited++
          else assert.fail(`a wrong key was answered ${status}`)
        }
      }),
    )
    await until('the flood', () => refused + limited > 1000)
    for (let i = 0; i < 50; i++) {
      assert.equal((await server.fetch('/api/health', { key: server.publishable })).status, 200, 'a right key from the same address')
    }
    flooding = false
    await flood
    assert.ok(limited > 0, 'guessing is limited too')
  })

  test('requests that two servers could read differently are refused', async () => {
    const raw = (text) =>
      new Promise((resolve, reject) => {
        let answer = ''
        const socket = connect(server.port, '127.0.0.1', () => socket.write(text))
        socket.on('data', (data) => (answer += data)).on('close', () => resolve(answer)).on('error', reject)
      })
    const inner = `GET /api/v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\nConnection: close\r\n\r\n`
    const start = 'POST /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
    for (const [name, text] of [
      ['two lengths', `${start}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`],
      ['an unknown coding', `${start}Transfer-Encoding: xchunked\r\n\r\n${inner}`],
      ['a coding hidden by a space', `${start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`],
      ['two hosts', `GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`],
      ['a key hidden by a space', `GET /api/health HTTP/1.1\r\nHost: x\r\nX-API-Key : ${server.publishable}\r\nConnection: close\r\n\r\n`],
    ]) {
      const answer = await raw(text)
      assert.match(answer, /^HTTP\/1.1 (400|501)/, `${name}: ${answer}`)
      assert.ok(!answer.includes('totalItems'), `${name}: the inner request was served`)
    }
  })
})

describe('usage, logs, audit', () => {
  test('usage by key', async () => {
    const created = (await server.fetch('/api/v1/keys', { token, json: { kind: 'publishable', label: 'counted' } })).body
    for (let i = 0; i < 7; i++) await server.fetch('/api/health', { key: created.key })
    const usage = await server.fetch(`/api/v1/usage?interval=total&key=${created.id}`, { token })
    assert.equal(usage.body.total.requests, 7, JSON.stringify(usage.body))
    assert.ok(usage.body.total.bytesOut > 0 && usage.body.total.latency.p99 > 0)
    await until('the last use', async () => (await server.fetch(`/api/v1/keys/${created.id}`, { token })).body.lastUsed)
  })

  test('the log has key, route and request id, and follows live', async () => {
    const stream = await fetch(server.url + '/api/v1/logs/stream?status=404', { headers: { Authorization: token } })
    assert.equal(stream.headers.get('content-type').split(';')[0], 'text/event-stream')
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader()
    await server.fetch('/nothing/live', { key: server.publishable, headers: { 'X-Request-Id': 'live-1' } })
    let seen = ''
    while (!seen.includes('live-1')) {
      const { value, done } = await reader.read()
      assert.ok(!done, 'the stream ended')
      seen += value
    }
    assert.match(seen, /event: ?log/)
    await reader.cancel()
    const stored = await until('the log', async () => {
      const { body } = await server.fetch('/api/v1/logs?requestId=live-1', { token })
      return body.items?.[0]
    })
    assert.equal(stored.data.status, 404)
    assert.ok(stored.data.meta.keyId && stored.data.meta.route)
  })

  test('the live log of a key ends when the key is revoked', async () => {
    const { key, id } = (await server.fetch('/api/v1/keys', { token, json: { kind: 'secret', scopes: ['logs'] } })).body
    const stream = await fetch(server.url + '/api/v1/logs/stream', { headers: { 'X-API-Key': key } })
    assert.equal(stream.status, 200)
    const ended = stream.text().then((text) => text)
    await server.fetch('/api/v1/keys/' + id, { method: 'DELETE', token })
    await server.fetch('/after/revocation', { key: server.publishable })
    assert.ok(!(await ended).includes('/after/revocation'), 'a revoked key went on reading')
  })

  test('audit says who, from where, what, before and after, and hides secrets', async () => {
    await patch({ audit: { retentionDays: 100 } })
    const settings = (await server.fetch('/api/v1/audit?action=settings.updated', { token })).body.items[0]
    assert.equal(settings.actor.kind, 'superuser')
    assert.ok(settings.ip && settings.requestId && settings.created)
    assert.equal(settings.before.audit.retentionDays, 365)
    assert.equal(settings.after.audit.retentionDays, 100)

    await server.fetch('/api/settings', { method: 'PATCH', token, json: { smtp: { enabled: true, host: 'mail.example.com', port: 587, username: 'me', password: 'hunter2hunter2' } } })
    const all = await fetch(server.url + '/api/v1/audit?format=ndjson', { headers: { Authorization: token } })
    const text = await all.text()
    assert.ok(text.split('\n').filter(Boolean).every((line) => JSON.parse(line).id))
    assert.ok(text.includes('mail.example.com'))
    for (const secret of ['hunter2hunter2', server.secret, server.publishable]) assert.ok(!text.includes(secret))
  })

  test('audit is append-only for superusers and keys', async () => {
    const all = (await server.fetch('/api/v1/keys', { token, json: { kind: 'secret', scopes: ['*'] } })).body.key
    const total = (await server.fetch('/api/v1/audit', { token })).body.totalItems
    for (const sql of ['DELETE FROM _pico_audit', 'UPDATE _pico_audit SET action = 1', 'DROP TABLE _pico_audit', 'DROP TRIGGER _pico_audit_no_update']) {
      assert.ok((await server.fetch('/api/sql', { token, json: { query: sql } })).status >= 400, sql)
      assert.equal((await server.fetch('/api/sql', { key: all, json: { query: sql } })).status, 403, sql)
    }
    for (const auth of [{ token }, { key: all }]) {
      assert.ok((await server.fetch('/api/collections/_pico_audit/records', auth)).status >= 400)
      assert.ok((await server.fetch('/api/v1/audit', { method: 'DELETE', ...auth })).status >= 400)
    }
    assert.ok((await server.fetch('/api/v1/audit', { token })).body.totalItems >= total)
  })
})

describe('probes', () => {
  test('health, live, ready need no key; metrics stay inside', async () => {
    for (const name of ['live', 'ready', 'health']) {
      const answer = await server.fetch('/api/v1/' + name)
      assert.equal(answer.status, 200, name)
      assert.ok(answer.body.status)
    }
    assert.equal((await server.fetch('/metrics')).status, 200)
    assert.ok([401, 403].includes((await server.fetch('/metrics', { headers: { 'X-Forwarded-For': '203.0.113.5' } })).status))
    assert.equal((await server.fetch('/metrics', { token, headers: { 'X-Forwarded-For': '203.0.113.5' } })).status, 200)
    const metrics = (await server.fetch('/metrics')).body
    for (const name of ['picobase_http_requests_total', 'picobase_http_request_duration_seconds_bucket', 'picobase_key_rejections_total', 'picobase_rate_limited_total', 'picobase_db_size_bytes', 'picobase_wal_size_bytes', 'go_goroutines']) {
      assert.ok(metrics.includes('\n' + name), name)
    }
  })
})

describe('openapi.json', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { body, status } = await server.fetch('/api/v1/openapi.json', { key: server.publishable })
    assert.equal(status, 200)
    assert.equal(body.openapi, '3.1.0')
    const result = await new Validator().validate(structuredClone(body))
    assert.ok(result.valid, JSON.stringify(result.errors, null, 1))
  })
  test('answers are as described', async () => {
    const { body } = await server.fetch('/api/v1/openapi.json', { key: server.publishable })
    const { default: Ajv } = await import('ajv/dist/2020.js')
    const { default: formats } = await import('ajv-formats')
    const ajv = formats(new Ajv({ strict: false, allErrors: true }))
    ajv.addSchema({ $id: 'api', ...body })
    const check = async (path, pointer, init = { token }) => {
      const answer = await server.fetch(path, init)
      const validate = ajv.getSchema(`api#/components/schemas/${pointer}`)
      assert.ok(validate(answer.body), `${path}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(answer.body)}`)
    }
    const key = (await server.fetch('/api/v1/keys', { token, json: { kind: 'secret', rateLimit: { rate: 1, burst: 1 }, expires: new Date(Date.now() + 1e7).toISOString() } })).body
    await check('/api/v1/keys/' + key.id, 'Key')
    await check('/api/v1/keys', 'NewKey', { token, json: { kind: 'publishable' } })
    await check('/api/v1/settings', 'Settings')
    await check('/api/v1/usage?groupBy=key,route,status', 'Usage')
    await check('/api/v1/logs', 'LogList')
    await check('/api/v1/audit', 'AuditList')
    await check('/api/v1/health', 'Health', {})
    await check('/api/v1/live', 'Status', {})
    await check('/api/v1/usage?nope=1', 'Error')
    await check('/nothing', 'Error', {})
  })
})

test('help names every command', async () => {
  const { stdout } = await picobase(['--help'])
  for (const name of ['serve', 'keys', 'usage', 'logs', 'superuser', 'healthcheck']) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
})

describe('tokens of the platform', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const stranger = generateKeyPairSync('ed25519').privateKey
  const sign = (claims, key = privateKey, header = { alg: 'EdDSA', typ: 'JWT' }) => {
    const now = Math.floor(Date.now() / 1000)
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part(header)}.${part({ aud: 'project1', sub: 'person1', email: 'ann@example.com', iat: now, exp: now + 240, ...claims })}`
    return `Bearer ${text}.${sign25519(null, Buffer.from(text), key).toString('base64url')}`
  }
  let tenant
  before(async () => {
    tenant = await Server.start({
      env: { PICOBASE_PROJECT_ID: 'project1', PICOBASE_PLATFORM_PUBLIC_KEY: publicKey.export({ type: 'spki', format: 'pem' }) },
    })
  })
  after(() => tenant?.close())

  test('open the API and name the person in the audit trail', async () => {
    const made = await tenant.fetch('/api/v1/keys', { token: sign(), json: { kind: 'publishable', label: 'by the platform' } })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    assert.equal((await tenant.fetch('/api/collections', { token: sign() })).status, 200)
    const trail = await tenant.fetch('/api/v1/audit?action=key.created&actorKind=platform', { token: sign() })
    assert.equal(trail.body.items[0].actor.name, 'ann@example.com')
  })
  test('do all that the platform needs, without a trace of use', async () => {
    const at = async (pathname) => {
      const answer = await tenant.fetch(pathname, { token: sign() })
      assert.equal(answer.status, 200, `${pathname}: ${JSON.stringify(answer.body)}`)
      return answer.body
    }
    for (const pathname of ['usage', 'logs', 'audit', 'settings', 'webhooks', 'webhooks/deliveries', 'hooks', 'backups', 'backups/pitr', 'health']) {
      await at(`/api/v1/${pathname}`)
    }
    const made = await tenant.fetch('/api/v1/backups', { token: sign(), json: { label: 'before something' } })
    assert.ok(made.status < 300, JSON.stringify(made.body))
    const backup = await until('the backup', async () => (await at('/api/v1/backups')).items.find((b) => b.status === 'ok'))
    assert.equal((await tenant.fetch(`/api/v1/backups/${backup.id}/verify`, { token: sign(), json: {} })).status, 200)
    const due = await at('/api/v1/due')
    assert.deepEqual([due.busy, due.synced], [[], true])
    // What nobody but the platform asks for keeps no project awake.
    assert.equal((await at('/api/v1/due')).idleSince, due.idleSince)
  })
  test('forged, foreign and stale ones do not', async () => {
    const now = Math.floor(Date.now() / 1000)
    for (const [name, bad] of [
      ['another signature', sign({}, stranger)],
      ['another project', sign({ aud: 'project2' })],
      ['expired', sign({ iat: now - 600, exp: now - 300 })],
      ['too long', sign({ exp: now + 3600 })],
      ['nobody', sign({ sub: '' })],
      ['unsigned', sign({}, privateKey, { alg: 'none' })],
    ]) {
      const answer = await tenant.fetch('/api/v1/keys', { token: bad })
      assert.equal(answer.status, 401, `${name}: ${JSON.stringify(answer.body)}`)
    }
    assert.equal((await server.fetch('/api/v1/keys', { token: sign() })).status, 401, 'a tenant that trusts no platform')
  })
})
