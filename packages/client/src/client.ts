import { BaseAuthStore, LocalAuthStore, type BatchRequestResult, type RecordModel, type SendOptions } from 'pocketbase'
import { Auth } from './auth'
import type { Collection } from './collection'
import { resolveConfig } from './env'
import { Query } from './query'
import { Realtime } from './realtime'
import { Storage } from './storage'
import { Transport, type Waking } from './transport'
import type { Insert, Names, Row, Untyped, Update } from './types'

export interface ClientOptions {
  /** How sessions are kept: localStorage in browsers and memory elsewhere, or a store of your own. */
  authStore?: BaseAuthStore
  /** The collection of the users (default `users`). */
  authCollection?: string
  /** Renew tokens before they end (default true). */
  autoRefresh?: boolean
  /** Headers of every request. */
  headers?: Record<string, string>
  /** In place of the runtime's fetch. */
  fetch?: typeof fetch
  /**
   * How long a request may wait in all for a project that wakes, in milliseconds
   * (default 30000). 0 sends every request once.
   */
  maxWait?: number
  /** Told each time a request waits for a project to wake. */
  onWaking?: (waking: Waking) => void
}

export interface RpcOptions extends SendOptions {
  /** Default POST. With GET, data goes into the query. */
  method?: string
}

/** The batch of PocketBase's client, typed: its changes are made together or not at all. */
export interface Batch<S> {
  collection<K extends Names<S>>(name: K): {
    create(data: Insert<S, K>): void
    update(id: string, data: Update<S, K>): void
    upsert(data: Insert<S, K>): void
    delete(id: string): void
  }
  /** Needs batches to be on in the project's settings. */
  send(): Promise<BatchRequestResult[]>
}

type UserOf<S> = S extends { users: { Row: infer U extends { id: string } } } ? U : RecordModel
type NewUserOf<S> = S extends { users: { Insert: infer U } } ? U : Record<string, any>

export class PicoBaseClient<S = Untyped> {
  /** PocketBase's own client, for what is not wrapped here. It sends the key and throws PicoBaseError too. */
  readonly pocketbase: Transport
  readonly auth: Auth<UserOf<S>, NewUserOf<S>>
  readonly storage: Storage
  readonly realtime: Realtime

  constructor(url: string, apiKey: string, options: ClientOptions = {}) {
    const name = 'picobase:' + url
    this.pocketbase = new Transport(url, { ...options, apiKey, authStore: options.authStore ?? new LocalAuthStore(name) })
    this.realtime = new Realtime(this.pocketbase)
    this.storage = new Storage(this.pocketbase)
    this.auth = new Auth(this.pocketbase, name, options)
  }

  /** The records of a collection. */
  collection<K extends Names<S>>(name: K): Collection<S, K> {
    return this.pocketbase.collection(name)
  }

  /** A query that is put together by calls and sent when it is awaited. */
  from<K extends Names<S>>(name: K): Query<S, K, Row<S, K>> {
    return new Query(this.collection(name))
  }

  /** Changes that are made together or not at all. */
  batch(): Batch<S> {
    return this.pocketbase.createBatch() as any
  }

  /** Calls a route of the project's hooks: rpc('/hello', { name: 'world' }). */
  rpc<T = any>(path: string, data?: Record<string, any> | FormData, options: RpcOptions = {}): Promise<T> {
    return this.pocketbase.send(path, { method: 'POST', [options.method == 'GET' ? 'query' : 'body']: data, ...options })
  }
}

/**
 * Makes a client of one project. Without arguments, URL and key are read from
 * PICOBASE_URL and PICOBASE_API_KEY, also with NEXT_PUBLIC_, VITE_ and PUBLIC_ in front.
 *
 * ```ts
 * const pb = createClient<Schema>('https://shop.example.com', 'pbk_pub_…')
 * ```
 */
export function createClient<S = Untyped>(url?: string, apiKey?: string, options?: ClientOptions): PicoBaseClient<S> {
  return new PicoBaseClient<S>(...resolveConfig(url, apiKey), options)
}
