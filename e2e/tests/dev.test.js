// picobase dev: a local project for the app in a folder, by the real binary.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { binary, cleanEnv, email, freePort, password, picobase, until } from '../server.js'

const superuser = { PICOBASE_SUPERUSER_EMAIL: email, PICOBASE_SUPERUSER_PASSWORD: password }

/** A folder with an app. */
async function folder(t, needs = { vite: '1', '@picobase/client': '1' }) {
  const dir = await mkdtemp(path.join(tmpdir(), 'picobase-dev-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  if (needs) await writeFile(path.join(dir, 'package.json'), JSON.stringify({ dependencies: needs }))
  return dir
}

class Dev {
  /** Starts dev in the folder, and waits until it is ready; options: args, env, port. */
  static async start(t, dir, { args = [], env = {}, port, wait = true } = {}) {
    const dev = new Dev()
    dev.dir = dir
    dev.port = port ?? (await freePort())
    dev.url = `http://127.0.0.1:${dev.port}`
    dev.process = spawn(binary, ['dev', '--http', `127.0.0.1:${dev.port}`, ...args], { cwd: dir, env: cleanEnv({ ...superuser, ...env }), stdio: ['ignore', 'pipe', 'pipe'] })
    dev.output = ''
    for (const stream of [dev.process.stdout, dev.process.stderr]) stream.setEncoding('utf8').on('data', (text) => (dev.output += text))
    dev.exited = new Promise((resolve) => dev.process.on('close', (code) => resolve(code)))
    t.after(() => dev.stop('SIGKILL'))
    if (wait) {
      await dev.prints(/ready, after|"readyMs"/)
      t.diagnostic(/ready, after \d+ ms|"readyMs":\d+/.exec(dev.output)[0])
    }
    return dev
  }

  async prints(pattern) {
    let ended
    this.exited.then(() => (ended = true))
    return until(`${pattern}`, () => {
      if (pattern.test(this.output)) return true
      if (ended) throw new Error(`dev has ended: ${this.output}`)
    }).catch((error) => assert.fail(`${error.message}: ${this.output}`))
  }

  async stop(signal = 'SIGINT') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    return this.exited
  }

  read(name) {
    return readFile(path.join(this.dir, name), 'utf8').catch(() => '')
  }

  write(name, text) {
    return writeFile(path.join(this.dir, name), text)
  }

  async request(pathname, json, init = {}) {
    this.token ??= (await this.json('/api/collections/_superusers/auth-with-password', { method: 'POST', body: JSON.stringify({ identity: email, password }) })).token
    return this.json(pathname, { method: json ? 'POST' : 'GET', body: json && JSON.stringify(json), ...init, headers: { Authorization: this.token, ...init.headers } })
  }

  async json(pathname, init = {}) {
    const response = await fetch(this.url + pathname, { ...init, headers: { 'Content-Type': 'application/json', ...init.headers } })
    return response.json()
  }
}

const refused = (url) => fetch(url).then(() => false, () => true)

/** Whether a process runs; one that has ended and waits for its parent does not. */
async function runs(pid) {
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (state !== null) return !/\) [ZX]/.test(state)
  if (process.platform === 'linux') return false
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const migration = (name) => `migrate((app) => {
  app.save(new Collection({ name: '${name}', type: 'base', listRule: '', createRule: '', fields: [{ name: 'title', type: 'text' }] }))
}, (app) => app.delete(app.findCollectionByNameOrId('${name}')))
`

test('a new folder, and the second start', async (t) => {
  const dir = await folder(t)
  await mkdir(path.join(dir, 'pb_migrations'))
  await writeFile(path.join(dir, 'pb_migrations', '1700000000_created_posts.js'), migration('posts'))
  const first = await Dev.start(t, dir, { args: ['--json'], env: { PICOBASE_SUPERUSER_EMAIL: '', PICOBASE_SUPERUSER_PASSWORD: '', PICOBASE_S3_BUCKET: 'of-another', PORT: '1' } })
  const ready = JSON.parse(/^\{"url".*$/m.exec(first.output)[0])
  assert.equal(ready.url, first.url)
  assert.match(ready.publishableKey, /^pbk_pub_/)
  assert.match(ready.secretKey, /^pbk_sec_/)
  assert.match(ready.installerUrl, /#\/pbinstall\//)
  await first.prints(/Wrote \.env\.local/)
  assert.equal(await first.read('.env.local'), `VITE_PICOBASE_URL=${first.url}\nVITE_PICOBASE_API_KEY=${ready.publishableKey}\n`)
  assert.match(await first.read('src/picobase.ts'), /posts: \{/)
  const headers = { 'X-API-Key': ready.publishableKey }
  const created = await first.json('/api/collections/posts/records', { method: 'POST', headers, body: JSON.stringify({ title: 'x' }) })
  assert.equal(created.title, 'x')
  assert.equal((await first.json('/api/collections/posts/records', { headers: { 'X-API-Key': ready.secretKey } })).totalItems, 1)
  assert.equal(await first.stop('SIGTERM'), 0)
  assert.ok(await refused(first.url))

  const second = await Dev.start(t, dir, { port: first.port, args: ['--json'] })
  const again = JSON.parse(/^\{"url".*$/m.exec(second.output)[0])
  assert.equal(again.publishableKey, ready.publishableKey)
  assert.equal(again.secretKey, undefined)
  assert.doesNotMatch(second.output, /Wrote/)
  assert.equal((await second.request('/api/v1/keys')).items.length, 2, 'no key was made')
  assert.equal(await second.stop(), 0)
})

test('the env file is merged, and what is there is not changed unasked', async (t) => {
  const dir = await folder(t, { next: '1' })
  const before = '# mine\nNEXT_PUBLIC_PICOBASE_URL=https://app.example.com # hosted\nOTHER="a b"\n'
  await writeFile(path.join(dir, '.env.local'), before)
  const careful = await Dev.start(t, dir)
  await careful.prints(/another NEXT_PUBLIC_PICOBASE_URL and was left as it is.*NEXT_PUBLIC_PICOBASE_URL=http/)
  const key = /pbk_pub_\w{38}/.exec(careful.output)[0]
  await until('the key', async () => (await careful.read('.env.local')) === before + `NEXT_PUBLIC_PICOBASE_API_KEY=${key}\n`)
  await careful.stop()

  const sure = await Dev.start(t, dir, { args: ['--yes'] })
  await until('the URL', async () => (await sure.read('.env.local')) === `# mine\nNEXT_PUBLIC_PICOBASE_URL=${sure.url} # hosted\nOTHER="a b"\nNEXT_PUBLIC_PICOBASE_API_KEY=${key}\n`)
  await sure.stop()

  // A key that is lost is replaced, and the one of another project is no key of this one.
  await rm(path.join(dir, 'pb_data', '.pico', 'dev-key'))
  await writeFile(path.join(dir, '.env.local'), `NEXT_PUBLIC_PICOBASE_API_KEY=${key.slice(0, -1)}x\n`)
  const lost = await Dev.start(t, dir, { args: ['--yes'] })
  await until('a new key', async () => /API_KEY=(pbk_pub_\w{38})/.exec(await lost.read('.env.local'))?.[1] !== key && /pbk_pub_\w{38}\n/.test(await lost.read('.env.local')))
  assert.deepEqual((await lost.request('/api/v1/keys')).items.map((item) => item.label), ['dev', 'dev', 'dev'])
  await lost.stop()
})

test('git ignores the env file and the data', async (t) => {
  const dir = await folder(t, null)
  await writeFile(path.join(dir, '.gitignore'), 'node_modules\n.env.*')
  const dev = await Dev.start(t, dir, { args: ['--yes'] })
  await until('the rule', async () => (await dev.read('.gitignore')) === 'node_modules\n.env.*\n/pb_data\n')
  assert.match(await dev.read('.env.local'), /^PICOBASE_URL=/)
  await dev.stop()
})

test('the types follow the schema, a migration is written and not run again', async (t) => {
  const dev = await Dev.start(t, await folder(t))
  const made = await dev.request('/api/collections', { name: 'later', type: 'base', fields: [{ name: 'title', type: 'text' }] })
  assert.equal(made.name, 'later')
  await until('the types', async () => (await dev.read('src/picobase.ts')).includes('later: {'))
  // A migration from elsewhere, as a git pull brings it.
  await dev.write('pb_migrations/1900000000_created_pulled.js', migration('pulled'))
  await dev.prints(/new migrations.*1900000000_created_pulled/)
  await dev.prints(/has started again/)
  await until('its types', async () => (await dev.read('src/picobase.ts')).includes('pulled: {'))
  assert.equal(dev.output.match(/starting again/g).length, 1, dev.output)

  // A broken one: shown, answered in its place, and tried again once it is changed.
  await dev.write('pb_migrations/1900000001_broken.js', 'migrate((app) => { nonsense() })')
  await dev.prints(/has ended with 1[^]*nonsense/)
  const down = await until('the answer in its place', () => fetch(dev.url + '/api/health').catch(() => null))
  assert.equal(down.status, 503)
  const body = await down.json()
  assert.equal(body.error.code, 'project_down')
  assert.equal(down.headers.get('x-picobase-forwarded'), 'false')
  assert.match(body.error.message, /nonsense/)
  await dev.write('pb_migrations/1900000001_broken.js', migration('fixed'))
  await until('the types of the fixed one', async () => (await dev.read('src/picobase.ts')).includes('fixed: {'))
  assert.equal(await dev.stop(), 0)
})

test('hooks are loaded as they change, and what is wrong with them is shown', async (t) => {
  const dev = await Dev.start(t, await folder(t))
  const key = /pbk_pub_\w{38}/.exec(dev.output)[0]
  const hello = async () => (await fetch(dev.url + '/api/x/hello', { headers: { 'X-API-Key': key } })).text()
  await dev.write('jsvm_hooks/main.pb.js', 'routerAdd("GET", "/api/x/hello", (e) => {\n  return e.string(200, "hello"\n})\n')
  await dev.prints(/main\.pb\.js:\d+/)
  await dev.write('jsvm_hooks/main.pb.js', 'routerAdd("GET", "/api/x/hello", (e) => {\n  console.log("said", "hello")\n  return e.string(200, "hello")\n})\n')
  await until('the hook', async () => (await hello()) === 'hello')
  await dev.prints(/main\.pb\.js:2.*said hello/)
  await dev.write('jsvm_hooks/main.pb.js', 'routerAdd("GET", "/api/x/hello", (e) => {\n\n  throw new Error("oh no")\n})\n')
  await until('the failure', async () => !(await hello()).startsWith('hello'))
  await dev.prints(/main\.pb\.js:3.*oh no/)
  await dev.stop()
})

test('the app runs beside it: its end is that of dev', async (t) => {
  const dev = await Dev.start(t, await folder(t), { args: ['--run', 'echo at $VITE_PICOBASE_URL with $VITE_PICOBASE_API_KEY; sleep 300 & echo left $!; exit 7'] })
  assert.equal(await dev.exited, 7)
  assert.match(dev.output, new RegExp(`at ${dev.url} with pbk_pub_`))
  assert.equal(await runs(/left (\d+)/.exec(dev.output)[1]), false)
  assert.ok(await refused(dev.url))
})

test('the end of dev is that of the app, also of one that does not listen', async (t) => {
  const dir = await folder(t)
  const app = `node -e "process.on('SIGTERM', () => console.log('asked')); setInterval(() => {}, 1000); console.log('app', process.pid)" & wait; sleep 300`
  for (const [signal, end] of [['SIGINT', 'SIGINT'], ['SIGTERM', 'SIGTERM'], ['SIGHUP', 'SIGHUP']]) {
    const dev = await Dev.start(t, dir, { args: ['--run', app] })
    await dev.prints(/app \d+/)
    const pid = /app (\d+)/.exec(dev.output)[1]
    const started = Date.now()
    dev.process.kill(signal)
    await dev.prints(/asked/)
    if (signal === 'SIGTERM') dev.process.kill(end) // again: do not wait
    assert.equal(await dev.exited, 0, dev.output)
    t.diagnostic(`${signal}: ended after ${Date.now() - started} ms`)
    if (signal === 'SIGTERM') assert.ok(Date.now() - started < 4000)
    assert.equal(await runs(pid), false)
    assert.ok(await refused(dev.url))
  }
})

test('killing dev leaves no server', { skip: process.platform !== 'linux' && 'only Linux tells a child' }, async (t) => {
  const dev = await Dev.start(t, await folder(t))
  dev.process.kill('SIGKILL')
  await until('the end of the server', () => refused(dev.url))
})

test('a second one, a busy port', async (t) => {
  const dir = await folder(t)
  const dev = await Dev.start(t, dir)
  const other = await picobase(['dev', '--http', `127.0.0.1:${await freePort()}`], { cwd: dir })
  assert.equal(other.code, 1)
  assert.match(other.stderr, /another picobase dev, is running on the folder pb_data/)
  const busy = await picobase(['dev', '--http', `127.0.0.1:${dev.port}`], { cwd: await folder(t) })
  assert.equal(busy.code, 1)
  assert.match(busy.stderr, /busy[^]*--http/)
  await dev.stop()

  // Without --http: the port that the env file has, and the next free one when that is busy.
  const usual = spawn(binary, ['dev', '--json'], { cwd: dir, env: cleanEnv(superuser), stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(() => usual.kill('SIGKILL'))
  const [line] = await usual.stdout.take(1).toArray()
  assert.equal(JSON.parse(line).url, dev.url)
  usual.kill()
  await new Promise((resolve) => usual.on('exit', resolve))
  const taken = createServer().listen(dev.port, '127.0.0.1')
  await new Promise((resolve) => taken.on('listening', resolve))
  t.after(() => taken.close())
  const next = spawn(binary, ['dev', '--json'], { cwd: dir, env: cleanEnv(superuser), stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(() => next.kill('SIGKILL'))
  const [answer] = await next.stdout.take(1).toArray()
  assert.notEqual(JSON.parse(answer).url, dev.url)
  next.kill()
  await new Promise((resolve) => next.on('exit', resolve))
})

test('webhooks and hooks reach loopback here, and nothing of it is stored', async (t) => {
  const dev = await Dev.start(t, await folder(t))
  const key = /pbk_pub_\w{38}/.exec(dev.output)[0]
  const received = []
  const { createServer: createHTTP } = await import('node:http')
  const receiver = createHTTP((request, response) => (received.push(request.url), response.end('{}'))).listen(0, '127.0.0.1')
  t.after(() => receiver.close())
  await new Promise((resolve) => receiver.on('listening', resolve))
  const target = `http://127.0.0.1:${receiver.address().port}`
  const hook = await dev.request('/api/v1/webhooks', { url: target + '/webhook', events: ['user.*'] })
  assert.ok(hook.id, JSON.stringify(hook))
  await dev.request(`/api/v1/webhooks/${hook.id}/test`, {})
  await until('the webhook', () => received.includes('/webhook'))
  await dev.write('jsvm_hooks/main.pb.js', `routerAdd("GET", "/api/x/call", (e) => e.string(200, "" + $http.send({ url: "${target}/hook" }).statusCode))\n`)
  await until('the hook', async () => (await fetch(dev.url + '/api/x/call', { headers: { 'X-API-Key': key } })).ok)
  assert.ok(received.includes('/hook'))
  const settings = await dev.request('/api/v1/settings')
  assert.deepEqual([settings.webhooks.allowedPrivateHosts, settings.jshooks.allowedPrivateHosts], [[], []])
  await dev.stop()
})

test('wrong usage says so', async (t) => {
  const cwd = await folder(t)
  for (const args of [['extra'], ['--types', 'x.ts', '--no-types'], ['--nonsense']]) {
    const { code, stderr } = await picobase(['dev', ...args], { cwd })
    assert.equal(code, 2, args.join(' ') + stderr)
  }
  await writeFile(path.join(cwd, 'package.json'), '{')
  const { code, stderr } = await picobase(['dev'], { cwd })
  assert.equal(code, 1)
  assert.match(stderr, /package\.json/)
  assert.equal(await stat(path.join(cwd, 'pb_data')).catch(() => null), null)
})
