// Webhooks against the real binary: what was committed arrives, also when the
// process is killed in between, and the official library verifies it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { password, picobase, Server, until } from '../server.js'
import { person, prepare, Receiver, signUp } from '../webhooks.js'

const rounds = Number(process.env.PICOBASE_E2E_ROUNDS ?? 8)

test(`kill -9 between commit and delivery, ${rounds} rounds`, { timeout: 600_000 }, async () => {
  const receiver = await Receiver.start()
  // What is on its way when the sender is killed does not count as arrived.
  receiver.delay = () => 10 + Math.random() * 20
  let server = await Server.start()
  const { dir, port, publishable } = server
  try {
    const token = await prepare(server)
    const made = await server.fetch('/api/v1/webhooks', { token, json: { url: receiver.url, events: ['user.created'] } })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    receiver.secrets.push(made.body.secret)

    const acknowledged = []
    const refused = []
    const unexpected = []
    for (let round = 0; round < rounds; round++) {
      let running = true
      const workers = [0, 1, 2].map(async (worker) => {
        for (let n = 0; running; n++) {
          const email = `r${round}-w${worker}-${n}@example.com`
          const answer = await signUp(server, email).catch(() => null)
          if (answer?.status === 200) acknowledged.push(email)
        }
      })
      const roller = (async () => {
        for (let n = 0; running; n++) {
          const email = `rolled-back-${round}-${n}@example.com`
          const requests = [person(email), { email: 'nonsense' }].map((body) => ({ method: 'POST', url: '/api/collections/users/records', body }))
          const answer = await server.fetch('/api/batch', { key: publishable, json: { requests } }).catch(() => null)
          if (answer && answer.status !== 400) unexpected.push(answer) // not thrown: the loops must end
          refused.push(email)
        }
      })()
      await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 400))
      await server.stop('SIGKILL')
      running = false
      await Promise.all([...workers, roller])
      server = await Server.start({ dir, port })
      server.publishable = publishable
      assert.deepEqual(unexpected, [])
    }

    const root = await server.superuserToken()
    const users = []
    for (let page = 1; ; page++) {
      const { body } = await server.fetch(`/api/collections/users/records?perPage=500&page=${page}`, { token: root })
      users.push(...body.items)
      if (page >= body.totalPages) break
    }
    const stored = new Set(users.map((user) => user.email))
    assert.ok(acknowledged.length >= rounds, `only ${acknowledged.length} sign-ups were answered`)
    for (const email of acknowledged) assert.ok(stored.has(email), `${email} was acknowledged and is lost`)

    const received = () => new Set(receiver.events.map((event) => event.data.record.email))
    await until('every event', () => {
      const got = received()
      return users.every((user) => got.has(user.email))
    })
    const { body: pending } = await server.fetch('/api/v1/webhooks/deliveries?status=pending', { token: root })
    for (const email of received()) assert.ok(stored.has(email), `an event tells of ${email}, who is not there`)
    for (const email of refused) assert.ok(!received().has(email), `an event tells of ${email}, who was rolled back`)
    assert.equal(receiver.unverified, 0)
    assert.ok(receiver.interrupted > 0, 'no kill came between commit and delivery: this showed nothing')
    assert.ok(!receiver.events.some((event) => event.type !== 'user.created'))
    const twice = receiver.events.length - new Set(receiver.events.map((event) => event.id)).size
    console.log(`${rounds} kills: ${users.length} users, ${acknowledged.length} of them acknowledged, all events arrived, ` +
      `${receiver.interrupted} were under way at a kill, ${twice} arrived more than once; ${refused.length} rolled back, no event of them; ${pending.totalItems} pending`)
  } finally {
    await server.close()
    await receiver.close()
  }
})

