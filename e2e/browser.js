// A real browser, where the machine has one.

import { accessSync } from 'node:fs'
import { chromium } from 'playwright-core'

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
