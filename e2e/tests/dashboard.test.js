// PocketBase's own dashboard behind the gate, and pages that call the API.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { launch, skip } from '../browser.js'
import { email, password, Server } from '../server.js'

describe('in a browser', { skip }, () => {
  let server
  let browser
  before(async () => {
    server = await Server.start()
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    await server?.close()
  })

  test('a superuser signs in and makes a collection in the dashboard', async () => {
    const page = await browser.newPage()
    const failures = []
    page.on('response', (response) => response.status() >= 400 && failures.push(`${response.status()} ${response.url()}`))
    await page.goto(server.url + '/_/')
    await page.fill('input[type=email], input[name=identity]', email)
    await page.fill('input[type=password]', password)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: /new collection/i }).first().click()
    await page.getByPlaceholder(/posts/i).or(page.locator('input[name=name]')).first().fill('made_by_hand')
    await page.getByRole('button', { name: /^create$/i }).click()
    await page.getByText('made_by_hand').first().waitFor()
    assert.deepEqual(failures, [])
    const token = await server.superuserToken()
    assert.equal((await server.fetch('/api/collections/made_by_hand', { token })).status, 200)
    const trail = await server.fetch('/api/v1/audit?action=collection.created&target=made_by_hand', { token })
    assert.equal(trail.body.items[0].actor.name, email)
    await page.close()
  })

  test('a page on another origin reads with a publishable key, and is refused a secret one', async () => {
    const site = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<p>app</p>'))
    await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve))
    const page = await browser.newPage()
    await page.goto(`http://localhost:${site.address().port}/`)
    const call = (key) =>
      page.evaluate(
        async ([url, key]) => {
          const response = await fetch(url + '/api/health', { headers: { 'X-API-Key': key } })
          return { status: response.status, id: response.headers.get('X-Request-Id'), limit: response.headers.get('RateLimit'), body: await response.json() }
        },
        [server.url, key],
      )
    const allowed = await call(server.publishable)
    assert.equal(allowed.status, 200)
    assert.ok(allowed.id && allowed.limit, 'the page can read the exposed headers')
    const refused = await call(server.secret)
    assert.equal(refused.status, 401)
    assert.equal(refused.body.error.code, 'secret_key_in_browser')
    await page.close()
    site.close()
  })
})
