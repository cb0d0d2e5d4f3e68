// The page on which people let a device in, or accept an invitation.
const $ = (id) => document.getElementById(id)
const invitation = location.pathname === '/invitation' ? location.hash.slice(1) : ''
const isInvitation = location.pathname === '/invitation'
document.querySelector('h1').textContent = isInvitation ? 'Accept an invitation' : 'Let a device in'
$('hint').textContent = isInvitation
  ? 'Sign in, or choose a password for a new account with the address that was invited.'
  : 'Only do this if you have just run picobase login yourself and see this code there.'
$('device').hidden = $('no').hidden = isInvitation
$('code').value = new URLSearchParams(location.search).get('code') ?? ''

async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json' }
  if (token) headers.Authorization = 'Bearer ' + token
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = response.status === 204 ? {} : await response.json()
  if (!response.ok) throw new Error(answer.error?.message ?? answer.message)
  return answer
}

const signIn = async () =>
  (await post('/api/collections/users/auth-with-password', { identity: $('email').value, password: $('password').value })).token

async function decide(allow) {
  try {
    if (isInvitation) {
      let token
      try {
        token = await signIn()
      } catch {
        // no account yet: the invitation makes it
      }
      await post('/api/platform/v1/invitations/accept', { token: invitation, password: $('password').value }, token)
      $('answer').textContent = 'Welcome. You are a member now.'
    } else {
      await post('/api/platform/v1/device/approve', { userCode: $('code').value, allow }, await signIn())
      $('answer').textContent = allow ? 'Done. Go back to your device.' : 'Refused.'
    }
    document.querySelector('form').hidden = true
  } catch (error) {
    $('answer').textContent = error.message
  }
}

document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault()
  decide(true)
})
$('no').addEventListener('click', () => decide(false))
