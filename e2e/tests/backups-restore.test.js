// Restores: to any second, in place and elsewhere, and killed in between.

import assert from 'node:assert/strict'
import { cp, mkdir, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addFile, addNote, allNotes, assertDrill, download, folders, get, makeKey, moment, post, replicated, restored, servers, Writers } from '../backups.js'
import { S3, skip } from '../s3.js'
import { email, picobase, until } from '../server.js'

/** Asserts that a restore to a moment has what is of the seconds before, and nothing of after. */
function assertEndsAt(notes, acked, at, what) {
  for (const { created } of notes.values()) assert.ok(new Date(created) <= at, `${what}: a row of ${new Date(created) - at} ms after the moment`)
  for (const { id, at: time } of acked) assert.ok(time > at - 1000 || notes.has(id), `${what}: a row acknowledged ${at - time} ms before the moment is missing`)
}

const succeeds = async (args, env) => {
  const result = await picobase(args, { env })
  assert.equal(result.code, 0, result.stderr)
  return result
}

// The parts that a folder with S3 and one without have in common.
const places = { S3: (s3, prefix) => (s3 ? s3.env(prefix) : null), 'the data folder alone': () => ({}) }

for (const [place, envOf] of Object.entries(places)) {
  describe(`restores from ${place}`, { skip: place === 'S3' && skip }, () => {
    let s3
    before(async () => (s3 = place === 'S3' ? await S3.start() : null))
    after(() => s3?.close())

    test('ten random moments, each in a new folder, and one in place', async (t) => {
      const { start } = servers(t)
      const env = envOf(s3, 'moments')
      const server = await start({ env })
      const { key } = await makeKey(server, ['backups'])
      const begin = Date.now()
      const writers = new Writers(server, 2, 10)
      await until('three seconds of writes', () => Date.now() > begin + 3000)
      const acked = await writers.stop()
      await moment()

      const folder = folders(t)
      const moments = Array.from({ length: 10 }, () => new Date(begin + 1000 + Math.floor(Math.random() * 3000)))
      const check = async (at) => {
        const dir = await folder()
        await succeeds(['backups', 'restore', '--at', at.toISOString(), '--to', dir, '--url', server.url, '--key', key])
        const there = await start({ dir })
        assertEndsAt(await allNotes(there), acked, at, at.toISOString())
        await there.stop('SIGKILL')
      }
      for (const at of moments) await check(at)

      const at = moments[0]
      await restored(server, await post(server, '/api/v1/backups/pitr', { at }))
      assertEndsAt(await allNotes(server), acked, at, `in place, ${at.toISOString()}`)
      await assertDrill(server)
    })

    test('in place over HTTP: what must not be undone stays, and the state before comes back', async (t) => {
      const { start } = servers(t)
      const server = await start({ env: envOf(s3, 'in-place') })
      const signUp = async (name) => {
        const user = await post(server, '/api/collections/users/records', { email: `${name}@example.com`, password: 'first password', passwordConfirm: 'first password' })
        return { ...user, ...(await signInAs(name, 'first password')) }
      }
      const signInAs = async (name, password) => {
        const { body } = await server.fetch('/api/collections/users/auth-with-password', { key: server.publishable, json: { identity: `${name}@example.com`, password } })
        return { name, token: body.token }
      }
      const isSignedIn = async ({ token }) => (await server.fetch('/api/collections/users/auth-refresh', { method: 'POST', key: server.publishable, token })).status === 200
      const [anna, ben] = [await signUp('anna'), await signUp('ben')]
      const kept = await addNote(server, { body: 'kept' })
      const file = await addFile(server, 'hello.txt', 'hello')
      const old = await makeKey(server)
      const at = await moment()

      const later = await addNote(server, { body: 'later' })
      assert.equal((await server.fetch(`/api/collections/notes/records/${file.id}`, { method: 'DELETE', token: server.token })).status, 204)
      assert.equal(await download(server, file), null)
      await post(server, `/api/collections/users/records/${anna.id}`, { password: 'second password', passwordConfirm: 'second password' }, { method: 'PATCH' })
      const annaSince = await signInAs('anna', 'second password')
      assert.ok((await server.fetch(`/api/v1/keys/${old.id}`, { method: 'DELETE', token: server.token })).status < 300)
      const made = await makeKey(server)
      const trail = (await get(server, '/api/v1/audit?perPage=200')).items

      const last = await restored(server, await post(server, '/api/v1/backups/pitr', { at }))
      const notes = await allNotes(server)
      assert.ok(notes.has(kept.id) && notes.has(file.id) && !notes.has(later.id))
      if (place === 'S3') assert.equal(String(await download(server, file)), 'hello')
      assert.equal((await server.fetch('/api/v1/keys', { key: old.key })).body.error?.code, 'api_key_revoked')
      assert.equal((await server.fetch('/api/v1/keys', { key: made.key })).status, 200)
      assert.deepEqual([await isSignedIn(anna), await isSignedIn(annaSince), await isSignedIn(ben)], [false, false, true])
      assert.ok((await signInAs('anna', 'first password')).token)

      const trailAfter = (await get(server, '/api/v1/audit?perPage=500')).items
      for (const { id, action } of trail) assert.ok(trailAfter.some((entry) => entry.id === id), `${action} is missing in the audit trail`)
      const entry = trailAfter.find(({ action }) => action === 'backup.restored')
      assert.deepEqual([entry.actor.kind, entry.actor.name], ['superuser', email])

      const back = await restored(server, await post(server, `/api/v1/backups/${last.before}/restore`))
      assert.notEqual(back.before, last.before)
      const again = await allNotes(server)
      assert.ok(again.has(kept.id) && again.has(later.id) && !again.has(file.id))
      assert.equal((await get(server, '/api/v1/audit?action=backup.restored')).totalItems, 2)
      assert.deepEqual([await isSignedIn(anna), await isSignedIn(ben)], [false, true])
      await addNote(server)
      await assertDrill(server)
    })

    test('by the command line: through the server, on a stopped folder, and not beside a running server', async (t) => {
      const { start } = servers(t)
      const env = envOf(s3, 'by-cli')
      let server = await start({ env })
      const { key } = await makeKey(server, ['backups'])
      const kept = await addNote(server)
      const at = await moment()
      const later = await addNote(server)
      const has = async () => [...(await allNotes(server)).keys()].filter((id) => [kept.id, later.id].includes(id)).length

      const beside = await picobase(['backups', 'restore', '--at', at, '--yes', '--dir', server.dir], { env })
      assert.equal(beside.code, 1, beside.stderr)
      assert.match(beside.stderr, /server is running on this folder.*folder_in_use/)
      assert.match(beside.stderr, /--url/)
      assert.equal(await has(), 2)

      const first = JSON.parse((await succeeds(['backups', 'restore', '--at', at, '--yes', '--json', '--url', server.url, '--key', key])).stdout)
      assert.equal(first.status, 'done')
      assert.equal(await has(), 1)

      await server.stop()
      const local = ['--yes', '--json', '--dir', server.dir]
      const second = JSON.parse((await succeeds(['backups', 'restore', '--id', first.before, ...local], env)).stdout)
      server = await start({ dir: server.dir, env })
      assert.equal(await has(), 2)
      await server.stop()
      await succeeds(['backups', 'restore', '--at', at, ...local], env)
      server = await start({ dir: server.dir, env })
      assert.equal(await has(), 1)
      const ids = (await get(server, '/api/v1/backups')).items.map(({ id }) => id)
      assert.ok(ids.includes(first.before) && ids.includes(second.before), ids.join())
      const trail = await get(server, '/api/v1/audit?action=backup.restored')
      assert.equal(trail.totalItems, 3, JSON.stringify(trail))
      await addNote(server)
      await assertDrill(server)
    })
  })
}

