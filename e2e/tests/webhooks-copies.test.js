// Copies of a project's data, with the real binary: they do not call the webhooks
// of the original.

import assert from 'node:assert/strict'
import { cp, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { picobase, Server, until } from '../server.js'
import { prepare, Receiver, signUp } from '../webhooks.js'

describe('a copy of a project', () => {
  const list = async (server) => (await server.fetch('/api/v1/webhooks', { token: await server.superuserToken() })).body.items
  const total = async (server, what) => (await server.fetch(what, { token: await server.superuserToken() })).body.totalItems

  for (const [name, originalEnv, copyEnv, laterEnv] of [
    ['in another project', { PICOBASE_PROJECT_ID: 'original' }, { PICOBASE_PROJECT_ID: 'branch' }, { PICOBASE_PROJECT_ID: 'branch' }],
    ['with PICOBASE_WEBHOOKS=paused', {}, { PICOBASE_WEBHOOKS: 'paused' }, {}],
  ]) {
    test(`${name}: nothing is sent until its webhooks are enabled`, async () => {
      const receiver = await Receiver.start()
      const servers = []
      const start = async (options) => {
        const server = await Server.start(options)
        servers.push(server)
        server.publishable ??= servers[0].publishable
        return server
      }
      try {
        const original = await start({ env: originalEnv })
        const token = await prepare(original)
        const made = await original.fetch('/api/v1/webhooks', { token, json: { url: receiver.url, events: ['user.created'] } })
        receiver.secrets.push(made.body.secret)
        receiver.answer = { status: 500 }
        assert.equal((await signUp(original, 'pending@example.com')).status, 200)
        await until('the attempt', () => receiver.events.length === 1)
        await original.stop()
        receiver.answer = { status: 200 }

        // A folder with nothing but the original's store restores itself from that.
        const dir = await mkdtemp(path.join(tmpdir(), 'picobase-e2e-'))
        await cp(path.join(original.dir, '.pico'), path.join(dir, '.pico'), { recursive: true })
        let copy = await start({ dir, env: copyEnv })
        assert.equal(await total(copy, '/api/collections/users/records'), 1, 'the data is not there')
        const [webhook] = await list(copy)
        assert.deepEqual([webhook.enabled, webhook.disabledReason], [false, 'branch'])
        assert.equal(await total(copy, '/api/v1/webhooks/deliveries?status=skipped'), 1)
        assert.equal((await signUp(copy, 'unseen@example.com')).status, 200)
        await copy.stop()
        assert.equal(receiver.events.length, 1, 'the copy called the webhook of the original')

        copy = await start({ dir, env: laterEnv })
        const enabled = await copy.fetch(`/api/v1/webhooks/${webhook.id}`, { method: 'PATCH', token: await copy.superuserToken(), json: { enabled: true } })
        assert.equal(enabled.status, 200)
        await copy.stop()
        copy = await start({ dir, env: laterEnv })
        assert.equal((await signUp(copy, 'seen@example.com')).status, 200)
        await until('the event', () => receiver.events.length > 1)
        assert.equal(receiver.events[1].data.record.email, 'seen@example.com')
        await copy.stop()

        // The original goes on.
        await start({ dir: original.dir, env: originalEnv })
        await until('the retry', () => receiver.events.length === 3)
        assert.equal(receiver.events[2].data.record.email, 'pending@example.com')
      } finally {
        for (const server of servers) await server.stop() // all, before any folder goes
        for (const server of servers) await server.close()
        await receiver.close()
      }
    })
  }

  test('another value is an error', async () => {
    const result = await picobase(['serve', '--dir', path.join(tmpdir(), 'picobase-none'), '--http', '127.0.0.1:0'], { env: { PICOBASE_WEBHOOKS: 'off' } })
    assert.equal(result.code, 1)
    assert.match(result.stderr, /PICOBASE_WEBHOOKS/)
  })
})
