'use client'

import Link from 'next/link'
import { useActionState } from 'react'
import { confirmPasswordReset } from '@/app/actions'

export function NewPassword({ token }: { token: string }) {
  const [attempt, action, pending] = useActionState(confirmPasswordReset.bind(null, token), {})
  return (
    <>
      <h1>Choose a new password</h1>
      <form action={action}>
        <label>
          New password (at least 8 characters)
          <input name="password" type="password" autoComplete="new-password" minLength={8} required />
        </label>
        {attempt.error && <p role="alert">{attempt.error}</p>}
        <button type="submit" disabled={pending}>
          Set password
        </button>
      </form>
      <p>
        <Link href="/forgot-password">Send another link</Link>
      </p>
    </>
  )
}
