'use client'

import Link from 'next/link'
import { useActionState } from 'react'
import { signUp } from '@/app/actions'

export default function SignUp() {
  const [attempt, action, pending] = useActionState(signUp, {})
  return (
    <>
      <h1>Sign up</h1>
      <form action={action}>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" defaultValue={attempt.email} required />
        </label>
        <label>
          Password (at least 8 characters)
          <input name="password" type="password" autoComplete="new-password" minLength={8} required />
        </label>
        {attempt.error && <p role="alert">{attempt.error}</p>}
        <button type="submit" disabled={pending}>
          Sign up
        </button>
      </form>
      <p>
        <Link href="/sign-in">Sign in</Link>
      </p>
    </>
  )
}
