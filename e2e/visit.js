// What an app does with @picobase/client, for each runtime that the client is for.

/** Uses a project that has posts, and returns what came of it. */
export async function visit({ createClient, PicoBaseError }, url, key) {
  const pb = createClient(url, key)
  const email = `someone-${Math.random().toString(36).slice(2)}@example.com`
  await pb.auth.signUp(email, 'correct horse battery')
  await pb.auth.signIn(email, 'correct horse battery')
  const user = await pb.auth.getUser()

  const posts = pb.collection('posts')
  const live = await subscribed(pb, () => posts.create({ title: 'live' }))
  const post = await posts.create({ title: "it's", files: [new File(['hello'], 'hello.txt', { type: 'text/plain' })] })
  await posts.update(post.id, { title: "it's (2)" })
  const found = await pb.from('posts').eq('title', "it's (2)").limit(5)
  const file = await (await fetch(pb.storage.getUrl(found[0], found[0].files[0]))).text()
  await posts.delete(post.id)
  const missing = await posts.getOne(post.id).catch((error) => error)
  await pb.auth.signOut()
  return {
    user: user.email == email, live, found: found.length, file,
    missing: missing instanceof PicoBaseError && missing.status, session: pb.auth.user,
  }
}

/** What a subscription hears of act, or the code of why there is none. */
async function subscribed(pb, act) {
  let hear
  const heard = new Promise((resolve) => (hear = resolve))
  try {
    await pb.realtime.subscribe('posts', hear)
  } catch (error) {
    return error.code
  }
  await act()
  const { action, record } = await heard
  await pb.realtime.unsubscribe()
  return `${action} ${record.title}`
}
