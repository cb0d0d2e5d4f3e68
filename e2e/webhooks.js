// What tests of webhooks share: a receiver that checks each request with the
// official library, and a server that may call it.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { password } from './server.js'

/** A receiver that verifies each request with the secrets that it is told. */
export class Receiver {
  static async start() {
    const receiver = new Receiver()
    receiver.secrets = []
    receiver.events = []
    receiver.unverified = 0
    receiver.delay = () => 0
    receiver.interrupted = 0 // by the death of the sender
    receiver.answer = { status: 200 }
    receiver.server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text) => (body += text))
      request.on('end', () => {
        const delay = receiver.delay()
        if (delay === 0) return receiver.take(request, body, response)
        setTimeout(() => {
          if (response.destroyed) receiver.interrupted++
          else receiver.take(request, body, response)
        }, delay)
      })
    })
    await new Promise((resolve) => receiver.server.listen(0, '127.0.0.1', resolve))
    receiver.url = `http://127.0.0.1:${receiver.server.address().port}/hooks`
    return receiver
  }

  take(request, body, response) {
    const by = this.secrets.filter((secret) => {
      try {
        return new Webhook(secret).verify(body, request.headers)
      } catch {
        return false
      }
    })
    if (by.length === 0) this.unverified++
    this.events.push({ id: request.headers['webhook-id'], by, text: body, ...JSON.parse(body) })
    response.writeHead(this.answer.status, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(this.answer.body ?? {}))
  }

  close() {
    this.server.closeAllConnections()
    return new Promise((resolve) => this.server.close(resolve))
  }
}

/** Lets the server call receivers on this machine, and sign people up fast; returns a superuser's token. */
export async function prepare(server) {
  const token = await server.superuserToken()
  const patch = (path, json) => server.fetch(path, { method: 'PATCH', token, json })
  assert.equal((await patch('/api/settings', { batch: { enabled: true, maxRequests: 10, timeout: 5 } })).status, 200)
  assert.equal((await patch('/api/v1/settings', { rateLimits: { enabled: false }, webhooks: { allowedPrivateHosts: ['127.0.0.1'] } })).status, 200)
  // Cheap password hashes: many sign-ups are to be under way when it is killed.
  const { fields } = (await server.fetch('/api/collections/users', { token })).body
  fields.find((field) => field.name === 'password').cost = 4
  assert.equal((await patch('/api/collections/users', { fields })).status, 200)
  return token
}

export const person = (email) => ({ email, password, passwordConfirm: password })
export const signUp = (server, email, options = {}) =>
  server.fetch('/api/collections/users/records', { key: server.publishable, json: person(email), ...options })
