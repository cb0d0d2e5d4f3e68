// How long it takes from an empty folder to a typed record that is read back, as a person does it with the
// documented commands: node e2e/stopwatch.js

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { binary, cleanEnv } from './server.js'

const client = path.resolve(import.meta.dirname, '../packages/client')
const program = `import { createClient } from '@picobase/client'
import type { Schema } from './src/picobase'

const pb = createClient<Schema>()
const { user } = await pb.auth.signUp('first@example.com', 'correct horse battery')
const created = await pb.collection('posts').create({ title: 'Hello', author: user.id })
const read = await pb.collection('posts').getOne(created.id, { expand: 'author' })
const author: string | undefined = read.expand?.author?.email
// @ts-expect-error the types know the columns
read.nonsense
console.log(JSON.stringify({ title: read.title, author }))
`

const env = cleanEnv()
const folder = await mkdtemp(path.join(tmpdir(), 'picobase-stopwatch-'))
const app = path.join(folder, 'app')
const run = (file, args, options) =>
  promisify(execFile)(file, args, { env, maxBuffer: 1e8, ...options }).catch((error) => {
    throw new Error(`${file} ${args.join(' ')}\n${error.stdout}${error.stderr}`)
  })
const steps = []
async function step(name, work) {
  const started = performance.now()
  const result = await work()
  steps.push([name, (performance.now() - started) / 1000])
  return result
}

// Not counted: it is in the registry for people.
const [{ filename }] = JSON.parse((await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: client })).stdout)
let dev
try {
  await step('picobase init', () => run(binary, ['init', app, '--template', 'react', '--yes']))
  await step('npm install', () => run('npm', ['install', '--no-audit', '--no-fund', path.join(folder, filename)], { cwd: app }))
  const ready = await step('picobase dev', async () => {
    dev = spawn(binary, ['dev', '--json', '--yes'], { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    return new Promise((resolve, reject) => {
      dev.on('exit', (code) => reject(new Error(`dev ended with ${code}: ${output}`)))
      const take = (text) => {
        output += text
        const line = /^\{"url".*$/m.exec(output)
        if (line && output.includes('Wrote .env.local')) resolve(JSON.parse(line[0]))
      }
      dev.stdout.setEncoding('utf8').on('data', take)
      dev.stderr.setEncoding('utf8').on('data', take)
    })
  })
  await step('type-check and compile', async () => {
    await writeFile(path.join(app, 'first.ts'), program)
    await writeFile(path.join(app, 'tsconfig.first.json'), '{ "extends": "./tsconfig.json", "compilerOptions": { "noEmit": false, "outDir": "out", "rootDir": "." }, "include": ["first.ts"] }')
    await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.first.json'], { cwd: app })
  })
  const { stdout } = await step('record created and read back', () => run(process.execPath, ['--env-file', '.env.local', 'out/first.js'], { cwd: app }))
  assert.deepEqual(JSON.parse(stdout), { title: 'Hello', author: 'first@example.com' })
  for (const [name, seconds] of [...steps, ['in all', steps.reduce((sum, [, seconds]) => sum + seconds, 0)]]) {
    console.log(`${name.padEnd(30)} ${seconds.toFixed(1).padStart(6)} s`)
  }
  console.log(`(the project itself was ready after ${ready.readyMs} ms)`)
} finally {
  if (dev && dev.exitCode === null) {
    const ended = new Promise((resolve) => dev.on('exit', resolve))
    dev.kill('SIGINT')
    await ended
  }
  await rm(folder, { recursive: true, force: true })
}
