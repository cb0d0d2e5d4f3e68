'use client'

import Link from 'next/link'
import { useActionState } from 'react'
import { requestPasswordReset } from '@/app/actions'

export default function ForgotPassword() {
  const [attempt, action, pending] = useActionState(requestPasswordReset, {})
  return (
    <>
      <h1>Forgot your password?</h1>
      <form action={action}>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" defaultValue={attempt.email} required />
        </label>
        {attempt.error && <p role="alert">{attempt.error}</p>}
        <button type="submit" disabled={pending}>
          Send a link
        </button>
      </form>
      <p role="status">{attempt.sent && `If there is an account for ${attempt.email}, a link is on its way.`}</p>
      <p>
        <Link href="/sign-in">Sign in</Link>
      </p>
    </>
  )
}
