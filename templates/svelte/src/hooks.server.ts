import { env } from '$env/dynamic/public'
import { createServerClient } from '@picobase/client/ssr'
import type { Handle } from '@sveltejs/kit'
import type { Schema } from './picobase'

// One client for each request: a shared one would show one person's session to another.
export const handle: Handle = async ({ event, resolve }) => {
  event.locals.pb = createServerClient<Schema>(env.PUBLIC_PICOBASE_URL, env.PUBLIC_PICOBASE_API_KEY, {
    cookies: event.cookies,
    cookie: { httpOnly: false }, // the browser's client reads it too
  })
  event.locals.user = await event.locals.pb.auth.getUser()
  return resolve(event)
}
