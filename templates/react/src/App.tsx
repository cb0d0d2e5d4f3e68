import { Navigate, Route, Routes } from 'react-router'
import { ForgotPassword } from './pages/ForgotPassword'
import { Posts } from './pages/Posts'
import { ResetPassword } from './pages/ResetPassword'
import { SignIn } from './pages/SignIn'
import { SignUp } from './pages/SignUp'
import { useUser, useWaking } from './pb'

export function App() {
  const user = useUser()
  const waking = useWaking()
  return (
    <main>
      {waking && <p role="status">The project is waking up…</p>}
      <Routes>
        <Route path="/" element={user ? <Posts key={user.id} user={user} /> : <Navigate to="/sign-in" />} />
        <Route path="/sign-in" element={user ? <Navigate to="/" /> : <SignIn />} />
        <Route path="/sign-up" element={user ? <Navigate to="/" /> : <SignUp />} />
        <Route path="/forgot-password" element={<ForgotPassword />} />
        <Route path="/reset-password" element={<ResetPassword />} />
        <Route path="*" element={<Navigate to="/" />} />
      </Routes>
    </main>
  )
}
