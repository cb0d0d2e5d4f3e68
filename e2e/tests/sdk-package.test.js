// What @picobase/client is as a package: its types, its size, what bundlers and Node make of it.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { measure } from '../../packages/client/size/size.js'

const run = promisify(execFile)
const folder = path.resolve(import.meta.dirname, '../../packages/client')
const npm = (...args) => run('npm', ['run', '--silent', ...args], { cwd: folder })

test('the types allow and refuse what they must', () => npm('check'))

test('it is within 3 KB on top of pocketbase', async () => {
  const own = "import { createClient } from './dist/index.js'; globalThis.client = createClient".replace('./', folder + '/')
  const [all, base] = [await measure(own), await measure("import PocketBase from 'pocketbase'; globalThis.client = PocketBase")]
  assert.ok(all.gzip - base.gzip <= 3 * 1024, `${all.gzip} - ${base.gzip} = ${all.gzip - base.gzip} bytes`)
})

test('publint and attw find nothing', () => npm('lint:package'))

test('every public name is documented', () => npm('docs'))

test('the packed package works for import and require, with all its parts', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'picobase-pack-'))
  try {
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', dir], { cwd: folder })
    const [{ filename, files }] = JSON.parse(stdout)
    assert.ok(files.every(({ path }) => /^(dist|README|LICENSE|package\.json)/.test(path)), files.map(({ path }) => path).join())
    await writeFile(path.join(dir, 'package.json'), '{"private":true}')
    await run('npm', ['install', '--no-audit', '--no-fund', path.join(dir, filename)], { cwd: dir })
    const check = (load) => `
      const parts = ${load}
      if (typeof parts[0].createClient != 'function' || typeof parts[1].createServerClient != 'function') throw new Error('core or ssr')
      if (typeof parts[2].startOAuth != 'function' || typeof parts[3].fileFromPath != 'function') throw new Error('oauth or node')
      const pb = parts[1].createServerClient('http://127.0.0.1:1', 'k', { cookies: { get: () => undefined } })
      pb.collection('x').getList().catch((error) => { if (!(error instanceof parts[0].PicoBaseError)) throw new Error('two copies of the core') })`
    const names = ['', '/ssr', '/oauth', '/node'].map((part) => `'@picobase/client${part}'`)
    await writeFile(path.join(dir, 'a.mjs'), check(`await Promise.all([${names.map((name) => `import(${name})`)}])`))
    await writeFile(path.join(dir, 'b.cjs'), check(`[${names.map((name) => `require(${name})`)}]`))
    await run(process.execPath, ['a.mjs'], { cwd: dir })
    await run(process.execPath, ['b.cjs'], { cwd: dir })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
