// A real S3 server, where it is built, with a proxy in front that can misbehave.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { accessSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { cleanEnv, freePort, until } from './server.js'

const program = path.resolve(import.meta.dirname, '../bin/versitygw-v1.8.0')
const exists = (() => {
  try {
    accessSync(program)
    return true
  } catch {
    return false
  }
})()

if (!exists && process.env.NO_SKIP) throw new Error('no bin/versitygw-v1.8.0: run make tools')

/** Why tests that need S3 are skipped, or false. */
export const skip = exists ? false : 'no bin/versitygw-v1.8.0: run make tools'

export class S3 {
  // Its own, so that no test ever talks to the server of another.
  accessKey = `key-${randomUUID()}`
  secretKey = `secret-${randomUUID()}`
  region = 'us-east-1'
  bucket = 'backups'

  #fault = null
  #trap = null // { pattern, sprung } of hangAt
  #connections = new Set()
  #held = [] // what goes on when a hang ends

  /** Starts a server with an empty bucket; options: port, of the endpoint. */
  static async start(options = {}) {
    const s3 = new S3()
    s3.dir = await mkdtemp(path.join(tmpdir(), 'picobase-s3-'))
    // The server takes every folder for a bucket.
    await mkdir(path.join(s3.dir, 'data', s3.bucket), { recursive: true })
    await mkdir(path.join(s3.dir, 'meta'))
    s3.port = options.port ?? (await freePort())
    s3.endpoint = `http://127.0.0.1:${s3.port}`
    s3.serverPort = await freePort()
    await s3.#listen()
    await s3.#spawn()
    return s3
  }

  async #spawn() {
    this.output = ''
    // The sidecar makes it independent of the file system's extended attributes.
    const args = ['--port', `127.0.0.1:${this.serverPort}`, '--region', this.region, 'posix', '--sidecar', path.join(this.dir, 'meta'), path.join(this.dir, 'data')]
    this.process = spawn(program, args, {
      env: cleanEnv({ ROOT_ACCESS_KEY: this.accessKey, ROOT_SECRET_KEY: this.secretKey }),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.exited = new Promise((resolve) => this.process.on('exit', (code, signal) => resolve({ code, signal })))
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.output += text))
    }
    await until('start of S3', async () => {
      if (this.process.exitCode !== null) throw new Error(`versitygw ended with ${this.process.exitCode}: ${this.output}`)
      return fetch(`http://127.0.0.1:${this.serverPort}`).then(() => true, () => false)
    })
  }

  /** Ends the server, as a crash does unless signal says otherwise. The data stays. */
  async stop(signal = 'SIGKILL') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    return this.exited
  }

  /** Starts the server again on its address and data. */
  async restart() {
    await this.stop()
    await this.#spawn()
  }

  /** Ends the server and the proxy, and removes the data. */
  async close() {
    await this.stop()
    await this.fault('refuse')
    await rm(this.dir, { recursive: true, force: true })
  }

  /** The environment of a PicoBase that keeps its backups here. */
  env(prefix = '') {
    return {
      PICOBASE_S3_ENDPOINT: this.endpoint,
      PICOBASE_S3_REGION: this.region,
      PICOBASE_S3_BUCKET: this.bucket,
      PICOBASE_S3_ACCESS_KEY_ID: this.accessKey,
      PICOBASE_S3_SECRET_ACCESS_KEY: this.secretKey,
      PICOBASE_S3_PREFIX: prefix,
    }
  }

  /** The file that holds an object's content. */
  file(key) {
    return path.join(this.dir, 'data', this.bucket, key)
  }

  /** The keys of all objects below prefix, sorted. */
  async keys(prefix = '') {
    const entries = await readdir(this.file(prefix), { recursive: true, withFileTypes: true }).catch(() => [])
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
    return files.map((file) => path.relative(this.file(''), file)).sort()
  }

  /** Copies all objects below a prefix to below another one, as they are now. */
  async copy(from, to) {
    for (const dir of ['data', 'meta']) {
      const root = path.join(this.dir, dir, this.bucket)
      // What is renamed or deleted meanwhile is not whole yet, or not there any more.
      await cp(path.join(root, from), path.join(root, to), { recursive: true, filter: (file) => !file.includes('.sgwtmp') })
    }
  }

  /** Hangs from the first request on whose first line matches; resolves then. */
  hangAt(pattern) {
    return new Promise((sprung) => (this.#trap = { pattern, sprung }))
  }

  /**
   * Misbehaves from now on: '500' answers every request so, 'hang' moves no
   * byte, also of requests in flight, 'refuse' refuses connections and cuts
   * those in flight, 'mute' takes requests and cuts the connection in place of
   * an answer, null ends it.
   */
  async fault(kind) {
    this.#trap = null
    const before = this.#fault
    if (kind === before) return
    this.#fault = kind
    // Only a hang is about the connections that are there; elsewhere one that
    // is kept alive would go on as before.
    if (kind === '500' || kind === 'refuse' || before === '500') {
      for (const socket of this.#connections) socket.destroy()
    }
    if (before === 'hang') for (const go of this.#held.splice(0)) go()
    if (kind === 'refuse') await new Promise((resolve) => this.proxy.close(resolve))
    else if (before === 'refuse') await this.#listen()
  }

  async #listen() {
    this.proxy = createServer((client) => this.#serve(client))
    await new Promise((resolve, reject) => this.proxy.once('error', reject).listen(this.port, '127.0.0.1', resolve))
  }

  #serve(client) {
    this.#track(client)
    if (this.#fault === '500') {
      client.on('data', () => client.end('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'))
      return
    }
    const server = connect(this.serverPort, '127.0.0.1')
    this.#track(server)
    client.on('data', (bytes) => {
      if (!this.#trap?.pattern.test(bytes.toString('latin1', 0, 500).split('\r\n', 1)[0])) return
      const { sprung } = this.#trap
      this.fault('hang').then(sprung)
    })
    this.#pass(client, server)
    server.on('data', () => {
      if (this.#fault === 'mute') client.destroy()
    })
    this.#pass(server, client)
  }

  #track(socket) {
    this.#connections.add(socket)
    // A reset is what the faults are for.
    socket.on('error', () => {}).on('close', () => this.#connections.delete(socket))
  }

  // It passes bytes, so that signatures and odd keys are what the client sent.
  #pass(from, to) {
    const pass = (act) => {
      if (this.#fault !== 'hang') return act()
      from.pause()
      this.#held.push(act)
    }
    from.on('data', (bytes) =>
      pass(() => {
        if (to.write(bytes)) from.resume()
        else {
          from.pause()
          to.once('drain', () => from.resume())
        }
      }),
    )
    from.on('close', () => pass(() => to.destroy()))
    from.on('end', () => pass(() => to.end()))
  }
}
