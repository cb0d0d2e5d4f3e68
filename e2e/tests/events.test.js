// Every auth fact against the real binary, made to happen with the stock client:
// one event each, and no secret in any of them.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import PocketBase from 'pocketbase'
import { Mailbox } from '../mailbox.js'
import { email as rootEmail, password, Server, until } from '../server.js'
import { Receiver } from '../webhooks.js'

const providerToken = 'provider-access-token-1f2e'
const newPassword = 'another horse battery'

// What JavaScript hooks do is told as well.
const hook = `
routerAdd('POST', '/js', (e) => {
  const record = new Record('users')
  record.setEmail('js@example.com')
  record.setPassword('${newPassword}')
  $app.save(record)
  record.set('name', 'By a hook')
  $app.save(record)
  $app.delete(record)
  return e.noContent(204)
})
`

/** A provider of OpenID Connect, of one person at a time. */
async function startProvider() {
  const provider = { person: null }
  provider.server = createServer((request, response) => {
    request.resume()
    response.setHeader('Content-Type', 'application/json')
    if (request.url === '/token') response.end(JSON.stringify({ access_token: providerToken, token_type: 'bearer', refresh_token: providerToken + '-again' }))
    else response.end(JSON.stringify(provider.person))
  })
  await new Promise((resolve) => provider.server.listen(0, '127.0.0.1', resolve))
  provider.url = `http://127.0.0.1:${provider.server.address().port}`
  return provider
}

