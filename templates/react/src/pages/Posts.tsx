import { useEffect, useState } from 'react'
import { explain, pb, type Post } from '../pb'
import { useForm } from '../useForm'

export function Posts({ user }: { user: { id: string; email: string } }) {
  const { posts, loading, error, setError, apply } = usePosts()
  const form = useForm(async (data, form) => {
    apply('create', await pb.collection('posts').create({ title: String(data.get('title')), author: user.id }))
    form.reset()
  })

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

  return (
    <>
      <header>
        <span>{user.email}</span>
        <button type="button" onClick={() => pb.auth.signOut()}>
          Sign out
        </button>
      </header>
      <h1>Posts</h1>
      <form onSubmit={form.onSubmit}>
        <label>
          Title
          <input name="title" maxLength={200} required />
        </label>
        <button type="submit" disabled={form.pending}>
          Add
        </button>
      </form>
      {(form.error || error) && <p role="alert">{form.error || error}</p>}
      {loading ? (
        <p role="status">Loading…</p>
      ) : posts.length == 0 ? (
        <p>No posts yet.</p>
      ) : (
        <ul>
          {posts.map((post) => (
            <li key={post.id}>
              <label>
                <input type="checkbox" checked={post.published} onChange={() => toggle(post)} />
                {post.title}
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

/** The posts that the user may see, as they are now. */
function usePosts() {
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
