import { createServerClient } from '@picobase/client/ssr'
import { cookies } from 'next/headers'
import { cache } from 'react'
import type { Schema } from '@/picobase'

/** A client for this request, with the session of its cookie. */
export async function serverClient() {
  return createServerClient<Schema>(process.env.NEXT_PUBLIC_PICOBASE_URL, process.env.NEXT_PUBLIC_PICOBASE_API_KEY, {
    cookies: await cookies(),
  })
}

/** The signed-in user as the project knows it, or null. Asks once a request. */
export const currentUser = cache(async () => (await serverClient()).auth.getUser())
