// Shows a route with a parameter in its path and one in its query, for people who
// are signed in.
//
//   curl 'http://127.0.0.1:8090/hello/ann?shout=true' -H "X-API-Key: $KEY" -H "Authorization: $TOKEN"

const { slugify } = require(`${__hooks}/lib/text.js`)

routerAdd(
  'GET',
  '/hello/{name}',
  (e) => {
    const name = e.request.pathValue('name')
    const greeting = `Hello ${name}, said ${e.auth?.getString('email')}`
    const shout = e.request.url.query().get('shout') === 'true'
    return e.json(200, { greeting: shout ? greeting.toUpperCase() : greeting, slug: slugify(name) })
  },
  $apis.requireAuth(),
)
