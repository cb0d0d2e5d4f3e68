import { createClient, PicoBaseError } from '@picobase/client'
import { ref, shallowRef } from 'vue'
import type { Schema } from './picobase'

export type Post = Schema['posts']['Row']

/** Whether requests wait for a project that was asleep. */
export const waking = ref(false)

export const pb = createClient<Schema>(import.meta.env.VITE_PICOBASE_URL, import.meta.env.VITE_PICOBASE_API_KEY, {
  onWaking: () => (waking.value = true),
  fetch: async (input, init) => {
    const response = await fetch(input, init)
    if (response.status != 503) waking.value = false
    return response
  },
})

/** The signed-in user, or null. */
export const user = shallowRef(pb.auth.user)
pb.auth.onAuthStateChange((_, session) => (user.value = session?.user ?? null))

/** What to tell a person about an error: the field that is wrong, or else what happened. */
export function explain(error: unknown): string {
  if (!(error instanceof PicoBaseError)) return String(error)
  const [field, problem] = Object.entries(error.details)[0] ?? []
  return problem?.message ? `${field}: ${problem.message}` : error.message
}
