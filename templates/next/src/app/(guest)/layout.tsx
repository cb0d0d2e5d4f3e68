import { redirect } from 'next/navigation'
import type { ReactNode } from 'react'
import { currentUser } from '@/lib/server'

export default async function GuestLayout({ children }: { children: ReactNode }) {
  if (await currentUser()) redirect('/')
  return children
}
