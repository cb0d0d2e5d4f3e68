// A real browser, where the machine has one.

import { accessSync } from 'node:fs'
import { createServer } from 'node:http'
import path from 'node:path'
import { chromium } from 'playwright-core'
import { build } from '../packages/client/node_modules/esbuild/lib/main.js'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
})

if (!executablePath && process.env.NO_SKIP) throw new Error('no chromium: install the package chromium')

/** Why browser tests are skipped, or false. */
export const skip = executablePath ? false : 'no chromium on this machine (package chromium)'

export async function launch() {
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

/** Serves, at url, a page that has @picobase/client as `picobase`. */
export async function serveClient() {
  const bundle = await build({
    entryPoints: [path.resolve(import.meta.dirname, '../packages/client/dist/index.js')],
    bundle: true, minify: true, format: 'iife', globalName: 'picobase', write: false, logLevel: 'error',
  })
  const site = createServer((request, response) => {
    const script = request.url == '/client.js'
    response.writeHead(200, { 'Content-Type': script ? 'text/javascript' : 'text/html' })
    response.end(script ? bundle.outputFiles[0].text : '<!doctype html><title>app</title><script src="/client.js"></script>')
  })
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${site.address().port}`,
    close() {
      site.closeAllConnections()
      site.close()
    },
  }
}
