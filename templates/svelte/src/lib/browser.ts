import { env } from '$env/dynamic/public'
import { createBrowserClient } from '@picobase/client/ssr'
import type { Schema } from '../picobase'

/** A client with the session of the cookie. `setWaking` is told whether requests wait for a project that was asleep. */
export const browserClient = (setWaking: (waking: boolean) => void) =>
  createBrowserClient<Schema>(env.PUBLIC_PICOBASE_URL, env.PUBLIC_PICOBASE_API_KEY, {
    onWaking: () => setWaking(true),
    fetch: async (input, init) => {
      const response = await fetch(input, init)
      if (response.status != 503) setWaking(false)
      return response
    },
  })
