/**
 * Signing in with OAuth2 by leaving the page and coming back: for pages that are
 * made on a server, and where popups are no option. It is protected by PKCE.
 *
 * ```ts
 * const started = await startOAuth(pb, 'github', 'https://app.example.com/callback')
 * // keep started, in sessionStorage or a cookie, and go to started.url; at the callback:
 * await completeOAuth(pb, started, new URL(request.url).searchParams)
 * ```
 *
 * @packageDocumentation
 */
import { PicoBaseError, type PicoBaseClient, type SignedIn } from '@picobase/client'

const failure = (code: string, message: string) => new PicoBaseError({ data: { message, error: { code } } })

/** A sign-in that goes on at another page. Keep it until that page calls back. */
export interface OAuthRedirect {
  provider: string
  /** Where to send the person. */
  url: string
  /** What the callback's `state` must be. */
  state: string
  codeVerifier: string
  redirectTo: string
  collection: string
}

/** Begins the sign-in. `redirectTo` must be among the project's redirect URLs and the provider's. */
export async function startOAuth(pb: PicoBaseClient<any>, provider: string, redirectTo: string, collection = 'users'): Promise<OAuthRedirect> {
  const { oauth2 } = await pb.pocketbase.collection(collection).listAuthMethods()
  const found = oauth2.providers.find(({ name }: { name: string }) => name == provider)
  if (!found) throw failure('provider_not_enabled', `The provider ${provider} is not enabled in this project.`)
  return { provider, url: found.authURL + encodeURIComponent(redirectTo), state: found.state, codeVerifier: found.codeVerifier, redirectTo, collection }
}

/** Ends the sign-in, with the query that the page at `redirectTo` was called with. */
export async function completeOAuth<U = any>(pb: PicoBaseClient<any>, started: OAuthRedirect, query: URLSearchParams, createData?: Record<string, any>): Promise<SignedIn<U>> {
  const code = query.get('code')
  if (query.get('error')) throw failure('oauth_denied', query.get('error_description') ?? query.get('error')!)
  if (!code || query.get('state') != started.state) throw failure('oauth_state_mismatch', 'This answer belongs to another sign-in: begin again.')
  const users = pb.pocketbase.collection(started.collection)
  const { record, meta } = await users.authWithOAuth2Code(started.provider, code, started.codeVerifier, started.redirectTo, createData)
  return { user: record, session: pb.auth.session as any, meta }
}
