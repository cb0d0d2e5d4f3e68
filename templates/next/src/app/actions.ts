'use server'

import { redirect } from 'next/navigation'
import { explain } from '@/lib/explain'
import { serverClient } from '@/lib/server'

/** What a form shows of its last attempt. */
export interface Attempt {
  email?: string
  error?: string
  sent?: boolean
}

export async function signIn(_: Attempt, data: FormData): Promise<Attempt> {
  const pb = await serverClient()
  const [email, password] = [String(data.get('email')), String(data.get('password'))]
  try {
    await pb.auth.signIn(email, password)
  } catch (error) {
    return { email, error: explain(error) }
  }
  redirect('/')
}

export async function signUp(_: Attempt, data: FormData): Promise<Attempt> {
  const pb = await serverClient()
  const [email, password] = [String(data.get('email')), String(data.get('password'))]
  try {
    await pb.auth.signUp(email, password)
  } catch (error) {
    return { email, error: explain(error) }
  }
  redirect('/')
}

export async function requestPasswordReset(_: Attempt, data: FormData): Promise<Attempt> {
  const pb = await serverClient()
  const email = String(data.get('email'))
  try {
    await pb.auth.requestPasswordReset(email)
  } catch (error) {
    return { email, error: explain(error) }
  }
  return { email, sent: true }
}

export async function confirmPasswordReset(token: string, _: Attempt, data: FormData): Promise<Attempt> {
  const pb = await serverClient()
  try {
    await pb.auth.confirmPasswordReset(token, String(data.get('password')))
  } catch (error) {
    return { error: explain(error) }
  }
  pb.auth.signOut() // a new password ends all sessions
  redirect('/sign-in')
}
