// A platform, its router and its projects, all on this machine.

import { Validator } from '@seriousme/openapi-schema-validator'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import http, { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ownerToken, Platform, tenants } from '../platform.js'
import { S3, skip } from '../s3.js'
import { binary, cleanEnv, freePort, until } from '../server.js'

const starts = async (platform, id) => (await readFile(path.join(platform.dir, 'tenants', id, 'log'), 'utf8')).split('is running.').length - 1

/** Makes the collection notes, which everybody may read and write. */
async function makeNotes(platform, project) {
  const token = await ownerToken(platform, project)
  const made = await platform.request(`${project.name}.localhost`, '/api/collections', {
    token,
    json: { name: 'notes', type: 'base', listRule: '', viewRule: '', createRule: '', fields: [{ name: 'text', type: 'text' }] },
  })
  assert.equal(made.status, 200, made.text)
}

const write = (platform, project, text) => platform.project(project, '/api/collections/notes/records', { json: { text } })

async function read(platform, project) {
  const list = await platform.project(project, '/api/collections/notes/records?sort=text')
  assert.equal(list.status, 200, list.text)
  return list.body.items.map((item) => item.text)
}

describe('a platform', () => {
  let platform, app
  before(async () => {
    platform = await Platform.start()
    app = platform.first.project
  })
  after(() => platform?.close())

  test('its first run leaves what is needed to go on, for this user alone', async () => {
    const file = path.join(platform.dir, 'first-run.json')
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const { url, email, password, token, project } = platform.first
    assert.equal(url, `http://localhost:${platform.port}`)
    assert.equal(project.url, `http://app.localhost:${platform.port}`)
    assert.match(token, /^pbp_\w{38}$/)
    for (const text of [url, project.url, token, project.keys.publishable, project.keys.secret, file]) {
      assert.ok(platform.output.includes(text), `${text} was not printed`)
    }
    const signIn = await platform.request('localhost', '/api/collections/users/auth-with-password', { json: { identity: email, password } })
    assert.equal(signIn.status, 200, signIn.text)
    const dashboard = await platform.request('localhost', '/_/')
    assert.equal(dashboard.status, 200)
    const operator = await platform.request('localhost', '/api/collections/_superusers/auth-with-password', { json: { identity: email, password } })
    assert.equal(operator.status, 200, operator.text)
    const own = await platform.request('app.localhost', '/api/collections/_superusers/auth-with-password', { key: project.keys.publishable, json: { identity: email, password } })
    assert.equal(own.status, 200, own.text)
  })

  test('a thousand first requests at once cause one start and all are answered', async () => {
    const project = await platform.create('crowd')
    assert.equal(project.status, 'asleep')
    assert.equal((await tenants(platform))[project.id], undefined)
    const agent = new Agent({ keepAlive: true, maxSockets: 250 })
    // A path that a tenant's rate limits leave alone.
    const answers = await Promise.all(Array.from({ length: 1000 }, () => platform.project(project, '/api/v1/ready', { agent })))
    agent.destroy()
    assert.deepEqual([...new Set(answers.map((a) => a.status))], [200])
    assert.equal(await starts(platform, project.id), 1)
  })

  test('projects are created, listed, stopped, started, deleted and had back', async () => {
    const project = await platform.create('life')
    await makeNotes(platform, project)
    await write(platform, project, 'one')
    const names = (await platform.api('/projects')).body.items.map((p) => p.name)
    assert.ok(names.includes('app') && names.includes('life'), names.join())

    const stopped = await platform.api(`/projects/${project.id}/stop`, { method: 'POST' })
    assert.equal(stopped.body.status, 'off', stopped.text)
    assert.equal((await tenants(platform))[project.id], undefined)
    const refused = await platform.project(project, '/api/health')
    assert.equal(refused.status, 503)
    assert.ok(refused.headers['retry-after'] && refused.body.error.code, refused.text)

    assert.equal((await platform.api(`/projects/${project.id}/start`, { method: 'POST' })).body.status, 'running')
    assert.deepEqual(await read(platform, project), ['one'])
    assert.equal((await platform.api(`/projects/${project.id}`, { method: 'DELETE' })).body.status, 'deleted')
    await until('the route to be gone', async () => (await platform.project(project, '/api/health')).status === 404)
    assert.equal((await platform.api('/projects', { json: { name: 'life' } })).body.error.code, 'name_taken')
    assert.equal((await platform.api(`/projects/${project.id}/undelete`, { method: 'POST' })).status, 200)
    await until('its data to be back', async () => (await platform.project(project, '/api/health')).status === 200)
    assert.deepEqual(await read(platform, project), ['one'])

    const logs = await platform.api(`/projects/${project.id}/logs`)
    assert.match(logs.text, /PicoBase/)
  })

  test('a new name is served at once, the old one no more', async () => {
    const project = await platform.create('before')
    const renamed = await platform.api(`/projects/${project.id}`, { method: 'PATCH', json: { name: 'afterwards' } })
    assert.equal(renamed.body.url, `http://afterwards.localhost:${platform.port}`)
    await until('the new name', async () => (await platform.project({ ...project, name: 'afterwards' }, '/api/health')).status === 200)
    assert.equal((await platform.project(project, '/api/health')).status, 404)
  })

  test("one project's keys and tokens are nothing to another", async () => {
    const other = await platform.create('other')
    const asOther = (options) => platform.request('other.localhost', '/api/v1/settings', options)
    assert.equal((await asOther({ key: other.keys.secret })).status, 403) // known, without that scope
    assert.equal((await asOther({ key: app.keys.secret })).body.error.code, 'api_key_unknown')
    assert.equal((await asOther({ token: await ownerToken(platform, other) })).status, 200)
    assert.equal((await asOther({ token: await ownerToken(platform, app) })).body.error.code, 'platform_token_invalid')
    assert.equal((await asOther({ token: platform.first.token })).status, 401)
    // Nor does a header from outside choose the project.
    const tricked = await platform.request('other.localhost', '/api/v1/settings', {
      key: app.keys.secret,
      headers: { 'X-PicoBase-Project': app.id, 'X-Forwarded-Host': 'app.localhost' },
    })
    assert.equal(tricked.body.error.code, 'api_key_unknown')
  })

  test('tokens for one project are signed by a key that everybody can have', async () => {
    const token = await ownerToken(platform, app)
    const { keys } = (await platform.request('localhost', '/.well-known/jwks.json')).body
    const [header, payload, signature] = token.split('.')
    const { kid, alg } = JSON.parse(Buffer.from(header, 'base64url'))
    const claims = JSON.parse(Buffer.from(payload, 'base64url'))
    const key = createPublicKey({ key: keys.find((k) => k.kid === kid), format: 'jwk' })
    assert.equal(alg, 'EdDSA')
    assert.ok(verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')))
    assert.deepEqual([claims.aud].flat(), [app.id])
    assert.ok(claims.exp - claims.iat <= 300)
    assert.equal(claims.email, platform.first.email)

    // Who did it stands in the project's audit trail.
    const changed = await platform.request('app.localhost', '/api/v1/settings', { token, method: 'PATCH', json: { cors: { maxAge: 60 } } })
    assert.equal(changed.status, 200, changed.text)
    const audit = await platform.request('app.localhost', '/api/v1/audit', { token })
    assert.ok(audit.text.includes(platform.first.email), audit.text)
  })

  test('a device is let in by its code', async () => {
    const begun = (await platform.request('localhost', '/api/platform/v1/device/code', { json: { name: 'test' } })).body
    const poll = () => platform.request('localhost', '/api/platform/v1/device/token', { json: { device_code: begun.device_code } })
    assert.equal((await poll()).body.error.code, 'authorization_pending')
    assert.equal((await poll()).body.error.code, 'slow_down')
    assert.equal((await platform.request('localhost', new URL(begun.verification_uri_complete).pathname)).status, 200)
    const { email, password } = platform.first
    const user = (await platform.request('localhost', '/api/collections/users/auth-with-password', { json: { identity: email, password } })).body.token
    const approved = await platform.request('localhost', '/api/platform/v1/device/approve', { token: user, json: { userCode: begun.user_code } })
    assert.equal(approved.status, 204, approved.text)
    const { access_token: token } = (await poll()).body
    assert.equal((await platform.api('/me', { token })).body.email, email)
    assert.equal((await poll()).body.error.code, 'expired_token')
  })

  test('the description of the API names every route that is used here', async () => {
    const document = (await platform.request('localhost', '/api/platform/v1/openapi.json')).body
    const { valid, errors } = await new Validator().validate(document)
    assert.ok(valid, JSON.stringify(errors))
    const { paths } = document
    for (const name of ['/api/platform/v1/projects', '/api/platform/v1/projects/{id}/branch', '/api/platform/v1/device/code', '/.well-known/jwks.json']) {
      assert.ok(paths[name], name)
    }
  })
})

describe('a platform that is killed', () => {
  let platform, app
  before(async () => {
    platform = await Platform.start()
    app = platform.first.project
  })
  after(() => platform?.close())

  test('leaves its tenants, and the next one adopts them', async () => {
    assert.equal((await platform.project(app, '/api/health')).status, 200)
    const before = await tenants(platform)
    await platform.kill('SIGKILL')
    assert.deepEqual(await tenants(platform), before)
    await platform.launch()
    assert.equal((await platform.project(app, '/api/health')).status, 200)
    assert.deepEqual(await tenants(platform), before)
    assert.equal((await platform.api(`/projects/${app.id}`)).body.status, 'running')
  })

  test('a tenant that is killed is back for the next request', async () => {
    const { [app.id]: pid } = await tenants(platform)
    process.kill(pid, 'SIGKILL')
    await until('an answer', async () => (await platform.project(app, '/api/health')).status === 200)
    assert.notEqual((await tenants(platform))[app.id], pid)
  })

  test('a second run goes on, and ^C ends all', async () => {
    const token = platform.first.token
    const ended = await platform.kill('SIGINT')
    assert.equal(ended.code, 0, platform.output)
    assert.deepEqual(await tenants(platform), {})
    await platform.launch()
    assert.equal(platform.first.token, token)
    assert.equal((await platform.project(app, '/api/health')).status, 200)
  })
})

describe('many projects', () => {
  let platform
  before(async () => {
    platform = await Platform.start({ args: ['--wake-timeout', '90s'] })
  })
  after(() => platform?.close())

  test('200 of them, 50 awake at once: each is answered by its own tenant', async () => {
    const all = []
    for (let i = 0; i < 200; i++) all.push(await platform.create(`p-${i}`))
    const woken = all.filter((_, i) => i % 4 === 0)
    // Its own key is known, and lacks the scope; another's is not known.
    const ask = (project, key) => platform.request(`${project.name}.localhost`, '/api/v1/usage', { key }).then((a) => a.body?.error?.code ?? a.text)
    const load = woken.flatMap((project) => [project, project, project, project])
    load.sort(() => Math.random() - 0.5)
    const own = await Promise.all(load.map((project) => ask(project, project.keys.secret)))
    assert.deepEqual([...new Set(own)], ['api_key_scope_required'])
    const others = await Promise.all(woken.map((project, i) => ask(project, woken[(i + 1) % woken.length].keys.secret)))
    assert.deepEqual([...new Set(others)], ['api_key_unknown'])
    const status = (await platform.api('/projects')).body.items.map((p) => p.status)
    assert.equal(status.filter((s) => s === 'running').length, 51) // and the first one
    assert.equal(status.filter((s) => s === 'asleep').length, 150)
  })
})

describe('idle projects', () => {
  let platform
  before(async () => {
    platform = await Platform.start({ args: ['--idle-after', '2s'] })
  })
  after(() => platform?.close())

  test('sleep, and wake with their data', async () => {
    const app = platform.first.project
    await makeNotes(platform, app)
    await write(platform, app, 'kept')
    await until('sleep', async () => (await platform.api(`/projects/${app.id}`)).body.status === 'asleep', 60_000)
    assert.equal((await tenants(platform))[app.id], undefined)
    assert.deepEqual(await read(platform, app), ['kept'])
    // Its figures were taken before it slept.
    const usage = (await platform.api(`/organizations/${app.organization}/usage`)).body
    assert.ok(usage.items[0].requests >= 2 && usage.items[0].storage > 0, JSON.stringify(usage))
  })
})

// As root in a folder that others can pass through, each project has a user of its own.
for (const users of process.getuid?.() === 0 ? ['one user', 'users of their own'] : ['one user']) describe(`branches of projects with ${users}`, () => {
  let platform
  before(async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'pico-'))
    if (users !== 'one user') await chmod(dir, 0o755)
    platform = await Platform.start({ dir })
  })
  after(() => platform?.close())

  test('begin as another project was at a moment, and go on by themselves', async () => {
    const app = platform.first.project
    await makeNotes(platform, app)
    await write(platform, app, 'early')
    await new Promise((resolve) => setTimeout(resolve, 2000)) // moments are told apart by the second
    const at = new Date().toISOString().replace(/\.\d+/, '')
    await new Promise((resolve) => setTimeout(resolve, 2000))
    await write(platform, app, 'late')
    await until('replication', async () => existsSync(path.join(platform.dir, 'tenants', app.id)))
    const made = await platform.api(`/projects/${app.id}/branch`, { json: { name: 'copy', at } })
    assert.equal(made.status, 201, made.text)
    const copy = made.body
    assert.deepEqual(await read(platform, copy), ['early'])
    await write(platform, copy, 'own')
    assert.deepEqual(await read(platform, app), ['early', 'late'])
    assert.deepEqual(await read(platform, copy), ['early', 'own'])
    // The keys of the original are not the copy's.
    assert.equal((await platform.project({ ...copy, keys: app.keys }, '/api/collections/notes/records')).status, 401)
  })
})

