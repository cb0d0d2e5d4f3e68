import { ClientResponseError } from 'pocketbase'

/**
 * Codes that the server, the router and this client answer with. All others are
 * strings too: new ones may come with a new server. The list is in docs/errors.md.
 */
export type ErrorCode =
  | 'aborted'
  | 'network'
  | 'config_missing'
  | 'secret_key_in_browser'
  | 'eventsource_missing'
  | 'mfa_required'
  | 'invalid_query'
  | 'api_key_required'
  | 'api_key_malformed'
  | 'api_key_unknown'
  | 'api_key_revoked'
  | 'api_key_expired'
  | 'api_key_scope_required'
  | 'rate_limited'
  | 'waking'
  | 'project_not_found'
  | 'project_stopped'
  | 'validation_failed'
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'internal'
  | (string & {})

/** Every error that this client throws. It is PocketBase's ClientResponseError too. */
export class PicoBaseError extends ClientResponseError {
  /** Stable, snake_case name of the condition. */
  readonly code: ErrorCode
  /** Machine-readable particulars, for example one entry per invalid field. */
  readonly details: Record<string, any>
  /** Names the request in the server's log; empty if none was answered. */
  readonly requestId: string

  constructor(cause: any, headers?: Headers) {
    super(cause)
    Object.setPrototypeOf(this, PicoBaseError.prototype)
    const { response, isAbort, status, originalError } = this
    const { error, mfaId, data } = response
    this.name = 'PicoBaseError'
    this.code = error?.code ?? (mfaId ? 'mfa_required' : isAbort ? 'aborted' : status == 404 ? 'not_found' : status ? 'http_' + status : 'network')
    if (!response.message)
      this.message = mfaId ? '2nd factor needed' : isAbort ? 'Aborted' : 'No answer: ' + (originalError?.message ?? status)
    this.details = error?.details ?? data ?? response
    this.requestId = headers?.get('X-Request-Id') ?? ''
  }
}

/** An error of this client itself. */
export const failure = (code: ErrorCode, message: string, status = 0): PicoBaseError =>
  new PicoBaseError({ status, data: { message, error: { code } } })

/** Rethrows an error as ours. */
export const wrap = (error: any): never => {
  throw error.code ? error : new PicoBaseError(error)
}
