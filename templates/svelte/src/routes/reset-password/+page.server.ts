import { explain } from '$lib/explain'
import { fail, redirect } from '@sveltejs/kit'
import type { Actions } from './$types'

export const actions: Actions = {
  default: async ({ request, url, locals: { pb } }) => {
    const password = String((await request.formData()).get('password'))
    try {
      await pb.auth.confirmPasswordReset(url.searchParams.get('token') ?? '', password)
    } catch (error) {
      return fail(400, { error: explain(error) })
    }
    pb.auth.signOut() // a new password ends all sessions
    redirect(303, '/sign-in')
  },
}
