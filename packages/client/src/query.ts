import type { Collection } from './collection'
import { failure } from './errors'
import { field, quote, type FilterValue } from './filter'
import type { Expanded, ExpandPath, FieldPath, Names, Row, Selected } from './types'

/** Whom a value is compared with. */
type Value<R, F extends string> = F extends keyof R ? (R[F] extends readonly (infer One)[] ? One | FilterValue : R[F] | FilterValue) : FilterValue

type Split<T extends string> = T extends `${infer Head},${infer Tail}` ? Head | Split<Tail> : T

/**
 * A query in the form that developers know from elsewhere. It is sent when it is
 * awaited, and answers an array of records:
 *
 * ```ts
 * const posts = await pb.from('posts').select('id,title').eq('status', 'published').order('-created').limit(20)
 * ```
 */
export class Query<S, K extends Names<S>, R = Row<S, K>> implements PromiseLike<R[]> {
  private _options: Record<string, any> = {}
  private _size = 0
  private _page = 1

  constructor(private _records: Collection<S, K>) {}

  /** The fields to answer, with commas; all by default. */
  select<const F extends string>(fields: F): Query<S, K, Selected<R, F>> {
    this._options.fields = fields
    return this as any
  }

  /** The relations to answer with each record, with commas. */
  expand<const P extends ExpandPath<S, K>>(paths: P): Query<S, K, string extends keyof S ? R : Expanded<S, K, Split<P>>> {
    this._options.expand = paths
    return this as any
  }

  eq<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '=', value)
  }
  neq<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '!=', value)
  }
  gt<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '>', value)
  }
  gte<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '>=', value)
  }
  lt<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '<', value)
  }
  lte<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '<=', value)
  }
  /** Text that contains the value, or matches it where it has `%`; letter case does not count. */
  like<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name, '~', value)
  }
  /** A field with many values, such as a relation, that has this one among them. */
  contains<const F extends FieldPath<Row<S, K>>>(name: F, value: Value<Row<S, K>, F>): this {
    return this._compare(name + ':each', '?=', value)
  }
  /** Null stands for empty: is('published', null). */
  is(name: FieldPath<Row<S, K>>, value: boolean | null): this {
    return this._compare(name, '=', value ?? '')
  }

  /** One of the values; none of them finds nothing. */
  in<const F extends FieldPath<Row<S, K>>>(name: F, values: readonly Value<Row<S, K>, F>[]): this {
    return this.filter(values.map((value) => field(name) + '=' + quote(value as FilterValue)).join('||') || 'id=""')
  }

  /** A filter in PocketBase's language; escape values with the `filter` tag. */
  filter(expression: string): this {
    return this._add('filter', '&&', `(${expression})`)
  }

  /** By a field, with `-` in front for the other way. Each call adds one. */
  order(name: FieldPath<Row<S, K>> | `-${string}`, { ascending = true } = {}): this {
    return this._add('sort', ',', (ascending ? '' : '-') + name)
  }

  /** At most so many records, up to 1000; without it all are answered. */
  limit(count: number): this {
    this._size = count
    return this
  }

  /** The page with this number, from 1, of as many records as limit says (default 30). */
  page(number: number): this {
    this._page = number
    this._size ||= 30
    return this
  }

  /** The one record, or `not_found`. */
  single(): Promise<R> {
    return this._records.getFirstListItem('', this._options as any) as Promise<any>
  }

  /** The first record, or null. */
  async maybeSingle(): Promise<R | null> {
    return (await this.limit(1))[0] ?? null
  }

  /** How many records there are. */
  async count(): Promise<number> {
    return (await this._records.getList(1, 1, this._options)).totalItems
  }

  then<A = R[], B = never>(done?: ((records: R[]) => A | PromiseLike<A>) | null, failed?: ((error: any) => B | PromiseLike<B>) | null): Promise<A | B> {
    return this._run().then(done, failed)
  }

  private async _run(): Promise<R[]> {
    if (!this._size) return this._records.getFullList(this._options) as Promise<any>
    if (this._size > 1000) throw failure('invalid_query', 'limit > 1000')
    return (await this._records.getList(this._page, this._size, { ...this._options, skipTotal: true })).items as any
  }

  private _compare(name: string, operator: string, value: unknown): this {
    return this.filter(field(name) + operator + quote(value as FilterValue))
  }

  private _add(option: string, separator: string, text: string): this {
    const { [option]: before } = this._options
    this._options[option] = before ? before + separator + text : text
    return this
  }
}
