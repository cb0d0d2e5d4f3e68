import { explain, pb, type Post } from '../pb'
import { useForm } from '../useForm'
import { usePosts } from '../usePosts'

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
