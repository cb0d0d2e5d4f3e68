'use client'

import { useRouter } from 'next/navigation'
import { useActionState, useEffect, useState } from 'react'
import { browserClient } from '@/lib/browser'
import { explain } from '@/lib/explain'
import type { Schema } from '@/picobase'

type Post = Schema['posts']['Row']

/** The list, as the server sent it and then as it changes. */
export function Posts({ user, initial }: { user: { id: string; email: string }; initial: Post[] }) {
  const router = useRouter()
  const [posts, setPosts] = useState(initial)
  const [error, setError] = useState('')
  const [waking, setWaking] = useState(false)
  const [pb] = useState(() => browserClient(setWaking))

  // A change may come twice: as the answer to this page, and from the server as to every other.
  const apply = (action: string, post: Post) => setPosts((posts) => changed(posts, action, post))

  useEffect(() => {
    let active = true
    const fail = (error: unknown) => active && setError(explain(error))

    async function load() {
      const posts = await pb.from('posts').order('-created').limit(100)
      if (!active) return
      setPosts(posts)
      setError('')
    }
    // After each connection, for what was missed without one.
    const stopState = pb.realtime.onStateChange((state) => state == 'connected' && load().catch(fail))
    const subscription = pb.collection('posts').subscribe('*', ({ action, record }) => apply(action, record))
    subscription.catch(fail)

    return () => {
      active = false
      stopState()
      subscription.then((stop) => stop()).catch(() => {}) // it has been told above
    }
  }, [pb])

  const [, create, pending] = useActionState(async (_: null, data: FormData) => {
    try {
      apply('create', await pb.collection('posts').create({ title: String(data.get('title')), author: user.id }))
      setError('')
    } catch (error) {
      setError(explain(error))
    }
    return null
  }, null)

  async function toggle(post: Post) {
    try {
      apply('update', await pb.collection('posts').update(post.id, { published: !post.published }))
    } catch (error) {
      setError(explain(error))
    }
  }

  async function remove(post: Post) {
    try {
      await pb.collection('posts').delete(post.id)
      apply('delete', post)
    } catch (error) {
      setError(explain(error))
    }
  }

  function signOut() {
    pb.auth.signOut()
    router.push('/sign-in')
  }

  return (
    <>
      {waking && <p role="status">The project is waking up…</p>}
      <header>
        <span>{user.email}</span>
        <button type="button" onClick={signOut}>
          Sign out
        </button>
      </header>
      <h1>Posts</h1>
      <form action={create}>
        <label>
          Title
          <input name="title" maxLength={200} required />
        </label>
        <button type="submit" disabled={pending}>
          Add
        </button>
      </form>
      {error && <p role="alert">{error}</p>}
      {posts.length == 0 ? (
        <p>No posts yet.</p>
      ) : (
        <ul>
          {posts.map((post) => (
            <li key={post.id}>
              <label>
                <input type="checkbox" checked={post.published} onChange={() => toggle(post)} />
                {post.title} <small>{post.published ? 'published' : 'draft'}</small>
              </label>
              <button type="button" aria-label={`Delete ${post.title}`} onClick={() => remove(post)}>
                Delete
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function changed(posts: Post[], action: string, post: Post) {
  if (action == 'delete') return posts.filter(({ id }) => id != post.id)
  if (posts.some(({ id }) => id == post.id)) return posts.map((old) => (old.id == post.id ? post : old))
  return [post, ...posts]
}
