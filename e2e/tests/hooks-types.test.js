// The definitions that `picobase hooks types` writes, as an editor uses them: TypeScript checks the shipped examples
// and a file that uses all of it.

import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { picobase, Server } from '../server.js'

const examples = fileURLToPath(new URL('../../jsvm_hooks/examples', import.meta.url))

const options = {
  allowJs: true,
  checkJs: true,
  strict: true,
  noEmit: true,
  skipLibCheck: false,
  target: ts.ScriptTarget.ES2021,
  moduleDetection: ts.ModuleDetectionKind.Force,
  lib: ['lib.es2021.d.ts'],
  types: [],
}

function problems(dir, names) {
  const program = ts.createProgram(
    ['types.d.ts', ...names].map((name) => path.join(dir, name)),
    options,
  )
  return ts.getPreEmitDiagnostics(program).map((d) => {
    const place = d.file && d.file.getLineAndCharacterOfPosition(d.start ?? 0)
    const where = place ? `${path.basename(d.file.fileName)}:${place.line + 1}: ` : ''
    return where + ts.flattenDiagnosticMessageText(d.messageText, ' ')
  })
}

describe('types of hooks', () => {
  let server, dir
  before(async () => {
    server = await Server.start({ args: ['--hooksDir', '/nonexistent', '--replication', 'off'] })
    dir = await mkdtemp(path.join(tmpdir(), 'picobase-types-'))
    await cp(examples, dir, { recursive: true })
    const done = await picobase(['hooks', 'types', '--output', path.join(dir, 'types.d.ts'), '--dir', server.dir])
    assert.equal(done.code, 0, done.stderr)
  })
  after(async () => {
    await server?.close()
    if (dir) await rm(dir, { recursive: true, force: true })
  })

  test('the examples pass strict checks', () => {
    const names = ['slug.pb.js', 'stock.pb.js', 'welcome.pb.js', 'hello.pb.js', 'tidy.pb.js', 'lib/text.js']
    assert.deepEqual(problems(dir, names), [])
  })

  test('what is right passes', async () => {
    await writeFile(
      path.join(dir, 'right.js'),
      `
onRecordCreate((e) => { e.record.set('a', e.record.getInt('b') + 1); e.next() }, 'posts', 'pages')
onRecordAuthWithPasswordRequest((e) => { e.identity = e.identity.trim(); e.record?.email(); e.next() })
onRecordEnrich((e) => { if (!e.requestInfo.auth?.isSuperuser()) e.record.hide('x'); e.next() }, 'posts')
onMailerRecordOTPSend((e) => { e.message.subject += ' ' + e.record.email(); e.message.to = [{ address: 'a@example.com' }]; e.next() })
onRealtimeSubscribeRequest((e) => { e.subscriptions = e.subscriptions.filter((s) => s !== 'x'); e.next() })
routerUse(new Middleware((e) => e.next(), -1), (e) => e.next(), $apis.bodyLimit(10))
routerAdd('POST', '/x/{id}', (e) => {
  const data = new DynamicModel({ title: '', count: 0, tags: [] })
  e.bindBody(data)
  const rows = arrayOf(new DynamicModel({ id: '', missing: nullString() }))
  $app.db().select('id').from('posts').where($dbx.and($dbx.hashExp({ a: 1 }), $dbx.like('b', 'c').match(true, false))).limit(10).all(rows)
  const record = new Record()
  $app.recordQuery('posts').orderBy('rank').one(record)
  $app.runInTransaction((tx) => { for (const r of tx.findRecordsByFilter('posts', 'a = {:a}', '-created', 10, 0, { a: data.title.trim() })) tx.delete(r) })
  const answer = $http.send({ url: 'https://example.com', method: 'POST', body: JSON.stringify(rows.map((r) => r.id)), timeout: 10 })
  const form = new FormData()
  form.append('doc', $filesystem.fileFromBytes('x', 'x.txt'))
  e.response.header().set('X-A', toString(answer.body))
  const token = $security.createJWT({ a: new DateTime().unix() }, $secrets.get('KEY') ?? '', 60)
  if (answer.statusCode > 299) throw new BadRequestError('no', { a: new ValidationError('b', 'c') })
  $app.logger().with('a', 1).info('b', 'c', token)
  return e.json(200, { record, data })
}, $apis.requireAuth('users'))
cronAdd('job', '@hourly', () => console.log(__hooks, sleep(1), toBytes('x')))
const lib = require(\`\${__hooks}/lib/text.js\`)
module.exports = { lib }
`,
    )
    assert.deepEqual(problems(dir, ['right.js']), [])
  })

  test('each mistake is found', async () => {
    const mistakes = [
      "onRecordCreate((e) => { e.recrod.set('a', 1) })",
      "onRecordCreate((e) => { e.json(200, {}) })",
      "onServe(() => {})",
      "routerAdd('GET', '/x', (e) => e.json({}))",
      "cronAdd('x', () => {})",
      "$app.findRecordById('x')",
      "$app.settings().smtp.password",
      "$os.getenv('X')",
      "setTimeout(() => {}, 1)",
      "$app.restart()",
      "$app.db().newQuery('DELETE FROM x').execute()",
      "onRecordCreate((e) => { e.record.tokenKey() })",
      "$secrets.get('X').length",
      "new Collection({})",
      "new BadRequestError(1)",
      "document.title",
    ]
    await writeFile(path.join(dir, 'wrong.js'), mistakes.join('\n'))
    const found = new Set(problems(dir, ['wrong.js']).map((p) => Number(/^wrong\.js:(\d+): /.exec(p)?.[1])))
    mistakes.forEach((mistake, i) => assert.ok(found.has(i + 1), `not found: ${mistake}`))
    assert.equal(found.size, mistakes.length)
  })
})
