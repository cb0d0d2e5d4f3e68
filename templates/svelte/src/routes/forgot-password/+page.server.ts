import { explain } from '$lib/explain'
import { fail } from '@sveltejs/kit'
import type { Actions } from './$types'

export const actions: Actions = {
  default: async ({ request, locals: { pb } }) => {
    const email = String((await request.formData()).get('email'))
    try {
      await pb.auth.requestPasswordReset(email)
    } catch (error) {
      return fail(400, { error: explain(error) })
    }
    return { sentTo: email }
  },
}
