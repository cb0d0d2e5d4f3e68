import { explain } from '$lib/explain'
import { fail, redirect } from '@sveltejs/kit'
import type { Actions, PageServerLoad } from './$types'

export const load: PageServerLoad = async ({ locals: { pb, user } }) => {
  if (!user) redirect(303, '/sign-in')
  return { email: user.email, posts: await pb.from('posts').order('-created').limit(100) }
}

export const actions: Actions = {
  create: async ({ request, locals: { pb, user } }) => {
    if (!user) redirect(303, '/sign-in')
    const data = await request.formData()
    try {
      await pb.collection('posts').create({ title: String(data.get('title')), author: user.id })
    } catch (error) {
      return fail(400, { error: explain(error) })
    }
  },
}