describe('webhooks', () => {
  let server, receiver, token, key
  before(async () => {
    receiver = await Receiver.start()
    server = await Server.start()
    token = await prepare(server)
    key = (await server.fetch('/api/v1/keys', { token, json: { kind: 'secret', label: 'hooks', scopes: ['webhooks', 'usage'] } })).body.key
  })
  after(async () => {
    await server?.close()
    await receiver?.close()
  })
  const run = (...args) => picobase(['webhooks', ...args, '--url', server.url, '--key', key])
  const json = async (...args) => {
    const result = await run(...args, '--json')
    assert.equal(result.code, 0, result.stderr)
    return JSON.parse(result.stdout)
  }
  const arrived = (check) => until('the event', () => receiver.events.find(check))
  let hook

  test('create, test and a first event', async () => {
    hook = await json('create', receiver.url, '--event', 'user.*', '--event', 'record.created:users')
    assert.match(hook.secret, /^whsec_/)
    receiver.secrets.push(hook.secret)
    const tested = await run('test', hook.id)
    assert.equal(tested.code, 0, tested.stderr)
    assert.equal(receiver.events.at(-1).data.test, true)

    assert.equal((await signUp(server, 'ann@example.com')).status, 200)
    const event = await arrived((e) => e.type === 'user.created')
    assert.equal(event.data.record.email, 'ann@example.com')
    assert.ok(!JSON.stringify(event).match(/tokenKey|password/))
    await arrived((e) => e.type === 'record.created')
    const signedIn = await server.fetch('/api/collections/users/auth-with-password', { key: server.publishable, json: { identity: 'ann@example.com', password } })
    assert.equal(signedIn.status, 200)
    assert.equal((await arrived((e) => e.type === 'user.signed_in')).data.method, 'password')
    assert.equal(receiver.unverified, 0)
    const listed = await run('list')
    assert.match(listed.stdout, new RegExp(`${hook.id} .*enabled`))
    assert.ok(!listed.stdout.includes(hook.secret))
  })

  test('rotation: both secrets verify during the grace', async () => {
    const rotated = await json('rotate-secret', hook.id, '--grace', '1h')
    assert.notEqual(rotated.secret, hook.secret)
    receiver.secrets.push(rotated.secret)
    assert.equal((await run('test', hook.id)).code, 0)
    assert.deepEqual(receiver.events.at(-1).by, [hook.secret, rotated.secret])
    const again = await json('rotate-secret', hook.id, '--grace', '0s')
    receiver.secrets.push(again.secret)
    assert.equal((await run('test', hook.id)).code, 0)
    assert.deepEqual(receiver.events.at(-1).by, [again.secret])
  })

  test('a receiver that fails: the log, the due time, a retry', async () => {
    receiver.answer = { status: 500, body: { reason: 'on fire' } }
    assert.equal((await run('test', hook.id)).code, 1, 'a sample that does not arrive')
    await signUp(server, 'bob@example.com')
    const [delivery] = await until('the failure', async () => {
      const items = await json('deliveries', '--status', 'pending', '--type', 'user.created')
      return items[0]?.attempts > 0 && items
    })
    assert.equal(delivery.last.error, 'answered 500')
    const due = (await server.fetch('/api/v1/due', { key })).body
    assert.ok(new Date(due.due) - Date.now() < 6000 && due.reason.includes(hook.id), JSON.stringify(due))
    receiver.answer = { status: 200 }
    assert.equal((await run('retry', delivery.id)).code, 0)
    await until('the delivery', async () => (await json('deliveries', delivery.id)).status === 'delivered')
    const all = receiver.events.filter((e) => e.data.record.email === 'bob@example.com' && e.type === 'user.created')
    assert.ok(all.length >= 2 && new Set(all.map((e) => e.id)).size === 1, 'the id is the same in every attempt')
  })

  test('update, revive, delete, and the audit trail', async () => {
    assert.equal((await json('update', hook.id, '--disable')).enabled, false)
    const seen = receiver.events.length
    await signUp(server, 'carl@example.com')
    assert.equal((await json('update', hook.id, '--enable', '--description', 'mine')).enabled, true)
    await signUp(server, 'dora@example.com')
    await arrived((e) => e.data.record.email === 'dora@example.com')
    assert.ok(!receiver.events.slice(seen).some((e) => e.data.record.email === 'carl@example.com'))
    assert.equal((await json('retry', '--all-failed', hook.id)).retried, 0)
    assert.equal((await run('delete', hook.id)).code, 2, 'without a terminal it needs --yes')
    assert.equal((await run('delete', hook.id, '--yes')).code, 0)
    assert.deepEqual(await json('list'), [])
    const trail = (await server.fetch('/api/v1/audit?perPage=200', { token })).body.items
    const actions = trail.map((entry) => entry.action)
    for (const action of ['webhook.created', 'webhook.updated', 'webhook.deleted', 'webhook.tested', 'delivery.retried']) {
      assert.ok(actions.includes(action), `${action} is not in ${[...new Set(actions)]}`)
    }
    assert.ok(!JSON.stringify(trail).includes('whsec_'), 'the trail shows a secret')
  })

  test('a blocking webhook decides on sign-ups', async () => {
    const gate = await json('create', receiver.url, '--blocking', '--event', 'before user.created')
    receiver.secrets.push(gate.secret)
    assert.equal((await signUp(server, 'good@example.com')).status, 200)
    receiver.answer = { status: 403, body: { message: 'Staff only.' } }
    const denied = await signUp(server, 'evil@example.com')
    assert.equal(denied.status, 403)
    assert.deepEqual([denied.body.error.code, denied.body.message], ['denied_by_webhook', 'Staff only.'])
    receiver.answer = { status: 500 }
    const closed = await signUp(server, 'unlucky@example.com')
    assert.equal(closed.status, 503)
    assert.equal(closed.body.error.code, 'webhook_unavailable')
    assert.ok(Number(closed.headers.get('retry-after')) > 0)
    receiver.answer = { status: 200 }
    await json('delete', gate.id, '--yes')
  })

  test('private addresses are refused until they are listed', async () => {
    const patch = (hosts) => server.fetch('/api/v1/settings', { method: 'PATCH', token, json: { webhooks: { allowedPrivateHosts: hosts } } })
    const made = await json('create', receiver.url, '--event', 'user.*')
    receiver.secrets.push(made.secret)
    await patch([])
    const seen = receiver.events.length
    const refused = await run('test', made.id)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /allowedPrivateHosts/)
    assert.equal(receiver.events.length, seen)
    assert.equal((await patch(['http://x'])).status, 400)
    await patch(['127.0.0.0/8'])
    assert.equal((await run('test', made.id)).code, 0)
  })

  for (const [args, code, message] of [
    [['create'], 2, /URL/],
    [['create', 'https://example.com/'], 2, /--event/],
    [['create', 'nonsense', '--event', 'user.*'], 1, /url: /],
    [['create', 'https://example.com/', '--event', 'user.nope'], 1, /events: /],
    [['update', 'nothere'], 2, /nothing to change/],
    [['update', 'nothere', '--enable', '--disable'], 2, /exclude/],
    [['update', 'nothere', '--enable'], 3, /webhook_not_found/],
    [['delete', 'nothere', '--yes'], 3, /webhook_not_found/],
    [['test', 'nothere'], 3, /webhook_not_found/],
    [['rotate-secret', 'nothere'], 3, /webhook_not_found/],
    [['deliveries', 'nothere'], 3, /delivery_not_found/],
    [['deliveries', '--status', 'nope'], 1, /status: /],
    [['retry'], 2, /ID/],
    [['retry', 'nothere'], 3, /delivery_not_found/],
    [['frobnicate'], 2, /frobnicate/],
  ]) {
    test(`picobase webhooks ${args.join(' ')} → ${code}`, async () => {
      const result = await run(...args)
      assert.equal(result.code, code, result.stderr)
      assert.match(result.stderr, message)
    })
  }

  test('a key without the scope is not allowed, a dead server is unreachable, a folder works', async () => {
    const other = (await server.fetch('/api/v1/keys', { token, json: { kind: 'secret', scopes: ['logs'] } })).body.key
    assert.equal((await picobase(['webhooks', 'list', '--url', server.url, '--key', other])).code, 4)
    assert.equal((await picobase(['webhooks', 'list', '--url', 'http://127.0.0.1:1', '--key', key])).code, 5)
    // Beside the running server: what the command makes is noticed.
    const made = JSON.parse((await picobase(['webhooks', 'create', receiver.url, '--event', 'user.created', '--json', '--dir', server.dir])).stdout)
    receiver.secrets.push(made.secret)
    await until('the server to notice', async () => {
      await signUp(server, `folder-${Date.now()}@example.com`)
      return receiver.events.some((e) => e.by.includes(made.secret))
    })
    assert.equal((await picobase(['webhooks', 'test', made.id, '--dir', server.dir])).code, 0)
  })
})
