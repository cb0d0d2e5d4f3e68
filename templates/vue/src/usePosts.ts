import { onMounted, onUnmounted, ref } from 'vue'
import { explain, pb, type Post } from './pb'

/** The posts that the user may see, as they are now. */
export function usePosts() {
  const posts = ref<Post[]>([])
  const loading = ref(true)
  const error = ref('')
  const ends: (() => unknown)[] = []
  let active = true

  const fail = (cause: unknown) => (error.value = explain(cause))

  async function load() {
    posts.value = await pb.from('posts').order('-created').limit(100)
    loading.value = false
    error.value = ''
  }

  // A change may come twice: as the answer to this page, and from the server as to every other.
  function apply(action: string, post: Post) {
    const others = posts.value.filter(({ id }) => id != post.id)
    if (action == 'delete') posts.value = others
    else if (others.length == posts.value.length) posts.value = [post, ...others]
    else posts.value = posts.value.map((old) => (old.id == post.id ? post : old))
  }

  onMounted(async () => {
    load().catch(fail)
    // Again after each connection, for what was missed without one.
    ends.push(pb.realtime.onStateChange((state) => state == 'connected' && load().catch(fail)))
    try {
      const stop = await pb.collection('posts').subscribe('*', ({ action, record }) => apply(action, record))
      if (active) ends.push(stop)
      else await stop()
    } catch (cause) {
      fail(cause)
    }
  })

  onUnmounted(() => {
    active = false
    for (const end of ends) end()
  })

  return { posts, loading, error, fail, apply }
}
