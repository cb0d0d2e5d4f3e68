// Compiled, never run: what the types must allow and refuse.

import { createClient, type Row, type Untyped } from '@picobase/client'

interface Schema {
  users: {
    Row: { id: string; collectionId: string; collectionName: 'users'; email: string; name: string; verified: boolean }
    Insert: { id?: string; email?: string; name?: string; password: string; passwordConfirm: string }
    Update: { name?: string }
    Expand: { posts_via_author: 'posts'[] }
    type: 'auth'
  }
  posts: {
    Row: { id: string; title: string; status: 'draft' | 'published'; n: number; author: string; tags: string[]; cover: string }
    Insert: { id?: string; title: string; status?: 'draft' | 'published' | ''; n?: number; author?: string; tags?: string[]; cover?: File | Blob | '' }
    Update: { title?: string; status?: 'draft' | 'published' | ''; 'n+'?: number; 'tags+'?: string | string[] }
    Expand: { author: 'users'; tags: 'tags'[] }
    type: 'base'
  }
  tags: { Row: { id: string; label: string }; Insert: { label: string }; Update: { label?: string }; Expand: {}; type: 'base' }
  stats: { Row: { id: string; total: number }; Expand: {}; type: 'view' }
}

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T | void => undefined

export async function typed() {
  const pb = createClient<Schema>('http://localhost', 'pbk_pub_')
  const posts = pb.collection('posts')

  const plain = await posts.getOne('x')
  is<Equal<typeof plain, Row<Schema, 'posts'>>>()
  is<Equal<typeof plain.status, 'draft' | 'published'>>()

  const expanded = await posts.getOne('x', { expand: 'author, tags' })
  is<Equal<NonNullable<NonNullable<typeof expanded.expand>['author']>['email'], string>>()
  const labels = expanded.expand?.tags?.map((tag) => tag.label)
  is<Equal<typeof labels, string[] | undefined>>()
  // @ts-expect-error what is not expanded is not there
  plain.expand

  const deep = await pb.collection('users').getList(1, 1, { expand: 'posts_via_author.tags' })
  const label = deep.items[0]?.expand?.posts_via_author?.[0]?.expand?.tags?.[0]?.label
  is<Equal<typeof label, string | undefined>>()

  await posts.create({ title: 'x', status: 'draft', cover: new File([], 'x') })
  await posts.update('x', { 'n+': 1, 'tags+': 'y' })
  // @ts-expect-error title is required
  await posts.create({ status: 'draft' })
  // @ts-expect-error no such status
  await posts.create({ title: 'x', status: 'gone' })
  // @ts-expect-error a view cannot be written
  await pb.collection('stats').create({ total: 1 })
  // @ts-expect-error no such collection
  pb.collection('nowhere')

  const picked = await pb.from('posts').select('id,title').eq('status', 'published').order('-n').limit(20)
  is<Equal<(typeof picked)[number], { id: string; title: string }>>()
  // @ts-expect-error status is not one of its values
  pb.from('posts').eq('n', { many: true })
  const one = await pb.from('posts').expand('author').single()
  is<Equal<NonNullable<NonNullable<typeof one.expand>['author']>['name'], string>>()
  await pb.from('posts').eq('author.name', 'Ada').contains('tags', 'x')

  const { user } = await pb.auth.signIn('a', 'b')
  is<Equal<typeof user.email, string>>()
  await pb.auth.signUp('a', 'b', { name: 'Ada' })
  await posts.subscribe('*', (change) => change.record.title.length)
  const batch = pb.batch()
  batch.collection('posts').create({ title: 'x' })
  // @ts-expect-error title is required
  batch.collection('posts').create({})
}

export async function untyped() {
  const pb = createClient()
  const record = await pb.collection('anything').getOne('x', { expand: 'a' })
  is<Equal<typeof record.collectionName, string>>()
  await pb.collection('anything').create({ whatever: 1 })
  const rows = await pb.from('anything').select('id').eq('x', 1)
  is<Equal<(typeof rows)[number]['id'], string>>()
  const answer = await pb.rpc<{ ok: boolean }>('/hello')
  is<Equal<typeof answer.ok, boolean>>()
  const row = {} as Row<Untyped, 'x'>
  is<Equal<typeof row.id, string>>()
}
