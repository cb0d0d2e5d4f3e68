import { NewPassword } from './new-password'

/** Where the link in the mail leads. */
export default async function ResetPassword({ searchParams }: { searchParams: Promise<{ token?: string }> }) {
  const { token = '' } = await searchParams
  return <NewPassword token={token} />
}