describe('with a bucket', { skip }, () => {
  let s3, platform
  before(async () => {
    s3 = await S3.start()
    platform = await Platform.start({ env: s3.env('fleet') })
  })
  after(async () => {
    await platform?.close()
    await s3?.close()
  })

  test("a deleted project's disk is freed at once, and its data comes back from the bucket", async () => {
    const project = await platform.create('kept')
    await makeNotes(platform, project)
    await write(platform, project, 'one')
    assert.equal((await platform.api(`/projects/${project.id}`, { method: 'DELETE' })).status, 200)
    const folder = path.join(platform.dir, 'tenants', project.id)
    await until('the folder to be gone', () => !existsSync(folder), 60_000) // a stop may take 45 s
    assert.ok((await s3.keys(`fleet/projects/${project.id}`)).length > 0)
    assert.equal((await platform.api(`/projects/${project.id}/undelete`, { method: 'POST' })).status, 200)
    await until('it to be back', async () => (await platform.project(project, '/api/health')).status === 200)
    assert.deepEqual(await read(platform, project), ['one'])
  })

  test('a branch begins from the bucket', async () => {
    const app = platform.first.project
    await makeNotes(platform, app)
    await write(platform, app, 'one')
    await until('the replica', async () => (await s3.keys(`fleet/projects/${app.id}/replica/data.db`)).length > 0)
    // What is synced is what a branch sees: a stop syncs all.
    await platform.api(`/projects/${app.id}/stop`, { method: 'POST' })
    const copy = (await platform.api(`/projects/${app.id}/branch`, { json: { name: 'copy' } })).body
    assert.deepEqual(await read(platform, copy), ['one'])
  })

  test('a platform that has lost its disk has its registry and projects back', async () => {
    const { token, project: app } = platform.first
    await platform.kill('SIGINT')
    const lost = await mkdtemp(path.join(tmpdir(), 'pico-lost-'))
    await rename(path.join(platform.dir, 'platform'), path.join(lost, 'platform'))
    await rename(path.join(platform.dir, 'tenants'), path.join(lost, 'tenants'))
    await platform.launch()
    assert.equal(platform.first.token, token)
    const list = await platform.api('/projects')
    assert.equal(list.status, 200, list.text)
    assert.ok(list.body.items.some((p) => p.id === app.id))
    assert.equal((await platform.api(`/projects/${app.id}/start`, { method: 'POST' })).status, 200)
    assert.deepEqual(await read(platform, app), ['one'])
    await rm(lost, { recursive: true })
  })

  test('after the grace time nothing is left', async () => {
    const project = await platform.create('gone')
    assert.equal((await platform.project(project, '/api/health')).status, 200)
    await platform.kill('SIGINT')
    platform.options.command = ['platform', 'serve', '--base-domain', 'localhost', '--delete-grace', '1s']
    await platform.launch()
    assert.equal((await platform.api(`/projects/${project.id}`, { method: 'DELETE' })).status, 200)
    await until('the project to be forgotten', async () => (await platform.api(`/projects/${project.id}`)).status === 404)
    assert.deepEqual(await s3.keys(`fleet/projects/${project.id}`), [])
    assert.ok(!existsSync(path.join(platform.dir, 'tenants', project.id)))
    platform.options.command = undefined
    await platform.kill('SIGINT')
    await platform.launch()
  })

  test('two platforms do not lead at once', async () => {
    const second = await Platform.start({ env: s3.env('fleet') }).catch((error) => error)
    assert.match(String(second), /another process writes to this replica/)
  })
})

