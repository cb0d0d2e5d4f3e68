import { failure } from './errors'

/** What can stand as a value in a filter. */
export type FilterValue = string | number | boolean | Date | null | undefined

/**
 * Builds a filter; what is put in between is escaped as a value.
 *
 * ```ts
 * pb.collection('posts').getList(1, 20, { filter: filter`title ~ ${search} && created > ${since}` })
 * ```
 */
export function filter(strings: TemplateStringsArray, ...values: FilterValue[]): string {
  return strings.reduce((text, part, i) => text + quote(values[i - 1]) + part)
}

/** Writes a value as PocketBase's filters read it. */
export const quote = (value: FilterValue): string =>
  value == null
    ? 'null'
    : value instanceof Date
      ? quote(value.toISOString().replace('T', ' '))
      : typeof value == 'string'
        ? '"' + value.replace(/[\\"]/g, '\\$&') + '"'
        : value + ''

/** Lets names of fields pass, and nothing that would end one. */
export function field(name: string): string {
  if (!/^[@\w][\w.:]*$/.test(name)) throw failure('invalid_query', name + ' is no field')
  return name
}
