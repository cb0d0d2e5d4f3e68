// What the platform tells people, and how they come in: mails, webhooks of alerts,
// invitations, OAuth2.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import '../localhost.js'
import { Mailbox } from '../mailbox.js'
import { startProvider } from '../oidc.js'
import { Platform, tenants } from '../platform.js'
import { password, until } from '../server.js'
import { Receiver } from '../webhooks.js'

describe('people', () => {
  const operator = 'root@example.com'
  let platform, mailbox, receiver, provider, root, user, organization

  const api = (pathname, options) => platform.request('localhost', '/api/platform/v1' + pathname, { token: user, ...options })
  const collection = (pathname, json, options) => platform.request('localhost', '/api/collections/' + pathname, { json, ...options })

  before(async () => {
    ;[mailbox, receiver, provider] = await Promise.all([Mailbox.start(), Receiver.start(), startProvider()])
    const secret = 'whsec_' + randomBytes(32).toString('base64')
    receiver.secrets.push(secret)
    platform = await Platform.start({
      command: ['platform', 'serve', '--base-domain', 'localhost', '--stop-projects', '--sign-up', 'open', '--alert-private-hosts', '127.0.0.1'],
      env: {
        PICOBASE_SUPERUSER_EMAIL: operator, PICOBASE_SUPERUSER_PASSWORD: password,
        PICOBASE_ALERT_WEBHOOK_URL: receiver.url, PICOBASE_ALERT_WEBHOOK_SECRET: secret,
      },
    })
    root = (await collection('_superusers/auth-with-password', { identity: operator, password })).body.token
    user = (await collection('users/auth-with-password', { identity: operator, password })).body.token
    const set = await platform.request('localhost', '/api/settings', { method: 'PATCH', token: root, json: { smtp: { enabled: true, host: '127.0.0.1', port: mailbox.port, tls: false } } })
    assert.equal(set.status, 200, set.text)
    organization = (await api('/organizations')).body.items[0].id
  })
  after(async () => {
    await platform?.close()
    await receiver?.close()
    await mailbox?.close()
    provider?.close()
  })

  test('an invitation is mailed, and lets in who has it', async () => {
    const made = await api(`/organizations/${organization}/invitations`, { json: { email: 'bob@example.com', role: 'developer' } })
    assert.equal(made.status, 201, made.text)
    assert.deepEqual([made.body.mailed, made.body.token ?? ''], [true, ''])
    const token = await mailbox.take('bob@example.com', /\/invitation#(\S+)/)
    const joined = await platform.request('localhost', '/api/platform/v1/invitations/accept', { json: { token, password, name: 'Bob' } })
    assert.equal(joined.status, 200, joined.text)
    const signIn = await collection('users/auth-with-password', { identity: 'bob@example.com', password })
    assert.equal(signIn.body.record.verified, true, signIn.text)
    assert.deepEqual((await api('/organizations', { token: signIn.body.token })).body.items.map((o) => o.id), [organization])
    const again = await platform.request('localhost', '/api/platform/v1/invitations/accept', { json: { token, password } })
    assert.equal(again.status, 404, again.text)
  })

  test('an alert is told once by webhook and mail when it opens, and once when it is over', async () => {
    const project = (await api('/projects', { json: { name: 'fragile' } })).body
    const call = () => platform.request('fragile.localhost', '/api/v1/ready')
    assert.equal((await call()).status, 200)
    // A file in the place of its database: it goes on crashing until it is parked.
    await api(`/projects/${project.id}/stop`, { method: 'POST' })
    const data = path.join(platform.dir, 'tenants', project.id, 'data', 'data.db')
    await writeFile(data, 'no database at all, but long enough to be taken for one '.repeat(100))
    // The webhook fails at first: the mail is not repeated for that.
    receiver.answer = { status: 500 }
    void api(`/projects/${project.id}/start`, { method: 'POST' })
    await until('it to be parked', async () => (await api(`/projects/${project.id}`)).body.status === 'parked', 60_000)
    await until('a failed delivery', () => receiver.events.some((e) => e.type === 'alert.opened' && e.data.kind === 'crash_loop'))
    receiver.answer = { status: 200 }
    const mine = (type) => receiver.events.filter((e) => e.type === type && e.data.kind === 'crash_loop')
    await until('the delivery', () => mine('alert.opened').length > 1)
    assert.deepEqual([...new Set(mine('alert.opened').map((e) => e.id))].length, 1, 'a repetition has the same id')
    assert.equal(mine('alert.opened')[0].data.project, project.id)
    assert.equal(receiver.unverified, 0)
    const subjects = () => mailbox.mails.filter((m) => m.to === operator).map((m) => /Subject: (.*)/.exec(m.text)[1])
    await until('the mail', () => subjects().length > 0)
    const { items } = (await api(`/organizations/${organization}/alerts`)).body
    assert.ok(items.some((alert) => alert.kind === 'crash_loop' && !alert.closed && alert.project === project.id), JSON.stringify(items))

    await writeFile(data, '')
    await until('it to run', async () => (await api(`/projects/${project.id}/start`, { method: 'POST' })).body.status === 'running')
    await until('the end to be told', () => mine('alert.closed').length > 0 && subjects().some((s) => s.startsWith('Over: crash_loop')))
    assert.equal(subjects().filter((s) => s.startsWith('Alert: crash_loop')).length, 1, subjects().join('; '))
    assert.equal(subjects().filter((s) => s.startsWith('Over: crash_loop')).length, 1)
    assert.ok((await tenants(platform))[project.id])
  })

  test('who comes by OAuth2 gets an account and an organization, where sign-up is open', async () => {
    const set = await collection('users', { oauth2: provider.settings }, { method: 'PATCH', token: root })
    assert.equal(set.status, 200, set.text)
    const { body: methods } = await platform.request('localhost', '/api/collections/users/auth-methods')
    const { codeVerifier } = methods.oauth2.providers.find((p) => p.name === 'oidc')
    const signIn = () => collection('users/auth-with-oauth2', { provider: 'oidc', code: 'code-of-the-provider', codeVerifier, redirectURL: 'http://localhost/' })
    const first = await signIn()
    assert.equal(first.status, 200, first.text)
    assert.equal(first.body.record.email, 'oauth@example.com')
    const own = (await api('/organizations', { token: first.body.token })).body.items
    assert.deepEqual(own.map((o) => [o.name, o.role]), [['Olga', 'owner']])
    assert.equal((await api('/projects', { token: first.body.token, json: { name: 'olgas' } })).status, 201)
    const second = await signIn()
    assert.equal(second.body.record.id, first.body.record.id)

    platform.options.command = platform.options.command.map((word) => (word === 'open' ? 'closed' : word))
    await platform.kill('SIGINT')
    await platform.launch()
    assert.equal((await signIn()).status, 200, 'who has an account comes in')
    const stranger = await startProvider({ sub: '2', email: 'eve@example.com', email_verified: true, name: 'Eve' })
    try {
      await collection('users', { oauth2: stranger.settings }, { method: 'PATCH', token: root })
      const refused = await signIn()
      assert.equal(refused.body.error?.code, 'sign_up_closed', refused.text)
    } finally {
      stranger.close()
    }
  })
})
