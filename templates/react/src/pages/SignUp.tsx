import { Link } from 'react-router'
import { pb } from '../pb'
import { useForm } from '../useForm'

export function SignUp() {
  const { onSubmit, error, pending } = useForm((data) => pb.auth.signUp(String(data.get('email')), String(data.get('password'))))
  return (
    <>
      <h1>Sign up</h1>
      <form onSubmit={onSubmit}>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" required />
        </label>
        <label>
          Password (at least 8 characters)
          <input name="password" type="password" autoComplete="new-password" minLength={8} required />
        </label>
        {error && <p role="alert">{error}</p>}
        <button type="submit" disabled={pending}>
          Sign up
        </button>
      </form>
      <p>
        <Link to="/sign-in">Sign in</Link>
      </p>
    </>
  )
}
