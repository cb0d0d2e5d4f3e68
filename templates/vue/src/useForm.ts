import { ref } from 'vue'
import { explain } from './pb'

/** What every form here does: it sends once, and shows what went wrong. */
export function useForm(send: () => Promise<unknown>) {
  const error = ref('')
  const pending = ref(false)

  async function submit() {
    error.value = ''
    pending.value = true
    try {
      await send()
    } catch (cause) {
      error.value = explain(cause)
    } finally {
      pending.value = false
    }
  }

  return { submit, error, pending }
}
