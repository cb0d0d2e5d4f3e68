// picobase typegen and GET /api/v1/types.ts: the types compile, and hold against the client's.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { binary, cleanEnv, picobase, Server, until } from '../server.js'

const client = path.resolve(import.meta.dirname, '../../packages/client')
let server, token, dir, file

before(async () => {
  server = await Server.start()
  token = await server.superuserToken()
  dir = await mkdtemp(path.join(tmpdir(), 'picobase-typegen-'))
  file = path.join(dir, 'src', 'picobase.ts')
  const posts = await collection('posts', [
    { name: 'title', type: 'text', required: true }, { name: 'status', type: 'select', maxSelect: 1, values: ['draft', 'published'], required: true },
    { name: 'author', type: 'relation', collectionId: '_pb_users_auth_', maxSelect: 1 }, { name: 'secret', type: 'text', hidden: true },
    { name: 'tags', type: 'select', maxSelect: 2, values: ['a', 'b'] }, { name: 'meta', type: 'json' }, { name: 'where', type: 'geoPoint' },
    { name: 'cover', type: 'file', maxSelect: 1 }, { name: 'at', type: 'date' }, { name: 'n', type: 'number' },
  ])
  assert.equal(posts.status, 200, JSON.stringify(posts.body))
  await server.fetch('/api/collections', { token, json: { name: 'stats', type: 'view', viewQuery: 'SELECT id, title, COUNT(*) AS total FROM posts GROUP BY title' } })
})
after(async () => {
  await server.close()
  await rm(dir, { recursive: true, force: true })
})

const collection = (name, fields) => server.fetch('/api/collections', { token, json: { name, type: 'base', fields } })
const typegen = (...args) => picobase(['typegen', '--url', server.url, '--key', server.secret, ...args])

test('the key must be allowed to read the schema, or all records', async () => {
  const create = async (...scopes) => {
    const made = await picobase(['keys', 'create', '--dir', server.dir, '--kind', 'secret', '--label', 'ci', ...scopes.flatMap((scope) => ['--scope', scope]), '--json'])
    return JSON.parse(made.stdout).key
  }
  const outcome = async (key) => {
    let result
    // A key that another process makes is known after a moment.
    await until('the key', async () => (result = await picobase(['typegen', '--url', server.url, '--key', key])) && !/api_key_unknown/.test(result.stderr))
    return result
  }
  for (const scopes of [['records:read:posts'], ['usage']]) {
    const { code, stderr } = await outcome(await create(...scopes))
    assert.deepEqual([code, /schema:read/.test(stderr)], [4, true], scopes.join())
  }
  for (const scopes of [['schema:read'], ['records:read'], []]) assert.equal((await outcome(await create(...scopes))).code, 0, scopes.join())
})

test('the types are written, checked, and compile against the client', async () => {
  assert.equal((await typegen('--output', file, '--check')).code, 1)
  const written = await typegen('--output', file)
  assert.deepEqual([written.code, written.stdout], [0, ''], written.stderr)
  assert.match(written.stderr, /Wrote/)
  assert.equal((await typegen('--output', file, '--check')).code, 0)
  assert.deepEqual(JSON.parse((await typegen('--output', file, '--json')).stdout), { output: file, changed: false })
  const text = await readFile(file, 'utf8')
  assert.equal((await typegen()).stdout, text, 'to the terminal')
  assert.equal((await picobase(['typegen', '--dir', server.dir])).stdout, text, 'of the folder')
  for (const hidden of ['secret', 'tokenKey', '_pico', '_superusers']) assert.ok(!text.includes(hidden), hidden)

  await writeFile(path.join(dir, 'src', 'use.ts'), `
    import { createClient } from '@picobase/client'
    import type { Schema } from './picobase'
    const pb = createClient<Schema>('http://localhost', 'k')
    export async function use() {
      const post = await pb.collection('posts').create({ title: 'x', status: 'draft', at: new Date(), cover: new File([], 'x'), where: { lon: 1, lat: 2 } })
      const status: 'draft' | 'published' = post.status
      await pb.collection('posts').update(post.id, { 'n+': 1, 'tags-': 'a' })
      // @ts-expect-error no such status
      await pb.collection('posts').create({ title: 'x', status: 'gone' })
      // @ts-expect-error hidden
      post.secret
      // @ts-expect-error a view
      await pb.collection('stats').create({})
      const expanded = await pb.collection('posts').getOne(post.id, { expand: 'author' })
      const name: string | undefined = expanded.expand?.author?.name
      const users = await pb.from('users').expand('posts_via_author').eq('verified', true)
      const title: string | undefined = users[0]?.expand?.posts_via_author?.[0]?.title
      const { user } = await pb.auth.signUp('a@example.com', 'b', { name: 'c' })
      return [status, name, title, user.verified] as const
    }`)
  await writeFile(path.join(dir, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      strict: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'], types: [],
      paths: { '@picobase/client': [path.join(client, 'dist/index.d.ts')], pocketbase: [path.join(client, 'node_modules/pocketbase/dist/pocketbase.es.d.mts')] },
    },
    // Every type of field too, as the Go tests have it.
    include: ['src', path.resolve(import.meta.dirname, '../../plugins/typegen/testdata/schema.ts')],
  }))
  await promisify(execFile)(path.join(client, 'node_modules/.bin/tsc'), ['-p', dir]).catch(({ stdout }) => assert.fail(stdout))
})

test('a watch writes again when the schema changes, also after a restart of the server', async () => {
  await rm(file)
  const watch = spawn(binary, ['typegen', '--url', server.url, '--key', server.secret, '--output', file, '--watch'], { env: cleanEnv(), stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = new Promise((resolve) => watch.on('exit', resolve))
  try {
    await until('the first types', () => readFile(file).catch(() => null))
    await server.stop()
    server.spawn(['serve', '--dir', server.dir, '--http', `127.0.0.1:${server.port}`], {})
    await server.ready()
    assert.equal((await collection('later', [{ name: 'x', type: 'text' }])).status, 200)
    await until('the new types', async () => (await readFile(file, 'utf8')).includes('later:'))
  } finally {
    watch.kill('SIGINT')
    assert.equal(await exited, 0)
  }
})

test('wrong usage says so', async () => {
  for (const args of [['--watch'], ['--check'], ['--watch', '--check', '--output', file], ['extra']]) {
    const { code, stderr } = await typegen(...args)
    assert.equal(code, 2, args.join(' ') + stderr)
  }
  assert.equal((await picobase(['typegen', '--url', 'http://127.0.0.1:1', '--key', server.secret])).code, 5)
})
