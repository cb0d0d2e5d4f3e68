// Starts and stops the real binary on a fresh folder.

import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

export const binary = path.resolve(import.meta.dirname, '../bin/picobase')
export const stockBinary = path.resolve(import.meta.dirname, '../bin/pocketbase-stock')
export const email = 'root@example.com'
export const password = 'correct horse battery'

const patience = 20_000

// The environment of a test run must not leak into the servers and commands.
export function cleanEnv(extra = {}) {
  const env = { ...process.env, ...extra }
  for (const name of Object.keys(env)) {
    if (/^(AWS_.*|PICOBASE_.*|PORT)$/.test(name) && !(name in extra)) delete env[name]
  }
  return env
}

export async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** Polls until check returns a truthy value, and returns it. */
export async function until(what, check, limit = patience) {
  const deadline = Date.now() + limit
  for (;;) {
    const value = await check()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`${what} did not happen in ${limit} ms`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** Whether the URL is answered well. Bodies are read, or the connection stays taken; no answer is waited for for ever. */
export function answers(url) {
  return fetch(url, { signal: AbortSignal.timeout(5000) }).then(async (r) => (await r.text(), r.ok)).catch(() => false)
}

/** Runs picobase with args and returns { code, stdout, stderr }. */
export async function picobase(args, options = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(binary, args, { env: cleanEnv(options.env), cwd: options.cwd })
    return { code: 0, stdout, stderr }
  } catch (error) {
    return { code: error.code, stdout: error.stdout, stderr: error.stderr }
  }
}

export class Server {
  /** Starts a server; options: args, env, dir (of an earlier server), superuser: false, patience. */
  static async start(options = {}) {
    const server = await Server.launch(options)
    try {
      await server.ready(options.patience)
    } catch (error) {
      await server.stop('SIGKILL')
      throw error
    }
    return server
  }

  /** Starts a server with the options of start, without waiting for it to be ready. */
  static async launch(options = {}) {
    const server = new Server()
    server.dir = options.dir ?? (await mkdtemp(path.join(tmpdir(), 'picobase-e2e-')))
    server.port = options.port ?? (await freePort())
    server.url = `http://127.0.0.1:${server.port}`
    const env = options.superuser === false ? {} : { PICOBASE_SUPERUSER_EMAIL: email, PICOBASE_SUPERUSER_PASSWORD: password }
    server.spawn(['serve', '--dir', server.dir, '--http', `127.0.0.1:${server.port}`, ...(options.args ?? [])], { ...env, ...options.env })
    return server
  }

  spawn(args, env, program = binary) {
    this.args = args
    this.output = ''
    this.jsonLog = args.includes('json')
    this.process = spawn(program, args, { env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] })
    this.exited = new Promise((resolve) => this.process.on('exit', (code, signal) => resolve({ code, signal })))
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text
        // What the server printed may arrive here after its first answers.
        this.publishable ??= /pbk_pub_\w{38}/.exec(this.output)?.[0]
        this.secret ??= /pbk_sec_\w{38}/.exec(this.output)?.[0]
      })
    }
  }

  async ready(limit) {
    await until('start', async () => {
      if (this.process.exitCode !== null) throw new Error(`picobase ended with ${this.process.exitCode}: ${this.output}`)
      // Read to its end, and with a limit of its own: a fetch whose answer is left
      // unread can keep later ones waiting for ever.
      return answers(this.url + '/api/v1/ready')
    }, limit)
    // What it printed may still be on its way through the pipe.
    if (!this.jsonLog) await until('the announcement', () => /api\/health\n|only shown when they are made/.test(this.output), limit)
  }

  /** Ends the server and returns { code, signal }. */
  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    return this.exited
  }

  /** Ends the server and starts it again, without waiting for it to be ready. */
  async restart() {
    await this.stop()
    this.spawn(this.args, {})
  }

  async close() {
    await this.stop()
    await rm(this.dir, { recursive: true, force: true })
  }

  /** Requests path and returns { status, headers, body }. */
  async fetch(pathname, { key, token, json, headers = {}, ...init } = {}) {
    headers = { ...headers }
    if (key) headers['X-API-Key'] = key
    if (token) headers.Authorization = token
    if (json !== undefined) {
      headers['Content-Type'] = 'application/json'
      init = { method: 'POST', body: JSON.stringify(json), ...init }
    }
    const response = await fetch(this.url + pathname, { ...init, headers })
    const text = await response.text()
    let body = text
    try {
      body = JSON.parse(text)
    } catch {
      // not JSON: the caller sees the text
    }
    return { status: response.status, headers: response.headers, body }
  }

  async superuserToken(identity = email, secret = password) {
    const answer = await this.fetch('/api/collections/_superusers/auth-with-password', { json: { identity, password: secret } })
    if (answer.status !== 200) throw new Error(`superuser sign-in: ${JSON.stringify(answer.body)}`)
    return answer.body.token
  }
}
