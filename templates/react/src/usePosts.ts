import { useEffect, useState } from 'react'
import { explain, pb, type Post } from './pb'

/** The posts that the user may see, as they are now. */
export function usePosts() {
  const [posts, setPosts] = useState<Post[]>([])
  const [loading, setLoading] = useState(true)
  const [error, setError] = useState('')

  // A change may come twice: as the answer to this page, and from the server as to every other.
  const apply = (action: string, post: Post) => setPosts((posts) => changed(posts, action, post))

  useEffect(() => {
    let active = true
    const fail = (error: unknown) => active && setError(explain(error))

    async function load() {
      const posts = await pb.from('posts').order('-created').limit(100)
      if (!active) return
      setPosts(posts)
      setLoading(false)
      setError('')
    }
    load().catch(fail)
    // Again after each connection, for what was missed without one.
    const stopState = pb.realtime.onStateChange((state) => state == 'connected' && load().catch(fail))
    const subscription = pb.collection('posts').subscribe('*', ({ action, record }) => apply(action, record))
    subscription.catch(fail)

    return () => {
      active = false
      stopState()
      subscription.then((stop) => stop()).catch(() => {}) // it has been told above
    }
  }, [])

  return { posts, loading, error, setError, apply }
}

function changed(posts: Post[], action: string, post: Post) {
  if (action == 'delete') return posts.filter(({ id }) => id != post.id)
  if (posts.some(({ id }) => id == post.id)) return posts.map((old) => (old.id == post.id ? post : old))
  return [post, ...posts]
}
