// The npm package picobase: packed, installed without a network, and run.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { binary, cleanEnv, freePort, until } from '../server.js'

const run = promisify(execFile)
const build = path.resolve(import.meta.dirname, '../../packages/cli/build.js')
const system = `${process.platform}-${process.arch}`
let dir, command, packed

before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'picobase-cli-'))
  const goNames = { win32: 'windows', x64: 'amd64' }
  await mkdir(path.join(dir, 'programs'))
  await copyFile(binary, path.join(dir, 'programs', `picobase-${goNames[process.platform] ?? process.platform}-${goNames[process.arch] ?? process.arch}`))
  packed = (await run(process.execPath, [build, path.join(dir, 'programs'), path.join(dir, 'packed'), '--version', '9.8.7', '--only', system])).stdout.trim().split('\n')
  command = await install('both', packed)
})
after(() => rm(dir, { recursive: true, force: true }))

async function install(name, packages) {
  const app = path.join(dir, name)
  await mkdir(app)
  await writeFile(path.join(app, 'package.json'), '{"private":true}')
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--cache', path.join(dir, 'cache'), ...packages], { cwd: app })
  return path.join(app, 'node_modules/.bin/picobase')
}

const picobase = (...args) => run(command, args, { env: cleanEnv() }).then((r) => ({ code: 0, ...r }), (error) => error)

test('the program and its finder are packed, with what belongs in them', async () => {
  assert.deepEqual(packed.map((file) => path.basename(file)), [`picobase-cli-${system}-9.8.7.tgz`, 'picobase-9.8.7.tgz'])
  const { stdout } = await run('tar', ['-tzf', packed[1]])
  assert.deepEqual(stdout.trim().split('\n').sort(), ['LICENSE', 'README.md', 'bin/picobase.js', 'package.json'].map((name) => 'package/' + name))
  const manifest = JSON.parse((await run('tar', ['-xzOf', packed[1], 'package/package.json'])).stdout)
  assert.deepEqual([...new Set(Object.values(manifest.optionalDependencies))], ['9.8.7'])
  assert.equal(manifest.scripts, undefined, 'no install scripts')
})

test('output, arguments and exit codes are those of the program', async () => {
  const own = await run(binary, ['--version'])
  assert.equal((await picobase('--version')).stdout, own.stdout)
  const wrong = await picobase('init', path.join(dir, 'a folder'), '--template', 'no such one')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /"no such one"/)
  assert.equal((await picobase('keys', 'list', '--url', 'http://127.0.0.1:1', '--key', 'pbk_sec_x')).code, 5)
})

test('signals reach the program, which stops in its own way', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const port = await freePort()
    const child = spawn(command, ['serve', '--dir', path.join(dir, signal), '--http', `127.0.0.1:${port}`], { env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
    const closed = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
    await until('the start', () => fetch(`http://127.0.0.1:${port}/api/v1/ready`).then((r) => r.ok, () => false))
    child.kill(signal)
    assert.deepEqual(await closed, { code: 0, signal: null }, output) // closed only when the program has gone too
    assert.match(output, /stopped/, signal)
  }
})

test('a program that was killed is told of as killed', { skip: process.platform != 'linux' && 'finds the program in /proc' }, async () => {
  const port = await freePort()
  const child = spawn(command, ['serve', '--dir', path.join(dir, 'killed'), '--http', `127.0.0.1:${port}`], { env: cleanEnv(), stdio: 'ignore' })
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })))
  await until('the start', () => fetch(`http://127.0.0.1:${port}/api/v1/ready`).then((r) => r.ok, () => false))
  process.kill(Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')), 'SIGKILL')
  assert.deepEqual(await exited, { code: null, signal: 'SIGKILL' })
})

test('without the program it says what to install', async () => {
  command = await install('alone', ['--omit=optional', packed[1]])
  const { code, stderr } = await picobase('--version')
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`@picobase/cli-${system} is not installed`))
  assert.match(stderr, new RegExp(`npm install @picobase/cli-${system}@9\\.8\\.7`))
  assert.match(stderr, /--omit=optional/)
})
