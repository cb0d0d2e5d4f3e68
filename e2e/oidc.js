// An OpenID Connect provider that lets everybody in.

import { createServer } from 'node:http'

/** Starts a provider; it signs in `person`, at the moment that the token is asked for. */
export async function startProvider(person = { sub: '1', email: 'oauth@example.com', email_verified: true, name: 'Olga' }) {
  const requests = []
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://provider')
    let body = ''
    for await (const chunk of request) body += chunk
    requests.push({ path: url.pathname, query: Object.fromEntries(url.searchParams), body })
    if (url.pathname == '/authorize') {
      const back = new URL(url.searchParams.get('redirect_uri'))
      back.searchParams.set('code', 'code-of-the-provider')
      back.searchParams.set('state', url.searchParams.get('state'))
      return response.writeHead(302, { Location: back.href }).end()
    }
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(url.pathname == '/token' ? { access_token: 'token-of-the-provider', token_type: 'Bearer' } : person))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  return {
    url,
    requests,
    /** The provider as a collection's oauth2 settings have it. */
    settings: {
      enabled: true,
      mappedFields: { name: 'name' },
      providers: [{ name: 'oidc', clientId: 'id', clientSecret: 'secret', authURL: url + '/authorize', tokenURL: url + '/token', userInfoURL: url + '/userinfo', pkce: true }],
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
