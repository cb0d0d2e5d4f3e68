// JavaScript hooks, as those who write them meet them.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import PocketBase from 'pocketbase'
import { binary, cleanEnv, email, freePort, password, picobase, Server, until } from '../server.js'

// Sets a field of new posts, so that it shows which version ran.
const slugHook = (slug) => `onRecordCreateRequest((e) => {
  e.record.set('slug', '${slug}')
  e.next()
}, 'posts')
`

async function folder(files) {
  const dir = await mkdtemp(path.join(tmpdir(), 'picobase-hooks-'))
  await put(dir, files)
  return dir
}

async function put(dir, files) {
  for (const [name, text] of Object.entries(files)) {
    const at = path.join(dir, name)
    await mkdir(path.dirname(at), { recursive: true })
    await writeFile(at, text)
  }
}

async function client(server) {
  const pb = new PocketBase(server.url)
  pb.autoCancellation(false)
  await pb.collection('_superusers').authWithPassword(email, password)
  return pb
}

async function makePosts(server) {
  const pb = await client(server)
  await pb.collections.create({
    name: 'posts',
    type: 'base',
    createRule: '',
    listRule: '',
    viewRule: '',
    fields: [
      { name: 'title', type: 'text' },
      { name: 'slug', type: 'text' },
    ],
  })
  return pb
}

const run = (server, ...args) => picobase(['hooks', ...args, '--dir', server.dir])

