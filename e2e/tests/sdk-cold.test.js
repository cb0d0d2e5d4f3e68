// @picobase/client at projects that really sleep, behind the router, in Node and in a
// real browser.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { EventSource } from 'eventsource'
import * as picobase from '../../packages/client/dist/index.js'
import { launch, serveClient, skip } from '../browser.js'
import '../localhost.js'
import { ownerToken, Platform, tenants } from '../platform.js'
import { answers, binary, cleanEnv, freePort, until } from '../server.js'

Object.assign(globalThis, { picobase, EventSource }) // as pages have them

const idle = 4000 // longer than a refused client waits, or it finds the project asleep again

// A place has run(work, argument), for which work sees its argument and the global
// picobase alone, and keep, for what later runs get as their argument.
const places = {
  Node: {
    open: () => ({ run: async (work, argument) => work(argument), keep: async (work, argument) => work(argument), close() {} }),
  },
  'a browser': {
    skip,
    async open() {
      const [site, browser] = await Promise.all([serveClient(), launch()])
      const page = await browser.newPage()
      await page.goto(site.url)
      return {
        run: (work, argument) => page.evaluate(work, argument),
        keep: (work, argument) => page.evaluateHandle(work, argument),
        async close() {
          await browser.close()
          site.close()
        },
      }
    },
  },
}

describe('a project that sleeps', { concurrency: true }, () => {
  let platform, hasty, hastyPort
  let made = 0

  before(async () => {
    platform = await Platform.start({ args: ['--idle-after', `${idle}ms`], env: { PICOBASE_ROUTER_TOKEN: 'shared' } })
    // A router that gives up on a project before any could start.
    hastyPort = await freePort()
    const args = ['router', '--platform', `http://localhost:${platform.port}`, '--http', `127.0.0.1:${hastyPort}`, '--admin', '', '--wake-timeout', '1ms']
    hasty = spawn(binary, args, { env: cleanEnv({ PICOBASE_ROUTER_TOKEN: 'shared' }), stdio: 'ignore' })
    hasty.exited = new Promise((resolve) => hasty.on('exit', resolve))
    await until('the other router', () => answers(`http://app.localhost:${hastyPort}/api/v1/ready`))
  })
  after(async () => {
    hasty?.kill()
    await hasty?.exited
    await platform?.close()
  })

  /** Makes a project whose posts, one of them made already, everybody may read and write. */
  async function create() {
    const project = await platform.create(`cold-${++made}`)
    const fields = [{ name: 'title', type: 'text' }]
    const token = await ownerToken(platform, project)
    const collection = await platform.request(`${project.name}.localhost`, '/api/collections', {
      token, json: { name: 'posts', type: 'base', listRule: '', viewRule: '', createRule: '', fields },
    })
    assert.equal(collection.status, 200, collection.text)
    assert.equal((await write(project, 'old')).status, 200)
    return project
  }

  const write = (project, title) => platform.project(project, '/api/collections/posts/records', { json: { title } })

  async function titles(project) {
    const list = await platform.project(project, '/api/collections/posts/records?sort=title')
    return list.body.items.map((post) => post.title)
  }

  async function asleep(project) {
    await until('sleep', async () => (await platform.api(`/projects/${project.id}`)).body.status == 'asleep')
    assert.equal((await tenants(platform))[project.id], undefined, 'no process is left of it')
    return project
  }

  for (const [name, { open, skip = false }] of Object.entries(places)) describe(`wakes for the client in ${name}`, { skip, concurrency: true }, () => {
    let place
    before(async () => {
      place = await open()
    })
    after(() => place?.close())

    /** Makes a client there, and what it is told: { pb, waits, seen }. */
    const client = (project, port = platform.port) => place.keep(([url, key]) => {
      const waits = []
      return { pb: picobase.createClient(url, key, { onWaking: (waking) => waits.push(waking) }), waits, seen: [] }
    }, [`http://${project.name}.localhost:${port}`, project.keys.publishable])

    const calls = {
      async read(project, own) {
        assert.deepEqual(await place.run(async ({ pb }) => (await pb.collection('posts').getList()).items.map((post) => post.title), own), ['old'])
      },
      async create(project, own) {
        const id = await place.run(async ({ pb }) => (await pb.collection('posts').create({ title: 'once' })).id, own)
        assert.match(id, /^\w{15}$/)
        assert.deepEqual(await titles(project), ['old', 'once'])
      },
      async 'first subscription'(project, own) {
        await place.run(async ({ pb, seen }) => void (await pb.realtime.subscribe('posts', (change) => seen.push(change.record.title))), own)
        assert.equal((await write(project, 'live')).status, 200)
        await until('the change', () => place.run(({ seen }) => seen.join() == 'live', own))
        await place.run(({ pb }) => pb.realtime.unsubscribe(), own)
      },
    }
    for (const [kind, call] of Object.entries(calls)) {
      test(`a ${kind} is held until it is there`, async () => {
        const project = await asleep(await create())
        const own = await client(project)
        await call(project, own)
        assert.deepEqual(await place.run(({ waits }) => waits, own), [])
      })

      test(`a ${kind} that is refused since it takes too long is sent again`, async () => {
        const project = await asleep(await create())
        const own = await client(project, hastyPort)
        await call(project, own)
        const waits = await place.run(({ waits }) => waits, own)
        assert.equal(waits[0]?.attempt, 1, 'it was not refused')
        assert.ok(waits[0].delay >= 2000 && waits[0].delay <= 2500, `the router asks for two seconds: ${waits[0].delay}`)
      })
    }

    test('a session goes on, also where the first request is refused', async () => {
      const project = await create()
      const own = await client(project, hastyPort)
      await place.run(async ({ pb }) => void (await pb.auth.signUp('ada@example.com', 'correct horse')), own)
      await asleep(project)
      assert.equal(await place.run(async ({ pb }) => (await pb.auth.getUser())?.email, own), 'ada@example.com')
      assert.ok(await place.run(({ pb, waits }) => pb.auth.session && waits.length, own))
    })
  })
})
