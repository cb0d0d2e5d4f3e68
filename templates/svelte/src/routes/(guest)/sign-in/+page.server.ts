import { explain } from '$lib/explain'
import { fail, redirect } from '@sveltejs/kit'
import type { Actions } from './$types'

export const actions: Actions = {
  default: async ({ request, locals: { pb } }) => {
    const data = await request.formData()
    try {
      await pb.auth.signIn(String(data.get('email')), String(data.get('password')))
    } catch (error) {
      return fail(400, { error: explain(error) })
    }
    redirect(303, '/')
  },
}
