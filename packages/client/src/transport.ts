import PocketBase, { type BaseAuthStore, type SendOptions } from 'pocketbase'
import { Records } from './collection'
import { PicoBaseError } from './errors'

/** What onWaking is told. */
export interface Waking {
  /** 1 for the first repetition. */
  attempt: number
  /** Milliseconds until the request is sent again. */
  delay: number
  url: string
}

export interface TransportOptions {
  apiKey: string
  authStore: BaseAuthStore
  fetch?: typeof fetch
  headers?: Record<string, string>
  maxWait?: number
  onWaking?: (waking: Waking) => void
}

/** PocketBase's client with the key, errors and patience of ours. */
export class Transport extends PocketBase {
  /** @internal Runs before each request, to refresh a token that ends soon. */
  _before?: () => Promise<unknown> | false

  /** @internal Runs when the server has taken the realtime subscriptions. */
  _subscribed?: () => void

  constructor(
    url: string,
    private _options: TransportOptions,
  ) {
    super(url, _options.authStore)
  }

  override collection(name: string): any {
    return new Records(this, name)
  }

  // All services go through send, while beforeSend is one slot that belongs to the user.
  override async send<T = any>(path: string, options: SendOptions): Promise<T> {
    // Signing in and renewing do not wait for themselves.
    const renewing = !path.includes('/auth-') && this._before?.()
    // Otherwise at once: whoever cancels the request next must find it.
    if (renewing) await renewing
    const { apiKey, headers, fetch: send = fetch } = this._options
    let answer: Response | undefined
    try {
      const data = await super.send<T>(path, {
        requestKey: null,
        ...options,
        headers: { ...(apiKey && { 'X-API-Key': apiKey }), ...headers, ...options.headers },
        fetch: async (url, init) => (answer = await this._patient(options.fetch ?? send, url, init!)),
      })
      if (path == '/api/realtime') this._subscribed?.()
      return data
    } catch (error) {
      throw new PicoBaseError(error, answer?.headers)
    }
  }

  // A project that sleeps answers 503 with Retry-After if it takes too long to wake.
  // A write is sent again only when the answer says that nobody has seen it.
  private async _patient(send: NonNullable<SendOptions['fetch']>, url: RequestInfo | URL, init: RequestInit): Promise<Response> {
    const { maxWait = 30_000, onWaking } = this._options
    const deadline = Date.now() + maxWait
    for (let attempt = 1; ; attempt++) {
      const answer = await send(url, init)
      const { headers, status, body } = answer
      const after = headers.get('Retry-After')
      // Jitter upwards only: no sooner than the server has asked for.
      const delay = (+after! || 1) * (1e3 + Math.random() * 250)
      if (status != 503 || !after || (init.method != 'GET' && headers.get('X-PicoBase-Forwarded') != 'false') || Date.now() + delay > deadline)
        return answer
      body?.cancel()
      onWaking?.({ attempt, delay, url: url as string })
      await new Promise((resolve, reject) => {
        setTimeout(resolve, delay)
        init.signal?.addEventListener('abort', () => reject(init.signal!.reason))
      })
    }
  }
}
