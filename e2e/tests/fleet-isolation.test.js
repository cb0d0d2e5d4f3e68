// Two real projects behind one real router: whatever is done with what belongs to
// one, nothing of it reaches the other.

import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, describe, test } from 'node:test'
import { ownerToken, Platform } from '../platform.js'
import { password, until } from '../server.js'

const person = { email: 'ann@example.com', password, passwordConfirm: password }

let platform, a, b

/** A project with a note of everybody's, one of its people's, a protected file and a person. */
async function fill(project) {
  const token = await ownerToken(platform, project)
  const ask = async (pathname, options) => {
    const answer = await platform.request(`${project.name}.localhost`, pathname, { token, ...options })
    assert.ok(answer.status < 300, answer.text)
    return answer.body
  }
  await ask('/api/collections', { json: { name: 'notes', type: 'base', listRule: '', createRule: '', fields: [{ name: 'text', type: 'text' }] } })
  await ask('/api/collections', {
    json: { name: 'secrets', type: 'base', listRule: "@request.auth.id != ''", viewRule: "@request.auth.id != ''", fields: [{ name: 'file', type: 'file', protected: true }] },
  })
  await ask('/api/v1/settings', { method: 'PATCH', json: { rateLimits: { enabled: false } } })
  await ask('/api/collections/notes/records', { json: { text: project.name } })
  await ask('/api/collections/users/records', { json: person })
  await ask('/api/collections/_superusers/records', { json: person })
  const boundary = 'xxxx'
  const form = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="s.txt"\r\nContent-Type: text/plain\r\n\r\nsecret of ${project.name}\r\n--${boundary}--\r\n`
  const file = await upload(project, token, form, boundary)
  const user = await ask('/api/collections/users/auth-with-password', { json: { identity: person.email, password } })
  const root = await ask('/api/collections/_superusers/auth-with-password', { json: { identity: person.email, password } })
  const { token: fileToken } = await ask('/api/files/token', { method: 'POST', token: user.token, key: project.keys.publishable })
  return { ...project, file, user: user.token, root: root.token, fileToken, owner: token }
}

async function upload(project, token, form, boundary) {
  const answer = await raw(
    `POST /api/collections/secrets/records HTTP/1.1\r\nHost: ${project.name}.localhost\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n` +
      `Content-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: ${form.length}\r\n\r\n${form}`,
  )
  const record = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
  assert.ok(record.file, answer)
  return `/api/files/secrets/${record.id}/${record.file}`
}

/** Sends bytes on one connection and returns all that comes back until it ends, or is silent for a while. */
function raw(bytes) {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect(platform.port, '127.0.0.1', () => socket.write(bytes))
    socket.setTimeout(1500, () => socket.destroy())
    socket.setEncoding('latin1').on('data', (part) => (text += part)).on('error', reject).on('close', () => resolve(text))
  })
}

const ask = (project, pathname, options) => platform.request(`${project.name}.localhost`, pathname, options)

/** The paths that a project was asked for. */
async function seen(project, marker) {
  return JSON.stringify((await ask(project, `/api/v1/logs?perPage=500`, { token: await ownerToken(platform, project) })).body).includes(marker)
}

before(async () => {
  platform = await Platform.start()
  const [one, two] = [await platform.create('aa'), await platform.create('bb')]
  a = await fill(one)
  b = await fill(two)
})
after(() => platform?.close())

describe('what belongs to one project', () => {
  test('is good there', async () => {
    const own = { key: a.keys.publishable, token: a.user }
    assert.equal((await ask(a, '/api/collections/notes/records', own)).body.items[0].text, 'aa')
    assert.equal((await ask(a, '/api/collections/secrets/records', own)).body.totalItems, 1)
    assert.equal((await ask(a, `${a.file}?token=${a.fileToken}`, own)).text, 'secret of aa')
    assert.equal((await ask(a, '/api/collections/_superusers/auth-refresh', { method: 'POST', token: a.root, key: a.keys.publishable })).status, 200)
  })

  test('keys are unknown to another', async () => {
    for (const key of Object.values(a.keys)) {
      for (const options of [{ key }, { headers: { apikey: key } }, { headers: { Authorization: `Bearer ${key}` } }]) {
        const answer = await ask(b, '/api/collections/notes/records', options)
        assert.ok(answer.status === 401, `${JSON.stringify(options)}: ${answer.text}`)
      }
    }
  })

  test('people and superusers are strangers to another', async () => {
    // The two projects have the same people, with the same passwords.
    for (const [token, collection] of [[a.user, 'users'], [a.root, '_superusers']]) {
      for (const headers of [{ Authorization: token }, { Authorization: `Bearer ${token}` }, { Cookie: `pb_auth=${token}; token=${token}` }]) {
        const options = { key: b.keys.publishable, headers }
        const list = await ask(b, '/api/collections/secrets/records', options)
        assert.ok(list.status >= 400 || list.body.totalItems === 0, list.text)
        assert.equal((await ask(b, `/api/collections/${collection}/auth-refresh`, { ...options, method: 'POST' })).status, 401)
        assert.ok((await ask(b, '/api/v1/settings', options)).status >= 401)
        assert.ok((await ask(b, '/api/collections', options)).status >= 401)
      }
    }
  })

  test('tokens of the platform and of files open no other', async () => {
    for (const token of [a.owner, platform.first.token]) {
      assert.equal((await ask(b, '/api/v1/settings', { token })).status, 401)
      const list = await ask(b, '/api/collections/secrets/records', { token, key: b.keys.publishable })
      assert.ok(list.status >= 400 || list.body.totalItems === 0, list.text)
    }
    assert.equal((await ask(b, `${b.file}?token=${b.fileToken}`, { key: b.keys.publishable })).text, 'secret of bb')
    assert.equal((await ask(b, `${b.file}?token=${a.fileToken}`, { key: b.keys.publishable })).status, 404)
    assert.equal((await ask(b, b.file, { key: b.keys.publishable })).status, 404)
    assert.equal((await ask(a, b.file, { key: a.keys.publishable })).status, 404)
  })
})

describe('a request for one project', () => {
  const head = (first, host, more = '') => `${first} HTTP/1.1\r\n${host}\r\nX-API-Key: ${a.keys.publishable}\r\n${more}`
  const notes = '/api/collections/notes/records'
  const close = 'Connection: close\r\n\r\n'
  const smuggled = `GET ${notes}?smuggled=1 HTTP/1.1\r\nHost: bb.localhost\r\nX-API-Key: KEY_OF_B\r\n\r\n`
  const own = 'Host: aa.localhost'

  // What is sent, and who answers: aa, or a status. {path} is the marked path.
  const cases = {
    case: () => [head('GET {path}', 'Host: AA.LocalHost', close), 'aa'],
    'trailing dot': () => [head('GET {path}', 'Host: aa.localhost.', close), 'aa'],
    port: () => [head('GET {path}', 'Host: aa.localhost:1', close), 'aa'],
    'absolute form': () => [head('GET http://aa.localhost{path}', 'Host: bb.localhost', close), 'aa'],
    'absolute form with a user': () => [head('GET http://bb.localhost@aa.localhost{path}', 'Host: bb.localhost', close), 'aa'],
    'two slashes': () => [head('GET //bb.localhost{path}', own, close), 307],
    'two hosts': () => [head('GET {path}', own, `Host: bb.localhost\r\n${close}`), 400],
    'X-Forwarded-Host': () => [head('GET {path}', own, `X-Forwarded-Host: bb.localhost\r\n${close}`), 'aa'],
    'X-PicoBase-Project': () => [head('GET {path}', own, `X-PicoBase-Project: ${b.id}\r\nX-PicoBase-Project: bb\r\n${close}`), 'aa'],
    'Forwarded and its kind': () => [head('GET {path}', own, `Forwarded: host=bb.localhost\r\nX-Host: bb.localhost\r\nX-Original-URL: http://bb.localhost/\r\n${close}`), 'aa'],
    'another punycode': () => [head('GET {path}', 'Host: xn--bb-.localhost', close), 404],
    'letters that look alike': () => [head('GET {path}', 'Host: \u00ef\u00bd\u0082b.localhost', close), 400],
    'a name in a name': () => [head('GET {path}', 'Host: aa.localhost@bb.localhost', close), 400],
    'two names': () => [head('GET {path}', 'Host: aa.localhost, bb.localhost', close), 400],
    'CL.TE': () => [head('POST {path}', own, 'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + smuggled), null],
    'TE.CL': () => [head('POST {path}', own, `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`), null],
    'TE.TE': () => [head('POST {path}', own, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n' + smuggled), 501],
    'two lengths': () => [head('POST {path}', own, `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n` + smuggled), 400],
    'a chunk of a bad size': () => [head('POST {path}', own, 'Transfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n' + smuggled), null],
    'a chunk longer than said': () => [head('POST {path}', own, 'Transfer-Encoding: chunked\r\n\r\n1\r\nABC\r\n0\r\n\r\n' + smuggled), null],
    'a body that is a request': () => [head('POST {path}', own, `Content-Type: text/plain\r\nContent-Length: ${smuggled.length}\r\n${close}` + smuggled), null],
    'a line break in the path': () => [head('GET {path}&x=%0d%0aHost:%20bb.localhost%0d%0a', own, close), 'aa'],
    'a line break in a header': () => [head('GET {path}', own, `X-A: a\rHost: bb.localhost\r\n${close}`), 400],
    'a NUL in the host': () => [head('GET {path}', 'Host: aa.localhost\0bb.localhost', close), 400],
  }

  test('is answered by it or refused, however it is written', async () => {
    await Promise.all(
      Object.entries(cases).map(async ([name, build], i) => {
        const [bytes, want] = build()
        const answer = await raw(bytes.replace('{path}', `${notes}?marked=${i}`))
        assert.ok(!answer.includes('"bb"'), `${name}: the other project answered: ${answer}`)
        assert.match(answer, /^HTTP\/1\.1 \d{3} /, name)
        if (want === 'aa') assert.match(answer, /"text":"aa"/, `${name}: ${answer}`)
        else if (want) assert.match(answer, new RegExp(`^HTTP/1\\.1 ${want} `), `${name}: ${answer}`)
        else assert.doesNotMatch(answer, /^HTTP\/1\.1 5/, `${name}: ${answer}`)
      }),
    )
    // Logs are written in the background: a last request of each tells that all is there.
    for (const project of [a, b]) {
      await ask(project, `${notes}?last=1`, { key: project.keys.publishable })
      await until('the logs', () => seen(project, 'last=1'))
    }
    assert.ok(await seen(a, 'marked=0'), 'logs have the queries')
    assert.ok(!(await seen(b, 'marked=')), 'a request for aa reached bb')
    // In a body it is aa's business, and no request to anybody.
    assert.ok(!(await seen(b, 'smuggled=')), 'a part of a request reached bb')
    assert.ok(!(await seen(a, 'smuggled=')), 'a part of a request became another one')
  })
})
