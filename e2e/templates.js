// Tries a template of picobase init as its users do: it is installed with the packed client, type-checked,
// built, served as in production and clicked through, against a server with its migration.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { SMTPServer } from 'smtp-server'
import { launch, skip } from './browser.js'
import { cleanEnv, freePort, picobase, Server, until } from './server.js'

const client = path.resolve(import.meta.dirname, '../packages/client')
const run = promisify(execFile)

/** The arguments for node that serve what Vite has built. */
export const vite = (port) => ['node_modules/vite/bin/vite.js', 'preview', '--host', '127.0.0.1', '--strictPort', '--port', port]

/**
 * Registers the test of one template. env is what its variables begin with, devPort where `npm run dev` serves it,
 * scripts those of npm that check types and build, serve(port) the arguments for node that serve the build.
 */
export function testTemplate(name, { env, devPort, scripts, serve }) {
  test(`the template ${name}`, { skip }, async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'picobase-templates-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const dir = path.join(folder, 'my-app')
    const made = await picobase(['init', dir, '--template', name])
    assert.equal(made.code, 0, made.stderr)

    const server = await Server.start({ args: ['--migrationsDir', path.join(dir, 'pb_migrations')] })
    t.after(() => server.close())
    const types = await picobase(['typegen', '--dir', server.dir])
    assert.equal(types.stdout, await readFile(path.join(dir, 'src/picobase.ts'), 'utf8'), 'src/picobase.ts is not what the migration makes')

    const appPort = String(await freePort())
    const origin = `http://127.0.0.1:${appPort}`
    const mails = await catchMails(t, server, origin, `http://localhost:${devPort}`)
    await writeFile(path.join(dir, '.env.local'), `${env}PICOBASE_URL=${server.url}\n${env}PICOBASE_API_KEY=${server.publishable}\n`)

    const [{ filename }] = JSON.parse((await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: client })).stdout)
    const npm = async (...args) => {
      const started = Date.now()
      await run('npm', args, { cwd: dir, env: cleanEnv({ NEXT_TELEMETRY_DISABLED: '1' }), maxBuffer: 1e8 })
        .catch(({ stdout, stderr }) => assert.fail(`npm ${args.join(' ')}\n${stdout}${stderr}`))
      t.diagnostic(`npm ${args.slice(0, 2).join(' ')}: ${Date.now() - started} ms`)
    }
    await npm('install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', path.join(folder, filename))
    for (const script of scripts) await npm('run', script)

    const app = spawn(process.execPath, serve(appPort), {
      cwd: dir, env: cleanEnv({ HOST: '127.0.0.1', PORT: appPort, ORIGIN: origin, NEXT_TELEMETRY_DISABLED: '1' }), stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [app.stdout, app.stderr]) stream.on('data', (text) => (output += text))
    const exited = new Promise((resolve) => app.on('exit', resolve))
    t.after(() => (app.kill(), exited))
    await until('the start of the app', () => fetch(origin + '/sign-in').then((r) => r.ok, () => false)).catch((error) => assert.fail(error + output))

    const browser = await launch()
    t.after(() => browser.close())
    await clickThrough(browser, origin, server, mails).catch((error) => {
      error.message += `\n${output}`
      throw error
    })
  })
}

/** Makes the project send its mails here, with links to the app. */
async function catchMails(t, server, origin, expected) {
  const mails = []
  const catcher = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: async (stream, session, done) => {
      const text = await readText(stream)
      mails.push({ to: session.envelope.rcptTo[0].address, text: text.replaceAll('=\r\n', '').replaceAll('=3D', '=') })
      done()
    },
  })
  await new Promise((resolve) => catcher.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => catcher.close(resolve)))

  const token = await server.superuserToken()
  const { meta } = (await server.fetch('/api/settings', { token })).body
  assert.equal(meta.appURL, expected)
  const smtp = { enabled: true, host: '127.0.0.1', port: catcher.server.address().port, tls: false }
  assert.equal((await server.fetch('/api/settings', { token, json: { meta: { ...meta, appURL: origin }, smtp }, method: 'PATCH' })).status, 200)
  return mails
}

