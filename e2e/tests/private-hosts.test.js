// Whose word counts when webhooks and hooks want to reach the network that the server is in.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { ownerToken, Platform } from '../platform.js'
import { picobase, Server, until } from '../server.js'

const listed = { webhooks: { allowedPrivateHosts: ['127.0.0.1'] }, jshooks: { allowedPrivateHosts: ['127.0.0.1'] } }
let inner, target
const reached = []

before(async () => {
  inner = createServer((request, response) => (reached.push(request.url), response.end('inner')))
  await new Promise((resolve) => inner.listen(0, '127.0.0.1', resolve))
  target = `http://127.0.0.1:${inner.address().port}`
})
after(() => inner.close())

/** Lists the host in the settings, tries to reach it both ways, and returns what the log of deliveries says. */
async function attempt(request, settings = listed) {
  reached.length = 0
  const patched = await request('/api/v1/settings', { method: 'PATCH', json: settings })
  assert.equal(patched.status, 200, JSON.stringify(patched.body))
  const made = await request('/api/v1/webhooks', { json: { url: `${target}/webhook`, events: ['user.*'] } })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  await request(`/api/v1/webhooks/${made.body.id}/test`, { json: {} })
  const source = `routerAdd('GET', '/reach', (e) => e.json(200, { raw: $http.send({ url: '${target}/hook' }).statusCode }))`
  const pushed = await request('/api/v1/hooks', { json: { files: { 'main.pb.js': source } } })
  assert.ok(pushed.status < 300, JSON.stringify(pushed.body))
  await request('/reach')
  return until('an attempt', async () => {
    const [delivery] = (await request('/api/v1/webhooks/deliveries')).body.items
    if (!delivery) return null
    const { body } = await request(`/api/v1/webhooks/deliveries/${delivery.id}`)
    return body.attempts?.length || body.status !== 'pending' ? JSON.stringify(body) : null
  })
}

test('off ignores what the settings list', async (t) => {
  const server = await Server.start({ env: { PICOBASE_PRIVATE_HOSTS: 'off' } })
  t.after(() => server.close())
  const token = await server.superuserToken()
  const said = await attempt((path, options) => server.fetch(path, { token, ...options }))
  assert.match(said, /not a public one.*this server allows no others/)
  assert.deepEqual(reached, [])
})

test('a list is added to that of the settings', async (t) => {
  const server = await Server.start({ env: { PICOBASE_PRIVATE_HOSTS: 'localhost, 127.0.0.0/8' } })
  t.after(() => server.close())
  const token = await server.superuserToken()
  await attempt((path, options) => server.fetch(path, { token, ...options }), {})
  assert.deepEqual(reached.sort(), ['/hook', '/webhook'])
})

test('what is neither is an error', async () => {
  const { code, stderr } = await picobase(['serve', '--dir', '/nonexistent/x'], { env: { PICOBASE_PRIVATE_HOSTS: 'http://x/' } })
  assert.equal(code, 1)
  assert.match(stderr, /PICOBASE_PRIVATE_HOSTS: "http:\/\/x\/" is neither off nor a list/)
})

test('projects of a platform reach nothing of its network, unless the operator says so', async (t) => {
  const platform = await Platform.start()
  t.after(() => platform.close())
  const { project } = platform.first
  for (const [flags, want] of [[[], []], [['--allow-private-hosts'], ['/hook', '/webhook']]]) {
    await platform.kill('SIGINT')
    platform.options.command = ['platform', 'serve', '--base-domain', 'localhost', '--stop-projects', ...flags]
    await platform.launch()
    const token = await ownerToken(platform, project)
    await attempt((path, options) => platform.request(`${project.name}.localhost`, path, { token, ...options }))
    assert.deepEqual([...new Set(reached)].sort(), want)
  }
})