describe('kills during a restore', { skip }, () => {
  let s3
  before(async () => (s3 = await S3.start()))
  after(() => s3?.close())

  async function twoStates(start, env) {
    const server = await start({ env })
    const kept = await addNote(server)
    const at = await moment()
    const later = await replicated(server)
    return { server, kept, later, at }
  }

  for (const what of ['the state before is kept', 'the replica is read']) {
    test(`killed while ${what}: the present state stays`, async (t) => {
      const { start } = servers(t)
      const env = s3.env(what.replaceAll(' ', '-'))
      const { server, kept, later, at } = await twoStates(start, env)
      let hangs = s3.hangAt(/^PUT \S+\/backups\/\S+zip/)
      const order = await post(server, '/api/v1/backups/pitr', { at })
      assert.equal(order.status, 'preparing')
      await hangs
      if (what === 'the replica is read') {
        s3.fault(null)
        await (hangs = s3.hangAt(/^GET \S+\.ltx/))
      }
      await server.stop('SIGKILL')
      await s3.fault(null)
      const again = await start({ dir: server.dir, env })
      const notes = await allNotes(again)
      assert.ok(notes.has(kept.id) && notes.has(later.id))
      await assertDrill(again)
      // And nothing is left in the way of another try.
      await restored(again, await post(again, '/api/v1/backups/pitr', { at }))
      assert.ok(!(await allNotes(again)).has(later.id))
    })
  }

  test('killed once the new state is ready, at any step: the next start has it', async (t) => {
    const { start, launch } = servers(t)
    const env = s3.env('steps')
    let { server, kept, later, at } = await twoStates(start, env)
    const area = path.join(server.dir, '.pico/restore')
    const exists = (name) => stat(path.join(area, name)).then(() => true, () => false)
    const steps = { 'the journal is there': () => exists('journal.json'), // Or past that: it takes a moment only.
      'files are moved': async () => (await exists('old')) || !(await exists('journal.json')), 'it was carried out': async () => !(await exists('journal.json')) }
    for (const [what, reached] of Object.entries(steps)) {
      await post(server, '/api/v1/backups/pitr', { at })
      const deadline = Date.now() + 20_000
      while (!(await exists('journal.json'))) assert.ok(Date.now() < deadline, 'no restore')
      while (!(await reached())) assert.ok(Date.now() < deadline, what)
      await server.stop('SIGKILL')
      // Killed while it starts again, too.
      const between = await launch({ dir: server.dir, env })
      await until('an attempt to start', () => Promise.race([between.exited.then(() => true), exists('journal.json').then((is) => !is)]))
      await between.stop('SIGKILL')

      server = await start({ dir: server.dir, env })
      const notes = await allNotes(server)
      assert.ok(notes.has(kept.id), what)
      assert.ok(!notes.has(later.id), `${what}: the old state is there`)
      assert.equal((await get(server, '/api/v1/backups/pitr')).lastRestore.status, 'done')
      await assertDrill(server)
      later = await replicated(server)
    }
    await server.stop('SIGKILL')
    const elsewhere = await start({ env })
    const notes = await allNotes(elsewhere)
    assert.ok(notes.has(kept.id) && notes.has(later.id))
  })
})

test('without S3 nothing is written outside of the folder, and data.db alone is complete after a stop', async (t) => {
  const { start } = servers(t)
  const folder = folders(t)
  const dir = await folder()
  const outside = path.dirname(dir)
  let server = await start({ dir, env: { HOME: outside, TMPDIR: outside } })
  const writers = new Writers(server, 2)
  await writers.more(200)
  const acked = await writers.stop()
  await post(server, '/api/v1/backups')
  await assertDrill(server)
  assert.deepEqual(await server.stop(), { code: 0, signal: null })
  assert.deepEqual(await readdir(outside), ['pb_data'])

  const alone = await folder()
  await mkdir(alone)
  await cp(path.join(dir, 'data.db'), path.join(alone, 'data.db'))
  server = await start({ dir: alone })
  const notes = await allNotes(server)
  assert.equal(acked.filter(({ id }) => !notes.has(id)).length, 0)
})