// What a person does with the app. Live means that the list follows what others change.
async function clickThrough(browser, origin, server, mails) {
  const person = async () => {
    const context = await browser.newContext()
    context.setDefaultTimeout(15_000)
    return context
  }
  // Opens the list and waits until it is live.
  const open = async (context) => {
    const page = await context.newPage()
    await live(page, () => page.goto(origin))
    return page
  }
  const live = async (page, action) => {
    const subscribed = page.waitForResponse((answer) => answer.url().endsWith('/api/realtime') && answer.request().method() == 'POST' && answer.ok())
    await Promise.all([subscribed, action()])
    await page.getByRole('heading', { name: 'Posts' }).waitFor()
  }
  const fill = async (page, email, password, button) => {
    await page.getByLabel('Email').fill(email)
    await page.getByLabel(/Password/).fill(password)
    await page.getByRole('button', { name: button }).click()
  }
  const add = async (page, title) => {
    await page.getByLabel('Title').fill(title)
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByRole('checkbox', { name: title }).waitFor()
  }
  const checked = (page, title, value) => until(`${title} being ${value}`, () => page.getByRole('checkbox', { name: title }).isChecked().then((is) => is == value))
  const alert = (page) => page.locator('p[role=alert]').textContent()

  // Ada has no account: she is sent to the sign-in, and signs up.
  const [ada, bob] = [await person(), await person()]
  const page = await ada.newPage()
  await page.goto(origin)
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await page.getByRole('link', { name: 'Sign up' }).click()
  await page.getByRole('heading', { name: 'Sign up' }).waitFor()
  await live(page, () => fill(page, 'ada@example.com', 'correct horse', 'Sign up'))
  await page.getByText('No posts yet.').waitFor()

  // What she adds, changes and deletes is in her other tab at once.
  const other = await open(ada)
  await page.bringToFront() // clicks in a tab behind another take a second
  await add(page, 'Hello')
  await add(page, 'Second')
  await other.getByRole('checkbox', { name: 'Hello' }).waitFor()
  await page.getByRole('checkbox', { name: 'Hello' }).click()
  await checked(page, 'Hello', true)
  await checked(other, 'Hello', true)
  await other.bringToFront()
  await other.getByRole('button', { name: 'Delete Second' }).click()
  await page.getByRole('checkbox', { name: 'Second' }).waitFor({ state: 'detached' })

  // Others see none of it. An address that is taken is named.
  const bobs = await bob.newPage()
  await bobs.goto(origin + '/sign-up')
  await fill(bobs, 'ada@example.com', 'correct horse', 'Sign up')
  assert.match(await alert(bobs), /email/i)
  await live(bobs, () => fill(bobs, 'bob@example.com', 'correct horse', 'Sign up'))
  await bobs.getByText('No posts yet.').waitFor()
  await page.bringToFront()
  await add(page, 'Third')
  await other.getByRole('checkbox', { name: 'Third' }).waitFor()
  assert.equal(await bobs.getByRole('checkbox').count(), 0)

  // A project that wakes: the page says so, and the change is made.
  await page.route('**/api/collections/posts/records/*', (route) => route.fulfill({
    status: 503,
    headers: { 'Retry-After': '1', 'X-PicoBase-Forwarded': 'false', 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Retry-After, X-PicoBase-Forwarded' },
    body: '{}',
  }), { times: 1 })
  await page.getByRole('checkbox', { name: 'Third' }).click()
  await page.getByText('waking up').waitFor()
  await page.getByText('waking up').waitFor({ state: 'detached' })
  await checked(other, 'Third', true)

  // Out and in again; what was made is still there.
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await page.goto(origin)
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await fill(page, 'ada@example.com', 'wrong horse', 'Sign in')
  assert.match(await alert(page), /authenticate/i)
  await live(page, () => fill(page, 'ada@example.com', 'correct horse', 'Sign in'))
  await checked(page, 'Hello', true)
  await page.reload()
  await checked(page, 'Third', true)

  // A new password by mail.
  const forgetful = await (await person()).newPage()
  await forgetful.goto(origin + '/sign-in')
  await forgetful.getByRole('link', { name: 'Forgot your password?' }).click()
  await forgetful.getByRole('heading', { name: 'Forgot your password?' }).waitFor()
  await forgetful.getByLabel('Email').fill('bob@example.com')
  await forgetful.getByRole('button', { name: 'Send a link' }).click()
  await forgetful.getByText('a link is on its way').waitFor()
  const { text } = await until('the mail', () => mails.find(({ to, text }) => to == 'bob@example.com' && text.includes(origin)))
  const link = /href="(http[^"]+\/reset-password\?[^"]+)"/.exec(text)?.[1]
  assert.ok(link, `no link to the app in ${text}`)
  await forgetful.goto(link + 'x')
  await forgetful.getByLabel(/New password/).fill('a new password')
  await forgetful.getByRole('button', { name: 'Set password' }).click()
  assert.match(await alert(forgetful), /token/i)
  await forgetful.goto(link)
  await forgetful.getByLabel(/New password/).fill('a new password')
  await forgetful.getByRole('button', { name: 'Set password' }).click()
  await forgetful.getByRole('heading', { name: 'Sign in' }).waitFor()
  await fill(forgetful, 'bob@example.com', 'correct horse', 'Sign in')
  await alert(forgetful)
  await live(forgetful, () => fill(forgetful, 'bob@example.com', 'a new password', 'Sign in'))

  // The rules hold without the app too.
  const sneaky = await server.fetch('/api/collections/posts/records', { key: server.publishable, json: { title: 'x', author: 'somebody000000' } })
  assert.equal(sneaky.status, 400)
}
