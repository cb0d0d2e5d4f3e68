import { PicoBaseError } from '@picobase/client'

/** What to tell a person about an error: the field that is wrong, or else what happened. */
export function explain(error: unknown): string {
  if (!(error instanceof PicoBaseError)) return String(error)
  const [field, problem] = Object.entries(error.details)[0] ?? []
  return problem?.message ? `${field}: ${problem.message}` : error.message
}
