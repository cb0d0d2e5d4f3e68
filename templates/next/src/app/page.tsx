import { redirect } from 'next/navigation'
import { currentUser, serverClient } from '@/lib/server'
import { Posts } from './posts'

export default async function Page() {
  const user = await currentUser()
  if (!user) redirect('/sign-in')
  const pb = await serverClient()
  const posts = await pb.from('posts').order('-created').limit(100)
  return <Posts user={{ id: user.id, email: user.email }} initial={posts} />
}
