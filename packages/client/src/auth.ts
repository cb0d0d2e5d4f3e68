import { getTokenPayload, type AuthMethodsList, type BaseAuthStore, type RecordAuthResponse, type RecordService } from 'pocketbase'
import { wrap, type PicoBaseError } from './errors'
import type { ClientOptions } from './client'
import type { Transport } from './transport'

/** What happened to the session, in the words of Supabase. */
export type AuthEvent = 'INITIAL_SESSION' | 'SIGNED_IN' | 'SIGNED_OUT' | 'TOKEN_REFRESHED' | 'USER_UPDATED'

export interface Session<U> {
  token: string
  /** When the token ends, in milliseconds since 1970. */
  expiresAt: number
  user: U
}

/** A sign-in that succeeded. */
export interface SignedIn<U> {
  user: U
  session: Session<U>
  /** What the OAuth2 provider told, and whether the user is new (`isNew`). */
  meta?: Record<string, any>
}

/** Signing up, in and out. */
export class Auth<U extends { id: string }, New = Record<string, any>> {
  private _users: RecordService<any>
  private _store: BaseAuthStore
  private _user?: string
  // When the token was first seen here: it does not say when it was made.
  private _seen!: number
  private _renewing?: Promise<Session<U> | null>
  private _timer?: ReturnType<typeof setTimeout>

  constructor(
    private _client: Transport,
    // Names the lock by which tabs agree on who renews the token.
    private _lock: string,
    { authCollection = 'users', autoRefresh = true }: ClientOptions,
  ) {
    this._users = _client.collection(authCollection)
    this._store = _client.authStore
    if (autoRefresh) _client._before = () => this._endsSoon() && this.refresh().catch(() => null)
    this._store.onChange((_, record) => {
      // A realtime connection stays that of the user who began it: the server refuses to switch.
      const { realtime } = _client
      if (this._user != record?.id && realtime.isConnected) (realtime as any).initConnect()
      this._user = record?.id
      this._seen = Date.now()
      if (autoRefresh) this._schedule()
    }, true)
  }

  private _signedIn({ record, meta }: RecordAuthResponse<any>): SignedIn<U> {
    return { user: record, session: this.session!, meta }
  }

  /** The signed-in user as last seen, without asking the server. */
  get user(): U | null {
    const { isValid, record } = this._store
    return isValid ? (record as any) : null
  }

  /** The session as it is stored, without asking the server. */
  get session(): Session<U> | null {
    const { user } = this
    const { token } = this._store
    return user && { token, expiresAt: expiry(token), user }
  }

  /** The session, renewed if it ends soon. */
  async getSession(): Promise<Session<U> | null> {
    return this._endsSoon() ? this.refresh() : this.session
  }

  /** The signed-in user as the server knows it, or null: what code on a server must ask for. */
  async getUser(): Promise<U | null> {
    return (await this.refresh())?.user ?? null
  }

  /**
   * Creates a user and signs in. The session is null when the project lets only
   * verified users sign in: call requestVerification then.
   */
  async signUp(email: string, password: string, data?: Partial<New>): Promise<{ user: U; session: Session<U> | null }> {
    const user = await this._users.create({ ...data, email, password, passwordConfirm: password })
    return this.signIn(email, password).catch((error) => {
      if (![400, 401, 403].includes(error.status)) throw error
      return { user, session: null }
    })
  }

  /**
   * Signs in with a password. Where a second factor is asked for, it throws
   * `mfa_required`: go on with signInWithOtp and verifyOtp and its `details.mfaId`.
   */
  async signIn(identity: string, password: string, factor?: { mfaId?: string }): Promise<SignedIn<U>> {
    return this._signedIn(await this._users.authWithPassword(identity, password, factor))
  }

  /**
   * Signs in in a popup. Call it directly in the handler of the click, since
   * browsers let no popup open later. For pages made on a server, and where popups
   * are no option, see `@picobase/client/oauth`.
   */
  async signInWithOAuth(provider: string, options?: { scopes?: string[]; createData?: Partial<New> }): Promise<SignedIn<U>> {
    return this._signedIn(await this._users.authWithOAuth2({ provider, ...(options as object) }).catch(wrap))
  }

