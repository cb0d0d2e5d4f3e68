/**
 * Sessions in cookies, for pages that are made on a server and go on in a browser.
 *
 * @packageDocumentation
 */
import { BaseAuthStore, createClient, type ClientOptions, type PicoBaseClient, type RecordModel, type Untyped } from '@picobase/client'

/** Attributes of the cookie. */
export interface CookieOptions {
  path?: string
  domain?: string
  /** Seconds. */
  maxAge?: number
  secure?: boolean
  sameSite?: 'lax' | 'strict' | 'none'
  httpOnly?: boolean
}

/** The request's cookies, as Next's `await cookies()` and SvelteKit's `event.cookies` have them. */
export interface CookieJar {
  get(name: string): string | { value: string } | undefined
  set?(name: string, value: string, options: CookieOptions & { path: string }): unknown
}

export interface CookieClientOptions extends Omit<ClientOptions, 'authStore'> {
  /** Default `picobase`. */
  cookieName?: string
  cookie?: CookieOptions
}

export interface ServerClientOptions extends CookieClientOptions {
  cookies: CookieJar
}

/** Keeps the session in one cookie, with no more of the user than pages need. */
class CookieStore extends BaseAuthStore {
  constructor(
    text: string | undefined,
    private write: (value: string, maxAge: number) => void,
  ) {
    super()
    try {
      const { token = '', record = null } = JSON.parse(text || '{}')
      this.baseToken = token
      this.baseModel = record
    } catch {
      // not ours, or cut off: nobody is signed in
    }
  }

  override save(token: string, record?: RecordModel | null): void {
    super.save(token, record)
    const { id, collectionId, collectionName, email, verified, name, avatar } = record ?? ({} as any)
    // A cookie is cut off at 4096 bytes; getUser has the rest.
    this.write(JSON.stringify({ token, record: { id, collectionId, collectionName, email, verified, name, avatar } }), 14 * 86_400)
  }

  override clear(): void {
    super.clear()
    this.write('', 0)
  }
}

const settings = ({ cookieName = 'picobase', cookie }: CookieClientOptions, maxAge: number, secure: boolean) => ({
  name: cookieName,
  // The browser's client reads it too, and SvelteKit would hide it by default.
  options: { path: '/', sameSite: 'lax' as const, httpOnly: false, secure, maxAge, ...cookie, ...(maxAge ? {} : { maxAge: 0 }) },
})

/**
 * A client for one request on a server. Make a new one for each: a shared one would
 * show one person's session to another. Ask `await pb.auth.getUser()` before
 * trusting the cookie; it also renews the session.
 *
 * ```ts
 * const pb = createServerClient<Schema>(undefined, undefined, { cookies: await cookies() })
 * ```
 */
export function createServerClient<S = Untyped>(url: string | undefined, apiKey: string | undefined, options: ServerClientOptions): PicoBaseClient<S> {
  const { cookies } = options
  const found = cookies.get(options.cookieName ?? 'picobase')
  const text = typeof found == 'object' ? found.value : found
  const client: PicoBaseClient<S> = createClient<S>(url, apiKey, {
    ...options,
    authStore: new CookieStore(text, (value, maxAge) => {
      const { name, options: attributes } = settings(options, maxAge, client.pocketbase.baseURL.startsWith('https:'))
      try {
        cookies.set?.(name, value, attributes)
      } catch {
        // Next forbids it while a page is rendered; a route handler or middleware will.
      }
    }),
  })
  return client
}

/** A client in a browser that keeps its session where createServerClient finds it. */
export function createBrowserClient<S = Untyped>(url?: string, apiKey?: string, options: CookieClientOptions = {}): PicoBaseClient<S> {
  const found = globalThis.document?.cookie.split('; ').find((pair) => pair.startsWith((options.cookieName ?? 'picobase') + '='))
  return createClient<S>(url, apiKey, {
    ...options,
    authStore: new CookieStore(found && decodeURIComponent(found.slice(found.indexOf('=') + 1)), (value, maxAge) => {
      const { name, options: attributes } = settings(options, maxAge, location.protocol == 'https:')
      const { path, domain, sameSite, secure } = attributes as CookieOptions
      document.cookie = [
        `${name}=${encodeURIComponent(value)}; path=${path}; max-age=${attributes.maxAge}; samesite=${sameSite}`,
        ...(domain ? [`domain=${domain}`] : []),
        ...(secure ? ['secure'] : []),
      ].join('; ')
    }),
  })
}
