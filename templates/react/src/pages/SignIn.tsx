import { Link } from 'react-router'
import { pb } from '../pb'
import { useForm } from '../useForm'

export function SignIn() {
  const { onSubmit, error, pending } = useForm((data) => pb.auth.signIn(String(data.get('email')), String(data.get('password'))))
  return (
    <>
      <h1>Sign in</h1>
      <form onSubmit={onSubmit}>
        <label>
          Email
          <input name="email" type="email" autoComplete="username" required />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        {error && <p role="alert">{error}</p>}
        <button type="submit" disabled={pending}>
          Sign in
        </button>
      </form>
      <p>
        <Link to="/forgot-password">Forgot your password?</Link> · <Link to="/sign-up">Sign up</Link>
      </p>
    </>
  )
}
