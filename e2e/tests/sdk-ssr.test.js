// @picobase/client on servers: sessions in cookies, and sign-ins that leave the page.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { completeOAuth, startOAuth } from '../../packages/client/dist/oauth.js'
import { createServerClient } from '../../packages/client/dist/ssr.js'
import { startProvider } from '../oidc.js'
import { targets } from '../targets.js'

// As a browser keeps cookies between requests; in Next's or SvelteKit's form.
function jar(form = 'next') {
  const kept = new Map()
  return {
    kept,
    get: (name) => (kept.has(name) ? (form == 'next' ? { name, value: kept.get(name).value } : kept.get(name).value) : undefined),
    set: (name, value, options) => (options.maxAge ? kept.set(name, { value, options }) : kept.delete(name)),
  }
}

for (const [name, target] of Object.entries(targets)) describe(name, () => {
  let server, provider

  before(async () => {
    server = await target.start()
    provider = await startProvider()
    const token = await server.superuserToken()
    const changed = await server.fetch('/api/collections/users', { token, method: 'PATCH', json: { oauth2: provider.settings } })
    assert.equal(changed.status, 200, JSON.stringify(changed.body))
  })
  after(async () => {
    provider?.close()
    await server?.close()
  })

  const request = (cookies, options) => createServerClient(server.url, server.publishable, { cookies, ...options })

  for (const form of ['next', 'sveltekit']) {
    test(`a session lives in the cookie from request to request: ${form}`, async () => {
      const cookies = jar(form)
      const { user } = await request(cookies).auth.signUp(`${form}@example.com`, 'correct horse', { name: 'x'.repeat(200) })
      const { value, options } = cookies.kept.get('picobase')
      assert.ok(value.length < 2000, 'it fits into a cookie')
      assert.deepEqual([options.path, options.sameSite, options.secure, options.httpOnly], ['/', 'lax', false, false])

      const next = request(cookies)
      assert.equal(next.auth.user.id, user.id)
      assert.equal((await next.auth.getUser()).email, `${form}@example.com`)
      assert.equal((await next.collection('users').getOne(user.id)).id, user.id, 'requests are made as the user')
      assert.equal(request(jar()).auth.user, null, 'another person has nothing of it')

      next.auth.signOut()
      assert.equal(cookies.kept.size, 0)
      assert.equal(await request(cookies).auth.getUser(), null)
    })
  }

  test('a forged or broken cookie is nobody', async () => {
    for (const value of ['', '{', '{"token":"x.y.z","record":{"id":"1"}}', JSON.stringify({ token: `x.${btoa(JSON.stringify({ exp: 4e9 }))}.y`, record: { id: '1', collectionName: 'users' } })]) {
      const cookies = jar()
      cookies.set('picobase', value, { maxAge: 1 })
      assert.equal(await request(cookies).auth.getUser(), null, value)
    }
  })

  test('pages that may not set cookies are rendered all the same', async () => {
    const cookies = { get: () => undefined, set: () => { throw new Error('Cookies can only be modified in a Server Action or Route Handler.') } }
    assert.ok((await request(cookies).auth.signUp('render@example.com', 'correct horse')).session)
  })

  test('a sign-in with OAuth2 that leaves the page', async () => {
    const redirectTo = 'https://app.example.com/callback'
    const started = await startOAuth(request(jar()), 'oidc', redirectTo)
    const answer = await fetch(started.url, { redirect: 'manual' })
    const back = new URL(answer.headers.get('location'))
    assert.equal(back.origin + back.pathname, redirectTo)
    assert.equal(provider.requests.at(-1).query.code_challenge_method, 'S256')

    const cookies = jar()
    await assert.rejects(completeOAuth(request(cookies), { ...started, state: 'other' }, back.searchParams), { code: 'oauth_state_mismatch' })
    await assert.rejects(completeOAuth(request(cookies), started, new URLSearchParams('error=access_denied')), { code: 'oauth_denied' })
    await assert.rejects(startOAuth(request(jar()), 'github', redirectTo), { code: 'provider_not_enabled' })
    const { user, meta } = await completeOAuth(request(cookies), started, back.searchParams)
    assert.deepEqual([user.email, user.name, meta.isNew], ['oauth@example.com', 'Olga', true])
    assert.match(provider.requests.find(({ path }) => path == '/token').body, /code_verifier=/)
    assert.equal((await request(cookies).auth.getUser()).id, user.id)
  })
})
