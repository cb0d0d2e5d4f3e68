// Packs the npm packages of the command: one for each system, with its program, and the one that finds it.
//
//   node build.js FOLDER OUT [--version 1.2.3] [--only linux-x64]
//
// FOLDER has the programs as `make release-snapshot` names them: picobase-linux-amd64, picobase-windows-amd64.exe, …

import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'

const here = import.meta.dirname
const manifest = JSON.parse(await readFile(path.join(here, 'package.json'), 'utf8'))
const { values, positionals } = parseArgs({ allowPositionals: true, options: { version: { type: 'string', default: manifest.version }, only: { type: 'string' } } })
if (positionals.length != 2) {
  console.error('usage: node build.js FOLDER OUT [--version 1.2.3] [--only linux-x64]')
  process.exit(2)
}
const [folder, out] = positionals.map((name) => path.resolve(name))

const goNames = { win32: 'windows', x64: 'amd64' }
const { version } = values
const names = Object.keys(manifest.optionalDependencies).filter((name) => !values.only || name.endsWith('-' + values.only))
if (names.length == 0) throw new Error(`--only ${values.only}: there is no such package`)

const scratch = await mkdtemp(path.join(tmpdir(), 'picobase-cli-'))
try {
  await mkdir(out, { recursive: true })
  for (const name of names) await packProgram(name)
  await packWrapper()
} finally {
  await rm(scratch, { recursive: true, force: true })
}

async function packProgram(name) {
  const [os, cpu] = name.split('-').slice(1)
  const exe = os == 'win32' ? '.exe' : ''
  const dir = path.join(scratch, path.basename(name))
  const program = path.join(dir, `bin/picobase${exe}`)
  await cp(path.join(folder, `picobase-${goNames[os] ?? os}-${goNames[cpu] ?? cpu}${exe}`), program)
  await chmod(program, 0o755)
  await cp(path.join(here, 'LICENSE'), path.join(dir, 'LICENSE'))
  await writeFile(path.join(dir, 'README.md'), `# ${name}\n\nThe program of [picobase](https://www.npmjs.com/package/picobase) for ${os} on ${cpu}. Install \`picobase\`, not this.\n`)
  const { license, repository } = manifest
  await writeManifest(dir, {
    name, version, description: `The program of picobase for ${os} on ${cpu}.`, license, repository,
    os: [os], cpu: [cpu], files: ['bin'], preferUnplugged: true,
  })
  pack(dir)
}

async function packWrapper() {
  const dir = path.join(scratch, 'picobase')
  await mkdir(dir)
  for (const name of [...manifest.files, 'package.json']) await cp(path.join(here, name), path.join(dir, name), { recursive: true })
  const optionalDependencies = Object.fromEntries(Object.keys(manifest.optionalDependencies).map((name) => [name, version]))
  await writeManifest(dir, { ...manifest, version, optionalDependencies })
  pack(dir)
}

function writeManifest(dir, value) {
  return writeFile(path.join(dir, 'package.json'), JSON.stringify(value, null, 2) + '\n')
}

function pack(dir) {
  const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', out], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] }))
  console.log(path.join(out, filename))
}
