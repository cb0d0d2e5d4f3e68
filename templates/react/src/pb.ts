import { createClient, PicoBaseError } from '@picobase/client'
import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Schema } from './picobase'

export type Post = Schema['posts']['Row']

let waking = false
const listeners = new Set<() => void>()

function setWaking(value: boolean) {
  waking = value
  for (const listener of listeners) listener()
}

function listen(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Whether requests wait for a project that was asleep. */
export const useWaking = () => useSyncExternalStore(listen, () => waking)

export const pb = createClient<Schema>(import.meta.env.VITE_PICOBASE_URL, import.meta.env.VITE_PICOBASE_API_KEY, {
  onWaking: () => setWaking(true),
  fetch: async (input, init) => {
    const response = await fetch(input, init)
    if (waking && response.status != 503) setWaking(false)
    return response
  },
})

/** The signed-in user, or null. */
export function useUser() {
  const [user, setUser] = useState(pb.auth.user)
  useEffect(() => pb.auth.onAuthStateChange((_, session) => setUser(session?.user ?? null)), [])
  return user
}

/** What to tell a person about an error: the field that is wrong, or else what happened. */
export function explain(error: unknown): string {
  if (!(error instanceof PicoBaseError)) return String(error)
  const [field, problem] = Object.entries(error.details)[0] ?? []
  return problem?.message ? `${field}: ${problem.message}` : error.message
}
