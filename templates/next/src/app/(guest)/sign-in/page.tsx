'use client'

import Link from 'next/link'
import { useActionState } from 'react'
import { signIn } from '@/app/actions'

export default function SignIn() {
  const [attempt, action, pending] = useActionState(signIn, {})
  return (
    <>
      <h1>Sign in</h1>
      <form action={action}>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" defaultValue={attempt.email} required />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        {attempt.error && <p role="alert">{attempt.error}</p>}
        <button type="submit" disabled={pending}>
          Sign in
        </button>
      </form>
      <p>
        <Link href="/forgot-password">Forgot your password?</Link> · <Link href="/sign-up">Sign up</Link>
      </p>
    </>
  )
}
