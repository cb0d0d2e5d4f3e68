import type { SendOptions, UnsubscribeFunc } from 'pocketbase'
import { failure } from './errors'
import type { Transport } from './transport'

/** Whether changes arrive. While `disconnected` the connection is tried again by itself. */
export type ConnectionState = 'connected' | 'disconnected'

/** Changes of records, as they happen. */
export class Realtime {
  private _listeners = new Set<(state: ConnectionState) => void>()
  private _state: ConnectionState = 'disconnected'

  constructor(private _client: Transport) {
    const service = _client.realtime
    const subscribe = service.subscribe.bind(service)
    service.onDisconnect = () => this._tell('disconnected')
    // After every connection the subscriptions are sent again.
    _client._subscribed = () => this._tell('connected')
    // Here, and not in a method of ours, since signing in with OAuth2 subscribes too.
    service.subscribe = async (topic, callback, options) => {
      if (typeof EventSource == 'undefined')
        throw failure('eventsource_missing', 'Set globalThis.EventSource, from the package eventsource.')
      // A first connection that fails is not tried again by PocketBase's client, so a
      // project that sleeps is woken by a request that is.
      if (!service.isConnected) await _client.health.check()
      return subscribe(topic, callback, options)
    }
  }

  get isConnected(): boolean {
    return this._client.realtime.isConnected
  }

  /**
   * Calls back for each change: of all records of a collection (`posts`), or of one
   * (`posts/ID`). Returns a function that ends it. For topics of your own use
   * `pb.pocketbase.realtime`.
   */
  subscribe<T = any>(topic: string, callback: (change: T) => void, options?: SendOptions): Promise<UnsubscribeFunc> {
    return this._client.realtime.subscribe(full(topic), callback, options)
  }

  /** Ends all subscriptions of a topic, or all there are. */
  unsubscribe(topic?: string): Promise<void> {
    return this._client.realtime.unsubscribe(topic && full(topic))
  }

  /** Calls back when the connection is there and when it is lost. Returns a function that ends it. */
  onStateChange(callback: (state: ConnectionState) => void): () => void {
    this._listeners.add(callback)
    return () => this._listeners.delete(callback)
  }

  private _tell(state: ConnectionState): void {
    if (state != this._state) for (const listener of this._listeners) listener(state)
    this._state = state
  }
}

const full = (topic: string) => (topic.includes('/') ? topic : topic + '/*')
