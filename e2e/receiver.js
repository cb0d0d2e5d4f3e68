// A server that gets webhooks, and checks each with the official library.

import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

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
