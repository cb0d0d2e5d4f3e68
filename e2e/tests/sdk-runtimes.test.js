// @picobase/client in a process of each runtime, against the real binary.
// Bun and Deno are used where they are installed; .ci/run installs them.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { EdgeRuntime } from 'edge-runtime'
import { build } from '../../packages/client/node_modules/esbuild/lib/main.js'
import { cleanEnv, Server } from '../server.js'

const run = promisify(execFile)
const client = path.resolve(import.meta.dirname, '../../packages/client/dist/index.js')
const visit = path.resolve(import.meta.dirname, '../visit.js')
const installed = path.resolve(import.meta.dirname, '../.runtimes/node_modules/.bin')
const expected = { user: true, live: 'create live', found: 1, file: 'hello', missing: 404, session: null }

let server, dir
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'picobase-runtimes-'))
  server = await Server.start()
  const made = await server.fetch('/api/collections', {
    token: await server.superuserToken(),
    json: {
      name: 'posts', type: 'base', listRule: '', viewRule: '', createRule: '', updateRule: '', deleteRule: '',
      fields: [{ name: 'title', type: 'text' }, { name: 'files', type: 'file', maxSelect: 5 }],
    },
  })
  assert.equal(made.status, 200, JSON.stringify(made.body))
})
after(async () => {
  await server?.close()
  await rm(dir, { recursive: true, force: true })
})

const env = cleanEnv({ PATH: `${installed}${path.delimiter}${process.env.PATH}` })

/** Why a runtime's test is skipped, or false. */
async function absent(command) {
  try {
    await run(command, ['--version'], { env, timeout: 60_000 })
    return false
  } catch (error) {
    if (process.env.NO_SKIP) throw new Error(`no ${command}: npm install --prefix e2e/.runtimes ${command}`, { cause: error })
    return `no ${command} on this machine (npm install --prefix e2e/.runtimes ${command})`
  }
}

const runtimes = {
  // Here it is also shown that nothing of the client keeps a process from its end.
  node: { args: [], before: `globalThis.EventSource = (await import(${JSON.stringify(import.meta.resolve('eventsource'))})).EventSource` },
  // Bun has no EventSource, and is given the same one as Node.
  bun: { args: ['run'], before: `globalThis.EventSource = (await import(${JSON.stringify(import.meta.resolve('eventsource'))})).EventSource` },
  deno: { args: ['run', '--quiet', '--allow-all', '--node-modules-dir=manual'], before: '' },
}

for (const [name, { args, before }] of Object.entries(process.env.NO_RUNTIMES ? { node: runtimes.node } : runtimes)) {
  test(`the client in ${name}`, { skip: await absent(name) }, async () => {
    const program = path.join(dir, `${name}.mjs`)
    await writeFile(program, `
      import * as client from ${JSON.stringify(client)}
      import { visit } from ${JSON.stringify(visit)}
      ${before}
      console.log(JSON.stringify(await visit(client, ${JSON.stringify(server.url)}, ${JSON.stringify(server.publishable)})))`)
    const { stdout } = await run(name, [...args, program], { cwd: path.dirname(path.dirname(client)), env, timeout: 60_000 })
    assert.deepEqual(JSON.parse(stdout), expected)
  })
}

// What Next's middleware and other edge functions run in: the web's APIs, and nothing of Node.
test('the client in an edge runtime', async () => {
  const bundle = await build({
    stdin: {
      contents: `
        import * as client from ${JSON.stringify(client)}
        import { visit } from ${JSON.stringify(visit)}
        globalThis.answer = visit(client, ${JSON.stringify(server.url)}, ${JSON.stringify(server.publishable)}).then(JSON.stringify)`,
      resolveDir: dir,
    },
    bundle: true, format: 'iife', write: false, logLevel: 'error',
  })
  const edge = new EdgeRuntime()
  edge.evaluate(bundle.outputFiles[0].text)
  assert.deepEqual(JSON.parse(await edge.evaluate('answer')), { ...expected, live: 'eventsource_missing' })
})
