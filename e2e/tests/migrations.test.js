// A project's own migrations, as PocketBase has them.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { picobase, Server } from '../server.js'

let dir, migrations
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'picobase-migrations-'))
  migrations = path.join(dir, 'pb_migrations')
  await mkdir(migrations)
  await writeFile(path.join(migrations, '1700000000_posts.js'), `
    migrate((app) => {
      app.save(new Collection({ type: 'base', name: 'posts', listRule: '', fields: [{ name: 'title', type: 'text' }] }))
    }, (app) => {
      app.delete(app.findCollectionByNameOrId('posts'))
    })`)
})
after(() => rm(dir, { recursive: true, force: true }))

test('they run at the start, and are written for changes of collections', async () => {
  const server = await Server.start({ args: ['--migrationsDir', migrations, '--automigrate'] })
  try {
    assert.equal((await server.fetch('/api/collections/posts/records', { key: server.publishable })).status, 200)
    const token = await server.superuserToken()
    const made = await server.fetch('/api/collections', { token, json: { name: 'later', type: 'base', fields: [{ name: 'x', type: 'text' }] } })
    assert.equal(made.status, 200)
    assert.match((await readdir(migrations)).join(), /\d+_created_later\.js/)
  } finally {
    await server.close()
  }
})

test('the same files make the same collections elsewhere, and can be reverted', async () => {
  const data = path.join(dir, 'pb_data')
  const up = await picobase(['migrate', 'up', '--dir', data, '--migrationsDir', migrations])
  assert.equal(up.code, 0, up.stderr)
  const asked = await picobase(['migrate', 'down', '1', '--dir', data, '--migrationsDir', migrations])
  assert.deepEqual([asked.code, /--yes/.test(asked.stderr)], [1, true], 'asks nobody')
  const types = async () => (await picobase(['typegen', '--dir', data])).stdout
  assert.match(await types(), /later: \{[\s\S]*posts: \{/)
  assert.equal((await picobase(['--dir', data, 'migrate', 'down', '1', '--migrationsDir', migrations, '--yes'])).code, 0)
  assert.doesNotMatch(await types(), /later: \{/)
})

test('a broken one stops the start and says where it is; other commands go on', async () => {
  await writeFile(path.join(migrations, '1800000001_broken.js'), 'migrate((app) => {\n  nothing.here()\n})\nthrow new Error("broken")')
  const data = path.join(dir, 'broken')
  const { code, stderr } = await picobase(['serve', '--dir', data, '--migrationsDir', migrations, '--http', '127.0.0.1:0'])
  assert.equal(code, 1)
  assert.match(stderr, /1800000001_broken\.js.*broken/)
  assert.equal((await picobase(['keys', 'list', '--dir', path.join(dir, 'pb_data')], { cwd: dir })).code, 0)
})