async function push(server, files, ...args) {
  const dir = await folder(files)
  try {
    return await run(server, 'push', dir, ...args)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const post = async (server) =>
  (await server.fetch('/api/collections/posts/records', { key: server.publishable, json: { title: 'x' } })).body

const slugIs = (server, slug) => until(`the slug ${slug}`, async () => (await post(server)).slug === slug)

describe('hooks', () => {
  let server, token
  before(async () => {
    server = await Server.start({ args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
    await makePosts(server)
    token = await server.superuserToken()
  })
  after(() => server?.close())

  test('a push is in force within a second, also beside the server; a bad one changes nothing', async () => {
    const first = await push(server, { 'main.pb.js': slugHook('one') }, '--label', 'first', '--json')
    assert.equal(first.code, 0, first.stderr)
    assert.equal(JSON.parse(first.stdout).id, '1')
    const start = Date.now()
    await slugIs(server, 'one')
    assert.ok(Date.now() - start < 2000, `it took ${Date.now() - start} ms`)

    for (const [broken, place] of [
      ['const a = 1\nconst b = (\n', /^main\.pb\.js:\d+:\d+: /m],
      [`${slugHook('two')}\nundefinedFunction(1)\n`, /^main\.pb\.js:6:\d+: .*undefinedFunction/m],
    ]) {
      const bad = await push(server, { 'main.pb.js': broken })
      assert.equal(bad.code, 1)
      assert.match(bad.stderr, place)
      assert.equal(bad.stdout, '')
    }
    const list = JSON.parse((await run(server, 'list', '--json')).stdout)
    assert.equal(list.items.length, 1)
    assert.equal((await post(server)).slug, 'one')
    assert.equal((await push(server, { 'readme.md': 'x' })).code, 2, 'a folder without hooks')
    assert.equal((await run(server, 'push', '/nonexistent')).code, 2)
  })

  test('versions: dry run, diff, rollback, off', async () => {
    assert.equal((await push(server, { 'main.pb.js': slugHook('two') }, '--dry-run')).code, 0)
    assert.equal((await push(server, { 'main.pb.js': slugHook('two') })).stdout.trim(), '2')
    await slugIs(server, 'two')
    const diff = await run(server, 'diff', '1', '2')
    assert.match(diff.stdout, /^-  e\.record\.set\('slug', 'one'\)\n\+  e\.record\.set\('slug', 'two'\)$/m)
    assert.equal((await run(server, 'rollback')).code, 0)
    await slugIs(server, 'one')
    assert.equal((await run(server, 'rollback')).code, 3, 'there is none before the first')
    assert.equal((await run(server, 'rollback', '7')).code, 3)
    assert.equal((await run(server, 'off')).code, 2, 'it asks')
    assert.equal((await run(server, 'off', '--yes')).code, 0)
    await slugIs(server, '')
    assert.equal((await run(server, 'rollback', '2')).code, 0)
    await slugIs(server, 'two')
    const types = await run(server, 'types')
    assert.match(types.stdout, /onRecordCreate/)
  })

  test('a key needs the scope hooks; the audit trail says who did what', async () => {
    const weak = JSON.parse((await picobase(['keys', 'create', '--kind', 'secret', '--json', '--dir', server.dir])).stdout).key
    const strong = JSON.parse((await picobase(['keys', 'create', '--kind', 'secret', '--scope', 'hooks', '--json', '--dir', server.dir])).stdout).key
    await until('the keys', async () => (await server.fetch('/api/v1/hooks', { key: strong })).status === 200)
    assert.equal((await server.fetch('/api/v1/hooks', { key: weak })).body.error.code, 'api_key_scope_required')
    assert.equal((await server.fetch('/api/v1/hooks', { key: server.publishable })).status, 403)
    const pushed = await picobase(['hooks', 'list', '--url', server.url, '--key', strong])
    assert.equal(pushed.code, 0, pushed.stderr)
    const trail = (await server.fetch('/api/v1/audit?perPage=500', { token })).body
    const actions = (trail.items ?? []).map((entry) => entry.action)
    for (const action of ['hook.uploaded', 'hook.activated', 'hook.deactivated']) assert.ok(actions.includes(action), `${action} in ${actions}`)
  })

  test('30 swaps while requests run: none fails, none is slow', async () => {
    let going = true
    const seen = new Set()
    const failures = []
    const loop = async () => {
      while (going) {
        const answer = await server.fetch('/api/collections/posts/records', { key: server.publishable, json: { title: 'x' } })
        if (answer.status !== 200) failures.push(answer)
        else seen.add(answer.body.slug)
      }
    }
    await picobase(['settings', 'patch', '{"rateLimits":{"enabled":false}}', '--dir', server.dir])
    await until('the end of the limits', async () => (await server.fetch('/api/v1/settings', { token })).body.rateLimits.enabled === false)
    const loops = [loop(), loop(), loop(), loop()]
    for (let i = 0; i < 30; i++) {
      const answer = await server.fetch('/api/v1/hooks', { token, json: { files: { 'main.pb.js': slugHook(`swap ${i}`) } } })
      assert.equal(answer.status, 201, JSON.stringify(answer.body))
      assert.equal((await post(server)).slug, `swap ${i}`, 'in force with the answer')
    }
    going = false
    await Promise.all(loops)
    assert.deepEqual(failures, [])
    assert.ok(seen.size > 10, `only ${seen.size} versions were seen`)
  })

  test('a hook that never ends fails alone, as documented, while other requests go on', async () => {
    const source = `${slugHook('fine')}
routerAdd('GET', '/forever', () => { for (;;) {} })
routerAdd('GET', '/throws', () => { throw new Error('a secret message') })
routerAdd('GET', '/hello/{name}', (e) => e.json(200, { hello: e.request.pathValue('name') }))
`
    assert.equal((await server.fetch('/api/v1/hooks', { token, json: { files: { 'main.pb.js': source } } })).status, 201)
    const hello = await server.fetch('/hello/ann', { key: server.publishable })
    assert.deepEqual(hello.body, { hello: 'ann' })
    const start = Date.now()
    const stuck = server.fetch('/forever', { key: server.publishable })
    let others = 0
    while (Date.now() - start < 700) {
      const before = Date.now()
      assert.equal((await post(server)).slug, 'fine')
      assert.ok(Date.now() - before < 500, 'another request waited')
      others++
    }
    assert.ok(others > 3, `${others} other requests`)
    const answer = await stuck
    assert.equal(answer.status, 504)
    assert.equal(answer.body.error.code, 'hook_timeout')
    assert.ok(Date.now() - start < 3000)
    const thrown = await server.fetch('/throws', { key: server.publishable })
    assert.ok(thrown.status >= 400)
    assert.ok(!JSON.stringify(thrown.body).includes('a secret message'))
    assert.equal((await server.fetch('/api/v1/live')).status, 200)
  })

  test('logs: by request id, and live', async () => {
    const source = `onRecordCreateRequest((e) => {
  console.warn('about to save', e.record.getString('title'))
  e.next()
}, 'posts')
routerAdd('GET', '/fails', (e) => { undefinedFunction() })
`
    const { id } = (await server.fetch('/api/v1/hooks', { token, json: { files: { 'main.pb.js': source } } })).body
    const all = JSON.parse((await picobase(['keys', 'create', '--kind', 'secret', '--scope', 'hooks', '--json', '--dir', server.dir])).stdout)
    await until('the key', async () => (await server.fetch('/api/v1/hooks', { key: all.key })).status === 200)
    const tail = spawn(binary, ['hooks', 'logs', '--tail', '--json', '--url', server.url, '--key', all.key], { env: cleanEnv() })
    let live = ''
    tail.stdout.setEncoding('utf8').on('data', (text) => (live += text))
    const ended = new Promise((resolve) => tail.on('exit', resolve))
    const send = (requestId) =>
      server.fetch('/api/collections/posts/records', { key: server.publishable, json: { title: requestId }, headers: { 'X-Request-Id': requestId } })
    let n = 0
    await until('the live log', async () => {
      await send(`live-${n++}`)
      return live.includes('"requestId":"live-')
    })
    await send('find-me')
    await server.fetch('/fails', { key: server.publishable, headers: { 'X-Request-Id': 'fails-1' } })
    const found = (await server.fetch('/api/v1/hooks/logs?requestId=find-me', { token })).body.items
    assert.equal(found.length, 1)
    const { message, level, version, hook, file, line } = found[0]
    assert.deepEqual(
      { message, level, version, hook, file, line },
      { message: 'about to save find-me', level: 'warn', version: id, hook: 'onRecordCreateRequest', file: 'main.pb.js', line: 2 },
    )
    const failed = (await server.fetch('/api/v1/hooks/logs?requestId=fails-1&level=error', { token })).body.items
    assert.match(failed[0].message, /undefinedFunction/)
    assert.equal(failed[0].line, 5)
    const shown = await run(server, 'logs', '--request', 'find-me')
    assert.match(shown.stdout, /warn .* main\.pb\.js:2 .* about to save find-me/)

    await picobase(['keys', 'revoke', all.id, '--yes', '--dir', server.dir])
    await until('the end with the key', async () => {
      await send('after')
      return tail.exitCode !== null
    })
    await ended
  })

  test('secrets reach the hook and nobody else', async () => {
    const set = await new Promise((resolve) => {
      const child = spawn(binary, ['hooks', 'secrets', 'set', 'GREETING', '--dir', server.dir], { env: cleanEnv(), stdio: ['pipe', 'ignore', 'inherit'] })
      child.stdin.end('very secret\n')
      child.on('exit', resolve)
    })
    assert.equal(set, 0)
    const source = `onRecordCreateRequest((e) => { e.record.set('slug', $secrets.get('GREETING')); e.next() }, 'posts')`
    await server.fetch('/api/v1/hooks', { token, json: { files: { 'main.pb.js': source } } })
    await slugIs(server, 'very secret')
    for (const where of ['/api/v1/hooks/secrets', '/api/v1/audit', '/api/v1/hooks', '/api/v1/settings']) {
      const answer = await server.fetch(where, { token })
      assert.equal(answer.status, 200)
      assert.ok(!JSON.stringify(answer.body).includes('very secret'), where)
    }
    const listed = await run(server, 'secrets', 'list', '--json')
    assert.deepEqual(JSON.parse(listed.stdout).map((s) => s.name), ['GREETING'])
    assert.equal((await run(server, 'secrets', 'delete', 'GREETING', '--yes')).code, 0)
    assert.equal((await run(server, 'secrets', 'delete', 'GREETING', '--yes')).code, 3)
  })

  test('hooks reach no inner network, unless the settings list it', async () => {
    const inner = createServer((request, response) => response.end('inner'))
    const port = await freePort()
    await new Promise((resolve) => inner.listen(port, '127.0.0.1', resolve))
    try {
      const source = `routerAdd('GET', '/reach', (e) => e.json(200, { raw: $http.send({ url: 'http://127.0.0.1:${port}/' }).raw }))`
      await server.fetch('/api/v1/hooks', { token, json: { files: { 'main.pb.js': source } } })
      const refused = await server.fetch('/reach', { key: server.publishable })
      assert.ok(refused.status >= 400, JSON.stringify(refused.body))
      await server.fetch('/api/v1/settings', { token, method: 'PATCH', json: { jshooks: { allowedPrivateHosts: ['127.0.0.1'] } } })
      const reached = await server.fetch('/reach', { key: server.publishable })
      assert.deepEqual(reached.body, { raw: 'inner' })
    } finally {
      inner.close()
    }
  })
})

test('a folder: loaded at the start, watched, and never in the way of it', async () => {
  const dir = await folder({ 'main.pb.js': slugHook('good'), 'broken.pb.js': 'const a = (\n', 'examples/x.pb.js': 'not loaded (' })
  let server
  try {
    server = await Server.start({ args: ['--hooksDir', dir, '--hooks-watch', '--replication', 'off'] })
    await makePosts(server)
    assert.match(server.output, /broken\.pb\.js:\d+:\d+/)
    const token = await server.superuserToken()
    const state = (await server.fetch('/api/v1/hooks', { token })).body
    assert.equal(state.active, null)
    assert.deepEqual([state.problems[0].source, state.problems[0].file], ['folder', 'broken.pb.js'])
    const health = (await server.fetch('/api/v1/health')).body
    assert.equal(health.checks.hooks.status, 'degraded')
    assert.ok(!JSON.stringify(health).includes('broken.pb.js'))
    assert.match((await run(server, 'list')).stdout, /VERSION/)

    await put(dir, { 'broken.pb.js': '// mended\n' })
    await slugIs(server, 'good')
    await put(dir, { 'main.pb.js': slugHook('better') })
    await slugIs(server, 'better')
    await until('health', async () => (await server.fetch('/api/v1/health')).body.checks.hooks.status === 'ok')

    // What is done after the folder was changed stays done.
    assert.equal((await push(server, { 'main.pb.js': slugHook('pushed') })).code, 0)
    await slugIs(server, 'pushed')
    const data = server.dir
    await server.stop()
    server = await Server.start({ dir: data, args: ['--hooksDir', dir, '--replication', 'off'] })
    server.publishable = JSON.parse((await picobase(['keys', 'create', '--kind', 'publishable', '--json', '--dir', data])).stdout).key
    await slugIs(server, 'pushed')
    assert.equal((await post(server)).slug, 'pushed')
  } finally {
    await server?.close()
    await rm(dir, { recursive: true, force: true })
  }
})

test('push --watch: every change is pushed, what is wrong is said with its place, and nothing ends it', async () => {
  const dir = await folder({ 'main.pb.js': slugHook('one') })
  let server, watching
  try {
    server = await Server.start({ args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
    await makePosts(server)
    await until('the first keys', () => server.publishable)
    const { key } = JSON.parse((await picobase(['keys', 'create', '--kind', 'secret', '--scope', 'hooks', '--json', '--dir', server.dir])).stdout)
    await until('the key', async () => (await server.fetch('/api/v1/hooks', { key })).status === 200)
    const to = ['--url', server.url, '--key', key]
    assert.equal((await picobase(['hooks', 'push', '/nonexistent', '--watch', ...to])).code, 2)
    assert.equal((await picobase(['hooks', 'push', dir, '--watch', '--url', server.url, '--key', server.publishable])).code, 4, 'it begins with a push that works')

    watching = spawn(binary, ['hooks', 'push', dir, '--watch', ...to], { env: cleanEnv() })
    let said = ''
    let numbers = ''
    watching.stderr.setEncoding('utf8').on('data', (text) => (said += text))
    watching.stdout.setEncoding('utf8').on('data', (text) => (numbers += text))
    const ended = new Promise((resolve) => watching.on('exit', resolve))
    await slugIs(server, 'one')
    await until('the watching', () => said.includes('Watching'))
    await put(dir, { 'main.pb.js': slugHook('two') })
    await slugIs(server, 'two')
    await put(dir, { 'main.pb.js': `${slugHook('three')}\nundefinedFunction(1)\n` })
    await until('what is wrong', () => /^main\.pb\.js:6:\d+: .*undefinedFunction/m.test(said))
    assert.equal((await post(server)).slug, 'two')
    await put(dir, { 'readme.md': 'no part of it' })
    await put(dir, { 'main.pb.js': slugHook('three') })
    await slugIs(server, 'three')
    await rm(path.join(dir, 'main.pb.js'))
    await until('that there are none', () => said.includes('no *.pb.js file'))
    assert.equal((await post(server)).slug, 'three')

    // Nobody is there for a while.
    const { port, dir: data } = server
    await server.stop()
    await put(dir, { 'main.pb.js': slugHook('four'), 'lib/a.js': '' })
    await until('that the server is gone', () => said.includes('no answer from'))
    server = await Server.start({ dir: data, port, args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
    server.publishable = JSON.parse((await picobase(['keys', 'create', '--kind', 'publishable', '--json', '--dir', data])).stdout).key
    await until('the key', async () => (await post(server)).id)
    await slugIs(server, 'four')

    watching.kill('SIGINT')
    assert.equal(await ended, 0)
    assert.deepEqual(numbers.trim().split('\n'), ['1', '2', '3', '4'])
  } finally {
    watching?.kill('SIGKILL')
    await server?.close()
    await rm(dir, { recursive: true, force: true })
  }
})

test('hooks travel with a backup', async () => {
  const server = await Server.start({ args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
  const elsewhere = await mkdtemp(path.join(tmpdir(), 'picobase-elsewhere-'))
  let other
  try {
    await makePosts(server)
    assert.equal((await push(server, { 'main.pb.js': slugHook('then') })).code, 0)
    await slugIs(server, 'then')
    const made = await picobase(['backups', 'create', '--dir', server.dir])
    assert.equal(made.code, 0, made.stderr)
    assert.equal((await push(server, { 'main.pb.js': slugHook('now') })).code, 0)
    await slugIs(server, 'now')

    const target = path.join(elsewhere, 'pb_data')
    const restored = await picobase(['backups', 'restore', '--id', made.stdout.trim(), '--to', target, '--yes', '--dir', server.dir])
    assert.equal(restored.code, 0, restored.stderr)
    other = await Server.start({ dir: target, args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
    other.publishable = JSON.parse((await picobase(['keys', 'create', '--kind', 'publishable', '--json', '--dir', target])).stdout).key
    await slugIs(other, 'then')
    const list = JSON.parse((await run(other, 'list', '--json')).stdout)
    assert.deepEqual([list.active, list.items.length], ['1', 1])
  } finally {
    await other?.close()
    await server.close()
    await rm(elsewhere, { recursive: true, force: true })
  }
})