describe('auth events', () => {
  let server, receiver, mailbox, provider, hooksDir, root
  const secrets = new Set([password, newPassword, providerToken, '"password":', 'tokenKey', '$2a$', 'eyJ'])
  const keep = (secret) => {
    assert.ok(secret?.length > 5, 'a secret to look for')
    secrets.add(secret)
    return secret
  }

  const client = () => {
    const pb = new PocketBase(server.url)
    pb.autoCancellation(false)
    pb.beforeSend = (url, options) => ({ url, options: { ...options, headers: { ...options.headers, 'X-API-Key': server.publishable } } })
    pb.authStore.onChange((token) => token && secrets.add(token))
    return pb
  }

  before(async () => {
    ;[receiver, mailbox, provider] = await Promise.all([Receiver.start(), Mailbox.start(), startProvider()])
    hooksDir = await mkdtemp(path.join(tmpdir(), 'picobase-hooks-'))
    await writeFile(path.join(hooksDir, 'main.pb.js'), hook)
    server = await Server.start({ args: ['--hooksDir', hooksDir] })
    root = client()
    await root.collection('_superusers').authWithPassword(rootEmail, password)
    await root.settings.update({
      batch: { enabled: true, maxRequests: 10, timeout: 5 },
      smtp: { enabled: true, host: '127.0.0.1', port: mailbox.port, tls: false },
    })
    const patched = await server.fetch('/api/v1/settings', {
      method: 'PATCH', token: root.authStore.token, json: { rateLimits: { enabled: false }, webhooks: { allowedPrivateHosts: ['127.0.0.1'] } },
    })
    assert.equal(patched.status, 200, JSON.stringify(patched.body))
    const auth = {
      otp: { enabled: true, duration: 180, length: 8 }, authAlert: { enabled: false },
      oauth2: { enabled: true, providers: [{ name: 'oidc', clientId: 'id', clientSecret: 'client-secret-77', authURL: provider.url, tokenURL: provider.url + '/token', userInfoURL: provider.url }] },
    }
    secrets.add('client-secret-77')
    await root.collections.update('users', auth)
    const users = await root.collections.getOne('users')
    await root.collections.create({ name: 'customers', type: 'auth', createRule: '', listRule: '', viewRule: '', updateRule: 'id = @request.auth.id', deleteRule: 'id = @request.auth.id' })
    await root.collections.create({ name: 'notes', type: 'base', fields: [
      { name: 'text', type: 'text' },
      { name: 'owner', type: 'relation', collectionId: users.id, cascadeDelete: true, maxSelect: 1 },
    ] })
    const made = await server.fetch('/api/v1/webhooks', { token: root.authStore.token, json: { url: receiver.url, events: ['user.*', 'record.*:notes'] } })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    receiver.secrets.push(keep(made.body.secret))
  })
  after(async () => {
    await server?.close()
    await receiver?.close()
    await mailbox?.close()
    provider?.server.close()
    await rm(hooksDir, { recursive: true, force: true })
  })

  let marks = 0
  /** Does something and returns the events of it: a note that comes after them marks their end. */
  async function eventsOf(act) {
    const seen = receiver.events.length
    await act()
    const { id } = await root.collection('notes').create({ text: `mark ${++marks}` })
    await until('the mark', () => receiver.events.some((event) => event.data.record.id === id))
    await until('all events', async () => {
      const answer = await server.fetch('/api/v1/webhooks/deliveries?status=pending', { token: root.authStore.token })
      return answer.body.totalItems === 0
    })
    return receiver.events.slice(seen).filter((event) => event.data.record.id !== id)
  }
  const types = (events) => events.map((event) => event.type)
  async function expect(act, ...want) {
    const events = await eventsOf(act)
    assert.deepEqual(types(events).sort(), [...want].sort())
    return (type) => events.find((event) => event.type === type).data
  }
  const signUp = (pb, email, collection = 'users') => pb.collection(collection).create({ email, password, passwordConfirm: password })
  const signIn = async (email, collection = 'users', pass = password) => {
    const pb = client()
    await pb.collection(collection).authWithPassword(email, pass)
    return pb
  }

  test('sign-up and sign-in, in users and in another collection', async () => {
    const pb = client()
    const created = await expect(() => signUp(pb, 'ann@example.com'), 'user.created')
    assert.equal(created('user.created').collection, 'users')
    const signedIn = await expect(() => signIn('ann@example.com'), 'user.signed_in')
    assert.deepEqual([signedIn('user.signed_in').method, signedIn('user.signed_in').provider, signedIn('user.signed_in').new], ['password', '', false])
    const other = await expect(() => signUp(pb, 'cus@example.com', 'customers'), 'user.created')
    assert.equal(other('user.created').collection, 'customers')
    await expect(() => signIn('cus@example.com', 'customers'), 'user.signed_in')
    await expect(() => assert.rejects(signIn('ann@example.com', 'users', 'not the one')))
  })

  test('no event: a refresh, an impersonation, a superuser, a forgotten token', async () => {
    const pb = await signIn('ann@example.com')
    await eventsOf(() => {}) // of the sign-in
    await expect(() => pb.collection('users').authRefresh())
    await expect(async () => keep((await root.collection('users').impersonate(pb.authStore.record.id, 60)).authStore.token))
    await expect(() => pb.authStore.clear())
    await expect(() => root.collection('_superusers').create({ email: 'root2@example.com', password, passwordConfirm: password }))
    await expect(async () => {
      const second = client()
      await second.collection('_superusers').authWithPassword('root2@example.com', password)
      await second.collection('_superusers').authRefresh()
    })
  })

  test('a one-time password verifies silently', async () => {
    const pb = client()
    await signUp(pb, 'otp@example.com')
    await eventsOf(() => {})
    let otpId
    await expect(async () => ({ otpId } = await pb.collection('users').requestOTP('otp@example.com')), 'user.otp_requested')
    const code = keep(await mailbox.take('otp@example.com', /<strong>(\d{8})<\/strong>/))
    // PocketBase notes whom it was sent to behind the mail, and verifies only then.
    await until('the note', async () => (await root.collection('_otps').getOne(otpId)).sentTo === 'otp@example.com')
    const seen = await expect(() => pb.collection('users').authWithOTP(otpId, code), 'user.verified', 'user.updated', 'user.signed_out', 'user.signed_in')
    assert.equal(seen('user.signed_in').method, 'otp')
    await expect(() => pb.collection('users').requestOTP('nobody@example.com'))
  })

  test('OAuth2: new, again, and an account that it verifies', async () => {
    const withProvider = () => client().collection('users').authWithOAuth2Code('oidc', 'code', 'verifier', server.url + '/api/oauth2-redirect')
    provider.person = { sub: '1', email: 'oauth@example.com', email_verified: true, name: 'Olga' }
    let seen = await expect(withProvider, 'user.created', 'user.updated', 'user.verified', 'user.signed_in')
    assert.deepEqual([seen('user.signed_in').method, seen('user.signed_in').provider, seen('user.signed_in').new], ['oauth2', 'oidc', true])
    seen = await expect(withProvider, 'user.signed_in')
    assert.equal(seen('user.signed_in').new, false)
    await signUp(client(), 'oauth-old@example.com')
    await eventsOf(() => {})
    provider.person = { sub: '2', email: 'oauth-old@example.com', email_verified: true, name: 'Otto' }
    seen = await expect(withProvider, 'user.updated', 'user.verified', 'user.signed_out', 'user.signed_in')
    assert.equal(seen('user.signed_in').new, false)
  })

  test('verification, password reset and email change, by the links in the mails', async () => {
    const pb = client()
    await signUp(pb, 'link@example.com')
    await eventsOf(() => {})
    await expect(() => pb.collection('users').requestVerification('link@example.com'), 'user.verification_requested')
    const verification = keep(await mailbox.take('link@example.com', /confirm-verification\/([\w.-]+)/))
    await expect(() => pb.collection('users').confirmVerification(verification), 'user.verified', 'user.updated')
    await expect(() => pb.collection('users').confirmVerification(verification))

    await expect(() => pb.collection('users').requestPasswordReset('link@example.com'), 'user.password_reset_requested')
    const reset = keep(await mailbox.take('link@example.com', /confirm-password-reset\/([\w.-]+)/))
    let seen = await expect(() => pb.collection('users').confirmPasswordReset(reset, newPassword, newPassword), 'user.password_reset', 'user.updated', 'user.signed_out')
    assert.equal(seen('user.signed_out').reason, 'password_changed')

    const signed = await signIn('link@example.com', 'users', newPassword)
    await eventsOf(() => {})
    seen = await expect(() => signed.collection('users').requestEmailChange('link2@example.com'), 'user.email_change_requested')
    assert.equal(seen('user.email_change_requested').newEmail, 'link2@example.com')
    const change = keep(await mailbox.take('link2@example.com', /confirm-email-change\/([\w.-]+)/))
    seen = await expect(() => signed.collection('users').confirmEmailChange(change, newPassword), 'user.email_changed', 'user.updated', 'user.signed_out')
    assert.equal(seen('user.email_changed').previousEmail, 'link@example.com')
  })

  test('the dashboard, a batch, an import, a hook', async () => {
    const made = []
    await expect(async () => made.push(await signUp(root, 'dash@example.com')), 'user.created')
    await expect(() => root.collection('users').update(made[0].id, { name: 'Dash' }), 'user.updated')
    await expect(async () => {
      const batch = client().createBatch()
      batch.collection('users').create({ email: 'batch1@example.com', password, passwordConfirm: password })
      batch.collection('users').create({ email: 'batch2@example.com', password, passwordConfirm: password })
      await batch.send()
    }, 'user.created', 'user.created')
    await expect(() => {
      const batch = client().createBatch()
      batch.collection('users').create({ email: 'batch3@example.com', password, passwordConfirm: password })
      batch.collection('users').create({ email: 'nonsense' })
      return assert.rejects(batch.send())
    })
    // Importing collections changes no record.
    await expect(async () => root.collections.import(await root.collections.getFullList(), false))
    await expect(() => client().send('/js', { method: 'POST' }), 'user.created', 'user.updated', 'user.deleted')
  })

  test('a deletion takes notes along', async () => {
    const user = await signUp(root, 'leaving@example.com')
    const note = await root.collection('notes').create({ text: 'mine', owner: user.id })
    await eventsOf(() => {})
    const events = await eventsOf(() => root.collection('users').delete(user.id))
    assert.deepEqual(types(events).sort(), ['record.deleted', 'user.deleted'])
    assert.equal(events.find((event) => event.type === 'user.deleted').data.record.email, 'leaving@example.com')
    assert.equal(events.find((event) => event.type === 'record.deleted').data.record.id, note.id)
    for (let n = 0; n < 3; n++) await signUp(root, `many${n}@example.com`, 'customers')
    await eventsOf(() => {})
    const { totalItems } = await root.collection('customers').getList(1, 1)
    assert.deepEqual(types(await eventsOf(() => root.collections.truncate('customers'))), Array(totalItems).fill('user.deleted'))
  })

  test('a changed password ends the sessions, and no payload holds a secret', async () => {
    const pb = await signIn('ann@example.com')
    await eventsOf(() => {})
    const seen = await expect(() => pb.collection('users').update(pb.authStore.record.id, { oldPassword: password, password: newPassword, passwordConfirm: newPassword }), 'user.updated', 'user.signed_out')
    assert.deepEqual(seen('user.updated').changed, ['password'])

    for (const table of ['users', '_superusers']) {
      const { body } = await server.fetch('/api/sql', { token: root.authStore.token, json: { query: `SELECT tokenKey, password FROM ${table}` } })
      const values = JSON.stringify(body).match(/[\w$./]{40,}/g)
      assert.ok(values?.length >= 2, JSON.stringify(body))
      values.forEach(keep)
    }
    assert.ok(secrets.size > 40 && receiver.events.length > 50, `${secrets.size} secrets, ${receiver.events.length} events`)
    for (const event of receiver.events) {
      for (const secret of secrets) {
        assert.ok(!event.text.includes(secret), `${secret} is in ${event.text}`)
      }
    }
    assert.equal(receiver.unverified, 0)
  })
})
