import { useState, type FormEvent } from 'react'
import { explain } from './pb'

/** What every form here does: it sends once, and shows what went wrong. */
export function useForm(send: (data: FormData, form: HTMLFormElement) => Promise<unknown>) {
  const [error, setError] = useState('')
  const [pending, setPending] = useState(false)

  async function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    setError('')
    setPending(true)
    try {
      await send(new FormData(form), form)
    } catch (error) {
      setError(explain(error))
    } finally {
      setPending(false)
    }
  }

  return { onSubmit, error, pending }
}
