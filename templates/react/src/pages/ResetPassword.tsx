import { Link, useNavigate, useSearchParams } from 'react-router'
import { pb } from '../pb'
import { useForm } from '../useForm'

/** Where the link in the mail leads. */
export function ResetPassword() {
  const navigate = useNavigate()
  const [search] = useSearchParams()
  const { onSubmit, error, pending } = useForm(async (data) => {
    await pb.auth.confirmPasswordReset(search.get('token') ?? '', String(data.get('password')))
    pb.auth.signOut() // a new password ends all sessions
    navigate('/sign-in')
  })
  return (
    <>
      <h1>Choose a new password</h1>
      <form onSubmit={onSubmit}>
        <label>
          New password (at least 8 characters)
          <input name="password" type="password" autoComplete="new-password" minLength={8} required />
        </label>
        {error && <p role="alert">{error}</p>}
        <button type="submit" disabled={pending}>
          Set password
        </button>
      </form>
      <p>
        <Link to="/forgot-password">Send another link</Link>
      </p>
    </>
  )
}