describe('a platform for routers elsewhere', () => {
  const password = 'correct horse battery'
  let platform, token
  before(async () => {
    platform = await Platform.start({
      command: ['platform', 'serve', '--no-router', '--base-domain', 'localhost', '--stop-projects'],
      env: { PICOBASE_ROUTER_TOKEN: 'shared', PICOBASE_SUPERUSER_EMAIL: 'root@example.com', PICOBASE_SUPERUSER_PASSWORD: password },
    })
    const signIn = await platform.request('localhost', '/api/collections/users/auth-with-password', { json: { identity: 'root@example.com', password } })
    assert.equal(signIn.status, 200, signIn.text)
    token = signIn.body.token
  })
  after(() => platform?.close())

  test('tells them its table and what changes, and wakes for them', async () => {
    const lines = []
    const open = (authorization) =>
      new Promise((resolve, reject) => {
        const request = http.get({ host: '127.0.0.1', port: platform.port, path: '/api/platform/v1/routes', headers: { Authorization: authorization } }, resolve)
        request.on('error', reject)
      })
    const refused = await open('Bearer wrong')
    assert.equal(refused.statusCode, 401)
    refused.destroy()

    const stream = await open('Bearer shared')
    let rest = ''
    stream.setEncoding('utf8').on('data', (text) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop()
      for (const part of parts) lines.push(JSON.parse(part))
    })
    await until('the table', () => lines.some((m) => m.op === 'end'))
    const project = (await platform.request('localhost', '/api/platform/v1/projects', { token, json: { name: 'far' } })).body
    const seen = (state) => until(`the route ${state}`, () => lines.find((m) => m.op === 'put' && m.route.project === project.id && m.route.state === state))
    assert.deepEqual((await seen('asleep')).route.hosts, ['far.localhost'])
    const woken = await platform.request('localhost', `/api/platform/v1/routes/${project.id}/wake`, { token: 'shared', method: 'POST' })
    assert.equal(woken.body.state, 'running', woken.text)
    assert.equal((await seen('running')).route.url, woken.body.url)
    assert.equal((await platform.request('localhost', `/api/platform/v1/routes/${project.id}/wake`, { token, method: 'POST' })).status, 401)
    await platform.request('localhost', `/api/platform/v1/projects/${project.id}`, { token, method: 'DELETE' })
    await until('the removal', () => lines.some((m) => m.op === 'remove' && m.route.project === project.id))
    stream.destroy()
  })

  test('that is gone stops no project from being served', async () => {
    const project = (await platform.request('localhost', '/api/platform/v1/projects', { token, json: { name: 'near' } })).body
    const port = await freePort()
    const router = spawn(binary, ['router', '--platform', `http://127.0.0.1:${platform.port}`, '--http', `127.0.0.1:${port}`, '--admin', ''], {
      env: cleanEnv({ PICOBASE_ROUTER_TOKEN: 'shared' }),
      stdio: 'ignore',
    })
    try {
      const call = () => platform.request.call({ port }, 'near.localhost', '/api/health', { key: project.keys.publishable }).catch((error) => ({ status: String(error) }))
      await until('an answer', async () => (await call()).status === 200)
      await platform.kill('SIGKILL')
      const statuses = new Set()
      for (let i = 0; i < 200; i++) statuses.add((await call()).status)
      assert.deepEqual([...statuses], [200])
      await platform.launch()
      assert.equal((await call()).status, 200)
      // And it wakes again: the router has found the new platform.
      await platform.request('localhost', `/api/platform/v1/projects/${project.id}/restart`, { token, method: 'POST' })
      await until('an answer', async () => (await call()).status === 200)
    } finally {
      router.kill()
      await new Promise((resolve) => router.on('exit', resolve))
    }
  })

  test('is closed to strangers', async () => {
    const body = { email: 'eve@example.com', password, passwordConfirm: password }
    const refused = await platform.request('localhost', '/api/collections/users/records', { json: body })
    assert.equal(refused.body.error.code, 'sign_up_closed')
  })
})
