// What the tests of backups share: a project with rows whose fate is known.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { cleanEnv, email, freePort, password, Server, stockBinary, until } from './server.js'

const fields = [
  { name: 'n', type: 'number' },
  { name: 'body', type: 'text' },
  { name: 'file', type: 'file', maxSelect: 1, maxSize: 20 << 20, thumbs: ['10x10'] },
  { name: 'created', type: 'autodate', onCreate: true },
]

/** Starts a server whose project has a collection notes, signed in as server.token. */
export async function startProject(options = {}) {
  const server = await Server.start(options)
  try {
    await makeProject(server)
  } catch (error) {
    await server.stop('SIGKILL')
    throw error
  }
  return server
}

async function makeProject(server) {
  await signIn(server)
  const found = await server.fetch('/api/collections/notes', { token: server.token })
  if (found.status === 200) return
  await post(server, '/api/collections', { name: 'notes', type: 'base', fields, listRule: '', viewRule: '' })
  // Tests write faster than a client should.
  await post(server, '/api/v1/settings', { rateLimits: { enabled: false } }, { method: 'PATCH' })
}

export async function signIn(server) {
  server.token = await server.superuserToken()
}

/** Sends JSON as the superuser and returns the body of the answer, which must be good. */
export async function post(server, pathname, json, init = {}) {
  const answer = await server.fetch(pathname, { method: 'POST', token: server.token, json, ...init })
  assert.ok(answer.status < 300, `${pathname}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body
}

export async function get(server, pathname) {
  const answer = await server.fetch(pathname, { token: server.token })
  assert.equal(answer.status, 200, `${pathname}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

export const addNote = (server, note = {}) => post(server, '/api/collections/notes/records', note)

/** Adds a note with an uploaded file and returns it. */
export async function addFile(server, name, content, type = 'application/octet-stream') {
  const body = new FormData()
  body.set('file', new Blob([content], { type }), name)
  const answer = await server.fetch('/api/collections/notes/records', { method: 'POST', token: server.token, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body
}

/** The bytes of a note's file, or null where it is not served. */
export async function download(server, note, query = '') {
  const answer = await fetch(`${server.url}/api/files/notes/${note.id}/${note.file}${query}`, { headers: { Authorization: server.token } })
  return answer.ok ? Buffer.from(await answer.arrayBuffer()) : null
}

/** All notes by id. */
export async function allNotes(server) {
  const found = new Map()
  for (let page = 1; ; page++) {
    const { items } = await get(server, `/api/collections/notes/records?skipTotal=1&perPage=1000&sort=id&page=${page}&fields=id,n,body,file,created`)
    for (const item of items) found.set(item.id, item)
    if (items.length < 1000) return found
  }
}

/** Asserts that the server has every one of the rows that were acknowledged. */
export async function assertHasAll(server, acked, what) {
  const notes = await allNotes(server)
  const missing = acked.filter(({ id }) => !notes.has(id))
  assert.equal(missing.length, 0, `${what}: ${missing.length} of ${acked.length} rows are missing`)
  return notes
}

/** Asserts that a restore drill of the server, which checks the integrity, goes well. */
export async function assertDrill(server) {
  const report = await post(server, '/api/v1/backups/drill')
  assert.equal(report.status, 'ok', JSON.stringify(report))
  return report
}

/**
 * Waits until the object store has all that was written, by one more note, and
 * returns that.
 */
export async function replicated(server, limit) {
  const marker = await addNote(server, { body: 'marker' })
  await until('replication', async () => {
    const { status, body } = await server.fetch('/api/v1/backups/pitr', { token: server.token })
    return status === 200 && body.to && new Date(body.to) >= new Date(marker.created)
  }, limit)
  // A transaction file is of the moment at which it is made, a little after what is in it.
  await until('the marker', async () => (await get(server, '/api/v1/due')).synced, limit)
  return marker
}

/** Waits until a restore that was begun is over, and returns how it ended. */
export async function restored(server, { id }) {
  let last
  await until('the restore', async () => {
    const answer = await server.fetch('/api/v1/backups/pitr', { token: server.token }).catch(() => null) // it restarts
    last = answer?.body?.lastRestore
    return last?.id === id && ['done', 'failed'].includes(last.status)
  })
  assert.equal(last.status, 'done', JSON.stringify(last))
  return last
}

/**
 * Returns, once it is past, the moment from which on a restore has all that was
 * written before now: a restore may end up to a second before its moment.
 */
export async function moment() {
  const at = Date.now() + 1000
  await until('the moment to pass', () => Date.now() > at)
  return new Date(at).toISOString()
}

/** Makes an API key. */
export const makeKey = (server, scopes = ['*'], label = 'e2e') => post(server, '/api/v1/keys', { kind: 'secret', label, scopes })

let number = 0

/** Clients that write as fast as they are answered, or with a pause in between. */
export class Writers {
  acked = [] // { id, sent, at } of every row that was acknowledged
  refused = [] // answers other than 200
  slowest = 0

  constructor(server, count = 4, pause = 0) {
    this.server = server
    this.running = Promise.all(Array.from({ length: count }, () => this.#write(pause)))
  }

  async #write(pause) {
    while (!this.stopped) {
      const sent = Date.now()
      let answer
      try {
        answer = await this.server.fetch('/api/collections/notes/records', { token: this.server.token, json: { n: ++number, body: 'x'.repeat(200) } })
      } catch {
        return // the server is gone
      }
      const at = Date.now()
      this.slowest = Math.max(this.slowest, at - sent)
      if (answer.status === 200) this.acked.push({ id: answer.body.id, sent, at })
      else this.refused.push(answer)
      if (pause) await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  /** Ends writing and returns what was acknowledged. */
  async stop() {
    this.stopped = true
    await this.running
    return this.acked
  }

  /** Waits until that many more rows are acknowledged. */
  async more(count) {
    const goal = this.acked.length + count
    await until(`${count} more rows`, () => this.acked.length >= goal)
  }
}

/** A function that registers what to clean up after a test. */
export function folders(t) {
  return async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'picobase-e2e-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    return path.join(dir, 'pb_data')
  }
}

/**
 * The servers of one test, all ended and removed after it: start and launch
 * take the options of startProject, refused returns how a start ended that
 * must not succeed.
 */
export function servers(t) {
  const all = []
  const keep = (server) => {
    all.push(server)
    t.after(async () => {
      server.process.kill('SIGCONT')
      await server.stop('SIGKILL')
      await rm(server.dir, { recursive: true, force: true })
    })
    return server
  }
  return {
    start: async (options) => keep(await startProject(options)),
    launch: async (options) => keep(await Server.launch(options)),
    refused: async (options) => {
      const begin = Date.now()
      const server = keep(await Server.launch(options))
      const exit = await Promise.race([server.exited, until('refusal', () => server.process.exitCode !== null, 30_000)]).then(() => server.exited)
      return { ...exit, output: server.output, dir: server.dir, ms: Date.now() - begin }
    },
  }
}

/** Asserts that a start was refused with one line that matches all patterns. */
export function assertRefused(result, ...patterns) {
  assert.equal(result.code, 1, result.output)
  const lines = result.output.trim().split('\n')
  assert.equal(lines.filter((line) => line.startsWith('picobase: ')).length, 1, result.output)
  for (const pattern of patterns) assert.match(lines.at(-1), pattern)
}

/** Starts stock PocketBase on a folder with a superuser of its own, signed in. */
export async function startStock(t, dir) {
  await promisify(execFile)(stockBinary, ['superuser', 'upsert', email, password, '--dir', dir], { env: cleanEnv() })
  const server = new Server()
  const port = await freePort()
  server.url = `http://127.0.0.1:${port}`
  server.spawn(['serve', '--dir', dir, '--http', `127.0.0.1:${port}`], {}, stockBinary)
  t.after(() => server.stop('SIGKILL'))
  await until('start of stock PocketBase', async () => {
    if (server.process.exitCode !== null) throw new Error(server.output)
    return fetch(server.url + '/api/health').then((r) => r.ok, () => false)
  })
  await signIn(server)
  return server
}
