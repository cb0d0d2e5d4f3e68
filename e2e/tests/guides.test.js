// docs/guides/migrate-from-supabase.md names calls of the client: each is one that compiles.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const root = path.resolve(import.meta.dirname, '../..')
const client = path.join(root, 'packages/client')

const prelude = `
import { createClient, filter } from '@picobase/client'
import { createServerClient, type CookieJar } from '@picobase/client/ssr'

interface Post { id: string; title: string; status: 'draft' | 'live'; published: boolean; published_at: string; views: number; tags: string[]; cover: string; author: string; created: string }
interface User { id: string; email: string; name: string }
interface Schema {
  posts: { Row: Post; Insert: Partial<Omit<Post, 'cover' | 'author' | 'title' | 'status'>> & { title: string; status: 'draft' | 'live'; author: string; cover?: File }; Update: Partial<Omit<Post, 'cover'>> & { cover?: File }; Expand: { author: 'users' }; type: 'base' }
  users: { Row: User; Insert: { email: string; name?: string; password: string; passwordConfirm: string }; Update: Partial<User>; Expand: {}; type: 'auth' }
}
declare const [url, publishableKey, secretKey, email, password, id, title, name, code, otpId, token]: string[]
declare const status: 'draft' | 'live'
declare const file: File
declare const post: Post & { expand?: { author?: User } }
declare const signal: AbortSignal
declare const cookies: CookieJar
const pb = createClient<Schema>()
`

test('the calls in the guide for Supabase compile', async () => {
  const guide = await readFile(path.join(root, 'docs/guides/migrate-from-supabase.md'), 'utf8')
  const calls = guide.split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .flatMap((line) => [...line.split(/(?<!\\)\|/)[2].matchAll(/(`+)(.+?)\1(?!`)/g)].map(([, , code]) => code.replaceAll('\\|', '|')))
    .filter((code) => /^(await )?(pb\.|create(Server)?Client<)/.test(code))
  assert.ok(calls.length > 50, `found only ${calls.length} calls`)

  const dir = await mkdtemp(path.join(tmpdir(), 'picobase-guides-'))
  try {
    await writeFile(path.join(dir, 'guide.ts'), prelude + calls.map((code) => `void (async () => { ${code} })`).join('\n') + '\nexport {}\n')
    await writeFile(path.join(dir, 'tsconfig.json'), JSON.stringify({
      compilerOptions: {
        strict: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'], types: [],
        paths: {
          '@picobase/client': [path.join(client, 'dist/index.d.ts')], '@picobase/client/ssr': [path.join(client, 'dist/ssr.d.ts')],
          pocketbase: [path.join(client, 'node_modules/pocketbase/dist/pocketbase.es.d.mts')],
        },
      },
    }))
    await promisify(execFile)(path.join(client, 'node_modules/.bin/tsc'), ['-p', dir]).catch(({ stdout }) => assert.fail(stdout))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
