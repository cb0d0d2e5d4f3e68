// @picobase/client in a real browser, on a page of another origin than the server's.

import assert from 'node:assert/strict'
import { createServer, request as forward } from 'node:http'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { build } from '../../packages/client/node_modules/esbuild/lib/main.js'
import { launch, skip } from '../browser.js'
import { startProvider } from '../oidc.js'
import { Server, until } from '../server.js'

describe('the client in a browser', { skip }, () => {
  let server, browser, site, origin, gate
  let refuse = false // what the gate in front of the server does

  before(async () => {
    server = await Server.start()
    const token = await server.superuserToken()
    const fields = [{ name: 'title', type: 'text' }]
    await server.fetch('/api/collections', { token, json: { name: 'posts', type: 'base', listRule: '', viewRule: '', createRule: '', updateRule: '', fields } })

    const bundle = await build({
      stdin: { contents: "export * from '../packages/client/dist/index.js'", resolveDir: path.resolve(import.meta.dirname, '..') },
      bundle: true, minify: true, format: 'iife', globalName: 'picobase', write: false, logLevel: 'error',
    })
    site = createServer((request, response) => {
      const script = request.url == '/client.js'
      response.writeHead(200, { 'Content-Type': script ? 'text/javascript' : 'text/html' })
      response.end(script ? bundle.outputFiles[0].text : '<!doctype html><title>app</title><script src="/client.js"></script>')
    })
    // As the router does while a project wakes.
    gate = createServer((request, response) => {
      if (!refuse) {
        const upstream = forward(server.url + request.url, { method: request.method, headers: request.headers }, (answer) => {
          response.writeHead(answer.statusCode, answer.headers)
          answer.pipe(response)
        })
        response.on('close', () => upstream.destroy())
        return request.pipe(upstream.on('error', () => response.destroy()))
      }
      const cors = {
        'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*', 'Access-Control-Expose-Headers': 'Retry-After, X-PicoBase-Forwarded',
      }
      if (request.method == 'OPTIONS') return response.writeHead(204, cors).end()
      request.resume()
      response.writeHead(503, { ...cors, 'Retry-After': '1', 'X-PicoBase-Forwarded': 'false' }).end('{}')
    })
    for (const one of [site, gate]) await new Promise((resolve) => one.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${site.address().port}`
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    for (const one of [site, gate]) (one.closeAllConnections(), one.close())
    await server.close()
  })

  // Opens the page and makes a client there, as the variable pb.
  async function open(context, url = server.url) {
    const page = await context.newPage()
    await page.goto(origin)
    await page.evaluate(([url, key]) => {
      window.waits = []
      window.events = []
      window.pb = picobase.createClient(url, key, { onWaking: (waking) => window.waits.push(waking) })
      pb.auth.onAuthStateChange((event, session) => window.events.push(event + (session ? ' ' + session.user.email : '')))
    }, [url, server.publishable])
    return page
  }

  test('a secret key throws at once', async () => {
    const page = await browser.newPage()
    await page.goto(origin)
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

  test('requests and a first subscription wait for a project that wakes', async () => {
    const context = await browser.newContext()
    const page = await open(context, `http://127.0.0.1:${gate.address().port}`)
    refuse = true
    const working = page.evaluate(async () => {
      window.seen = []
      await pb.realtime.subscribe('posts', (change) => seen.push(change.record.title))
      return (await pb.collection('posts').create({ title: 'woken' })).id
    })
    await until('the wait', () => page.evaluate(() => waits.length > 0))
    refuse = false
    assert.match(await working, /^\w{15}$/)
    await until('the change', () => page.evaluate(() => seen.includes('woken')))
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
