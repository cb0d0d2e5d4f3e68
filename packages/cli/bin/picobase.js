#!/usr/bin/env node
// Runs the program of this system, which is in a package of its own.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'

const require = createRequire(import.meta.url)
const { platform, arch, argv, pid, stdin, stdout } = process
const name = `@picobase/cli-${platform}-${arch}`

function fail(message) {
  console.error(`picobase: ${message}`)
  process.exit(1)
}

function findProgram() {
  const { optionalDependencies, version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  if (!(name in optionalDependencies))
    fail(`there is no program for ${platform} on ${arch}.\nIt can be built where Go runs: https://github.com/picobase/picobase`)
  try {
    return require.resolve(`${name}/bin/picobase${platform == 'win32' ? '.exe' : ''}`)
  } catch {
    return fail(`the package ${name} is not installed, which has the program for this system.
It is an optional dependency. It is missing after npm install --omit=optional (or --no-optional), and when
node_modules or the lockfile was made on another system.
Install it with npm install ${name}@${version} (add -g for a global one), or delete
node_modules and package-lock.json and run npm install again.`)
  }
}

const child = spawn(findProgram(), argv.slice(2), { stdio: 'inherit' })
child.on('error', (error) => fail(error.message))

// A terminal sends Ctrl-C to the program by itself, and a second one would end it at once.
const terminal = stdin.isTTY || stdout.isTTY
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (signal == 'SIGINT' && terminal) || child.kill(signal))

child.on('exit', (code, signal) => {
  if (!signal) process.exit(code)
  process.removeAllListeners(signal)
  process.kill(pid, signal)
  process.exitCode = 128 + constants.signals[signal] // should the signal be held back
})
