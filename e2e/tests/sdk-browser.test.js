// @picobase/client in a real browser, on a page of another origin than the server's,
// which is alone, or behind the router. What waits for a cold start is in sdk-cold.test.js.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { launch, serveClient, skip } from '../browser.js'
import { startProvider } from '../oidc.js'
import { until } from '../server.js'
import { targets } from '../targets.js'

for (const [name, target] of Object.entries(targets)) describe(`the client in a browser, at ${name}`, { skip }, () => {
  let server, browser, site

  before(async () => {
    server = await target.start()
    const token = await server.superuserToken()
    const made = await server.fetch('/api/collections', { token, json: { name: 'posts', type: 'base', listRule: '', viewRule: '', createRule: '', fields: [{ name: 'title', type: 'text' }] } })
    assert.equal(made.status, 200, JSON.stringify(made.body))
    site = await serveClient()
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    site?.close()
    await server?.close()
  })

  // Opens the page and makes a client there, as the variable pb.
  async function open(context) {
    const page = await context.newPage()
    await page.goto(site.url)
    await page.evaluate(([url, key]) => {
      window.events = []
      window.pb = picobase.createClient(url, key)
      pb.auth.onAuthStateChange((event, session) => window.events.push(event + (session ? ' ' + session.user.email : '')))
    }, [server.url, server.publishable])
    return page
  }

  test('a secret key throws at once', async () => {
    const page = await browser.newPage()
    await page.goto(site.url)
    const error = await page.evaluate(([url, key]) => {
      try {
        return picobase.createClient(url, key)
      } catch (error) {
        return [error.code, error instanceof picobase.PicoBaseError]
      }
    }, [server.url, server.secret])
    assert.deepEqual(error, ['secret_key_in_browser', true])
    await page.close()
  })

  test('a session outlives the page and is shared by tabs', async () => {
    const context = await browser.newContext()
    const first = await open(context)
    const second = await open(context)
    await first.evaluate(() => pb.auth.signUp('tab@example.com', 'correct horse'))
    await until('the other tab', () => second.evaluate(() => events.includes('SIGNED_IN tab@example.com')))
    const reloaded = await open(context)
    assert.equal(await reloaded.evaluate(() => pb.auth.user.email), 'tab@example.com')

    // Both want to renew the token at the same time: one does.
    let refreshes = 0
    context.on('request', (request) => (refreshes += request.method() == 'POST' && request.url().includes('/auth-refresh')))
    await until('another second', () => first.evaluate(async () => {
      const before = pb.auth.session.token
      return (await pb.auth.refresh()).token != before
    }))
    refreshes = 0
    const tokens = await Promise.all([first, second, reloaded].map((page) => page.evaluate(async () => {
      const { request } = navigator.locks
      // Holds all three until each stands in the queue.
      return navigator.locks.request('start', { mode: 'shared' }, () => request.call(navigator.locks, 'noop', () => pb.auth.refresh())).then((session) => session.token)
    })))
    assert.ok(refreshes >= 1)
    assert.equal(await second.evaluate(() => pb.auth.session.token), await first.evaluate(() => pb.auth.session.token))
    assert.equal(tokens.length, 3)

    await second.evaluate(() => pb.auth.signOut())
    await until('the end in the first tab', () => first.evaluate(() => events.at(-1) == 'SIGNED_OUT'))
    assert.equal(await first.evaluate(() => pb.auth.user), null)
    await context.close()
  })

  test('changes arrive, also after a restart of the server', async () => {
    const context = await browser.newContext()
    const page = await open(context)
    await page.evaluate(() => {
      window.seen = []
      window.states = []
      pb.realtime.onStateChange((state) => states.push(state))
      return pb.realtime.subscribe('posts', (change) => seen.push(change.record.title)).then(() => {})
    })
    await page.evaluate(() => pb.collection('posts').create({ title: 'before' }))
    await until('the change', () => page.evaluate(() => seen.includes('before')))
    await server.restart()
    await until('the loss and the new connection', () => page.evaluate(() => states.join() == 'connected,disconnected,connected'))
    await page.evaluate(() => pb.collection('posts').create({ title: 'after' }))
    await until('the change after the restart', () => page.evaluate(() => seen.join() == 'before,after'))
    await context.close()
  })

  test('a sign-in with OAuth2, in a popup that opens in the click', async () => {
    const provider = await startProvider()
    try {
      const token = await server.superuserToken()
      await server.fetch('/api/collections/users', { token, method: 'PATCH', json: { oauth2: provider.settings } })
      const context = await browser.newContext()
      const page = await open(context)
      const click = async (name) => {
        await page.evaluate((name) => {
          window.failed = undefined
          document.body.innerHTML = '<button>sign in</button>'
          document.querySelector('button').onclick = () => pb.auth.signInWithOAuth(name).catch((error) => (window.failed = error))
        }, name)
        const popup = page.waitForEvent('popup')
        await page.click('button')
        await popup
      }
      await click('github')
      await until('the refusal', () => page.evaluate(() => window.failed))
      assert.deepEqual(await page.evaluate(() => [failed instanceof picobase.PicoBaseError, /github/.test(failed.message)]), [true, true])
      await click('oidc')
      await until('the session', () => page.evaluate(() => pb.auth.user?.email == 'oauth@example.com'))
      await context.close()
    } finally {
      provider.close()
    }
  })
})
