// Starts and stops the real platform on a fresh folder.

import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { binary, cleanEnv, freePort, until } from './server.js'

export class Platform {
  /** Starts `picobase up`; options: args, command (in its place), env, dir and port (of an earlier platform). */
  static async start(options = {}) {
    const p = new Platform()
    p.dir = options.dir ?? (await mkdtemp(path.join(tmpdir(), 'pico-')))
    p.port = options.port ?? (await freePort())
    p.options = options
    try {
      await p.launch()
    } catch (error) {
      await p.kill()
      if (!options.dir) await rm(p.dir, { recursive: true, force: true })
      throw error
    }
    return p
  }

  async launch() {
    const command = this.options.command ?? ['up']
    const args = [...command, '--dir', this.dir, '--http', `127.0.0.1:${this.port}`, ...(this.options.args ?? [])]
    this.output = ''
    // A session of its own, as a terminal's: a signal for it is none for the tests.
    this.process = spawn(binary, args, { env: cleanEnv(this.options.env), stdio: ['ignore', 'pipe', 'pipe'] })
    this.exited = new Promise((resolve) => this.process.on('exit', (code, signal) => resolve({ code, signal })))
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.output += text))
    }
    await until('start of the platform', async () => {
      if (this.process.exitCode !== null) throw new Error(`picobase ended with ${this.process.exitCode}: ${this.output}`)
      const answer = await this.request('localhost', '/api/v1/ready').catch(() => ({}))
      return answer.status === 200 && /is running|platform serves/.test(this.output)
    })
    if (command[0] === 'up') this.first = JSON.parse(await readFile(path.join(this.dir, 'first-run.json'), 'utf8'))
  }

  async kill(signal = 'SIGKILL') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    return this.exited
  }

  async close() {
    // A platform that was killed has left tenants, which the next one stops.
    if (this.process.signalCode === 'SIGKILL') await this.launch()
    await this.kill('SIGINT')
    await rm(this.dir, { recursive: true, force: true })
  }

  /** Requests path of a host, past the name service, and returns { status, headers, body, text }. */
  request(host, pathname, { method, key, token, json, headers = {}, agent } = {}) {
    headers = { Host: `${host}:${this.port}`, ...headers }
    if (key) headers['X-API-Key'] = key
    if (token) headers.Authorization = `Bearer ${token}`
    const body = json === undefined ? undefined : JSON.stringify(json)
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: '127.0.0.1', port: this.port, path: pathname, method: method ?? (body === undefined ? 'GET' : 'POST'), headers, agent },
        (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part) => (text += part))
          response.on('error', reject)
          response.on('end', () => {
            let parsed
            try {
              parsed = JSON.parse(text)
            } catch {
              // the caller sees the text
            }
            resolve({ status: response.statusCode, headers: response.headers, body: parsed, text })
          })
        },
      )
      request.on('error', reject)
      request.end(body)
    })
  }

  /** Calls the platform's API with the first run's token, or another. */
  api(pathname, options = {}) {
    return this.request('localhost', '/api/platform/v1' + pathname, { token: this.first.token, ...options })
  }

  /** Makes a project and returns it with its keys. */
  async create(name) {
    const made = await this.api('/projects', { json: { name } })
    if (made.status !== 201) throw new Error(`create ${name}: ${made.text}`)
    return made.body
  }

  /** Calls a project's API with its secret key. */
  project(project, pathname, options = {}) {
    return this.request(`${project.name}.localhost`, pathname, { key: project.keys.secret, ...options })
  }
}

/** A platform token by which the caller acts on the project as its owner. */
export async function ownerToken(platform, project) {
  const answer = await platform.api(`/projects/${project.id}/token`, { method: 'POST' })
  if (answer.status !== 200) throw new Error(`token: ${answer.text}`)
  return answer.body.token
}

/** The process ids of the tenants that run, by project id. */
export async function tenants(platform) {
  const found = {}
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const match = line.includes('\0serve\0') && line.includes(platform.dir + '/tenants/') && /\/tenants\/([a-z0-9]+)\//.exec(line)
    if (match) found[match[1]] = Number(pid)
  }
  return found
}
