// Keeps connections busy with requests and takes down every answer.

import http from 'node:http'

export class Load {
  /**
   * Starts as many loops as there are connections. Each sends what next(n) returns, { method, path, headers, json },
   * again and again over its own kept-alive connection, and hands { sent, answered, status, body, error, request }
   * to take: times are of performance.now(), error is of a connection that broke.
   */
  constructor(url, { connections, next, take }) {
    this.url = url
    this.going = true
    this.agent = new http.Agent({ keepAlive: true, maxSockets: connections })
    this.loops = Array.from({ length: connections }, (_, n) => this.loop(n, connections, next, take))
  }

  async loop(n, step, next, take) {
    for (; this.going; n += step) {
      const request = next(n)
      take({ request, ...(await send(this.url + request.path, { ...request, agent: this.agent })) })
    }
  }

  /** Waits for the requests under way and closes the connections. */
  async stop() {
    this.going = false
    await Promise.all(this.loops)
    this.agent.destroy()
  }
}

/** Sends one request; it never throws. */
export function send(url, { method = 'GET', headers = {}, json, agent }) {
  const body = json === undefined ? undefined : JSON.stringify(json)
  if (body) headers = { ...headers, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
  const sent = performance.now()
  return new Promise((resolve) => {
    const end = (answer) => resolve({ sent, answered: performance.now(), ...answer })
    const request = http.request(url, { method, headers, agent }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.on('end', () => end({ status: response.statusCode, body: parse(text) }))
      response.on('error', (error) => end({ error }))
    })
    request.on('error', (error) => end({ error }))
    request.end(body)
  })
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The value below which the share p of the values is. */
export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]
}

export const median = (values) => percentile(values, 0.5)