  /** Signs in with the code of signInWithOtp. */
  async verifyOtp(otpId: string, code: string, factor?: { mfaId?: string }): Promise<SignedIn<U>> {
    return this._signedIn(await this._users.authWithOTP(otpId, code, factor))
  }

  /** Forgets the session. Its token stays valid until it ends, for whoever has kept it. */
  signOut(): void {
    this._store.clear()
  }

  /** Renews the token, once for all tabs. Null when the server no longer accepts the session. */
  refresh(): Promise<Session<U> | null> {
    return (this._renewing ??= this._renew().finally(() => (this._renewing = undefined)))
  }

  private async _renew(): Promise<Session<U> | null> {
    const { token, record } = this._store
    const request = async () => {
      if (!this._store.isValid) return null
      // Another tab may have done it while this one waited for the lock.
      if (this._store.token != token) return this.session
      try {
        await this._client.collection(record!.collectionName).authRefresh()
        return this.session
      } catch (error) {
        const { status, code } = error as PicoBaseError
        // A wrong key says nothing of the session.
        if (![401, 403, 404].includes(status) || code.includes('_key')) throw error
        this.signOut()
        return null
      }
    }
    const locks = globalThis.navigator?.locks
    return locks ? locks.request(this._lock, request) : request()
  }

  /**
   * Tells of the session as it is now, and of every change, in other tabs too.
   * Returns a function that ends it.
   */
  onAuthStateChange(callback: (event: AuthEvent, session: Session<U> | null) => void): () => void {
    let active = true
    let { token: before, record: user } = this._store
    const stop = this._store.onChange((token, record) => {
      if (token || before)
        callback(!token ? 'SIGNED_OUT' : record?.id != user?.id ? 'SIGNED_IN' : token != before ? 'TOKEN_REFRESHED' : 'USER_UPDATED', this.session)
      before = token
      user = record
    })
    queueMicrotask(() => active && callback('INITIAL_SESSION', this.session))
    return () => {
      active = false
      stop()
    }
  }

  /** Sends a code by mail. */
  signInWithOtp(email: string): Promise<{ otpId: string }> {
    return this._users.requestOTP(email)
  }
  /** Sends a link to choose a new password, if there is such a user. */
  requestPasswordReset(email: string): Promise<boolean> {
    return this._users.requestPasswordReset(email)
  }
  /** Sends a link to verify the address. */
  requestVerification(email: string): Promise<boolean> {
    return this._users.requestVerification(email)
  }
  /** Verifies the address, with the token of the mailed link. */
  confirmVerification(token: string): Promise<boolean> {
    return this._users.confirmVerification(token)
  }
  /** Sends a link to the new address of the signed-in user. */
  requestEmailChange(email: string): Promise<boolean> {
    return this._users.requestEmailChange(email)
  }
  /** Changes the address, with the token of the mailed link. It ends the session. */
  confirmEmailChange(token: string, password: string): Promise<boolean> {
    return this._users.confirmEmailChange(token, password)
  }
  /** The ways to sign in that the project offers. */
  listProviders(): Promise<AuthMethodsList> {
    return this._users.listAuthMethods()
  }
  /** Sets a new password, with the token of the mailed link. */
  confirmPasswordReset(token: string, password: string): Promise<boolean> {
    return this._users.confirmPasswordReset(token, password, password)
  }

  // An hour before its end, or in the last tenth of what was left when it came.
  private _wait(): number {
    const end = expiry(this._store.token)
    return end - Math.min((end - this._seen) / 10, 3_600_000) - Date.now()
  }

  private _endsSoon(): boolean {
    return this._store.isValid && this._wait() < 0
  }

  private _schedule(): void {
    clearTimeout(this._timer)
    // On a server a request renews it, if any: nothing keeps a process alive.
    if (!this.user || typeof document == 'undefined') return
    const again = () => this._schedule()
    this._timer = setTimeout(() => this.getSession().then(again, again), Math.min(Math.max(this._wait(), 1e4), 2 ** 31 - 1))
  }
}

const expiry = (token: string): number => getTokenPayload(token).exp * 1000
