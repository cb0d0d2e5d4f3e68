import { useState } from 'react'
import { Link } from 'react-router'
import { pb } from '../pb'
import { useForm } from '../useForm'

export function ForgotPassword() {
  const [email, setEmail] = useState('')
  const { onSubmit, error, pending } = useForm(async (data) => {
    const email = String(data.get('email'))
    await pb.auth.requestPasswordReset(email)
    setEmail(email)
  })
  return (
    <>
      <h1>Forgot your password?</h1>
      <form onSubmit={onSubmit}>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" required />
        </label>
        {error && <p role="alert">{error}</p>}
        <button type="submit" disabled={pending}>
          Send a link
        </button>
      </form>
      <p role="status">{email && `If there is an account for ${email}, a link is on its way.`}</p>
      <p>
        <Link to="/sign-in">Sign in</Link>
      </p>
    </>
  )
}
