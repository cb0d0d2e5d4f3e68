import { failure } from './errors'

declare global {
  interface ImportMeta {
    readonly env: Record<string, any>
  }
}

// Bundlers replace such expressions as they are written, and only so. In a runtime
// that has no process, or no import.meta.env, to read is an error.
const first = (...readers: (() => string | undefined)[]): string | undefined => {
  for (const read of readers) {
    try {
      const value = read()
      if (value) return value
    } catch {
      // not here
    }
  }
  return undefined
}

const envURL = () => first(
  () => process.env.PICOBASE_URL,
  () => process.env.NEXT_PUBLIC_PICOBASE_URL,
  () => import.meta.env.VITE_PICOBASE_URL,
  () => import.meta.env.PUBLIC_PICOBASE_URL,
  () => process.env.VITE_PICOBASE_URL,
  () => process.env.PUBLIC_PICOBASE_URL,
)

const envKey = () => first(
  () => process.env.PICOBASE_API_KEY,
  () => process.env.NEXT_PUBLIC_PICOBASE_API_KEY,
  () => import.meta.env.VITE_PICOBASE_API_KEY,
  () => import.meta.env.PUBLIC_PICOBASE_API_KEY,
  () => process.env.VITE_PICOBASE_API_KEY,
  () => process.env.PUBLIC_PICOBASE_API_KEY,
)

/** Completes what createClient was given from the environment. */
export function resolveConfig(url = envURL(), key = envKey() ?? ''): [url: string, key: string] {
  if (!url) throw failure('config_missing', 'Pass a URL or set PICOBASE_URL (NEXT_PUBLIC_, VITE_ in browsers).')
  if (key.startsWith('pbk_sec_') && typeof document == 'object')
    throw failure('secret_key_in_browser', 'Use the publishable key')
  return [url, key]
}
