/**
 * What only Node can do.
 *
 * @packageDocumentation
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

/**
 * A file on disk as a value for create and update. It is read into memory.
 *
 * ```ts
 * await pb.collection('posts').create({ title: 'Hello', cover: await fileFromPath('cover.png') })
 * ```
 */
export async function fileFromPath(path: string, options: { name?: string; type?: string } = {}): Promise<File> {
  const { name = basename(path), type } = options
  return new File([await readFile(path)], name, { type })
}
