/**
 * The client of PicoBase: auth, records, files and realtime of one project, typed
 * by its schema. It wraps PocketBase's client, which stays within reach as
 * `pb.pocketbase`.
 *
 * @packageDocumentation
 */
export { createClient, PicoBaseClient, type Batch, type ClientOptions, type RpcOptions } from './client'
export { Auth, type AuthEvent, type Session, type SignedIn } from './auth'
export type { Collection, Typed } from './collection'
export { PicoBaseError, type ErrorCode } from './errors'
export { filter, type FilterValue } from './filter'
export { Query } from './query'
export { Realtime, type ConnectionState } from './realtime'
export { Storage } from './storage'
export type { Waking } from './transport'
export type { AnySchema, CollectionTypes, Expanded, Insert, Row, Selected, Untyped, Update } from './types'
export { AsyncAuthStore, BaseAuthStore, LocalAuthStore } from 'pocketbase'
export type { AuthMethodsList, ListResult, RecordModel, RecordSubscription, UnsubscribeFunc } from 'pocketbase'
