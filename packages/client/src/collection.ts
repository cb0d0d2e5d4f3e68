import { RecordService, type ListResult, type RecordFullListOptions, type RecordListOptions, type RecordOptions, type RecordSubscribeOptions, type RecordSubscription, type UnsubscribeFunc } from 'pocketbase'
import { wrap, type PicoBaseError } from './errors'
import { quote } from './filter'
import type { ExpandPath, Insert, Names, Result, Row, Update } from './types'

/** Options with `expand` in the schema's words. */
export type Typed<O, S, K extends keyof S> = Omit<O, 'expand'> & { expand?: ExpandPath<S, K> }

/** The records of one collection: PocketBase's service, typed. */
export interface Collection<S, K extends Names<S>> {
  /** One page, from 1. With `skipTotal` the totals are -1 and the answer is quicker. */
  getList<const O extends Typed<RecordListOptions, S, K> = {}>(page?: number, perPage?: number, options?: O): Promise<ListResult<Result<S, K, O>>>
  getOne<const O extends Typed<RecordOptions, S, K> = {}>(id: string, options?: O): Promise<Result<S, K, O>>
  /** The first record that a filter finds; throws `not_found` without one. */
  getFirstListItem<const O extends Typed<RecordListOptions, S, K> = {}>(filter: string, options?: O): Promise<Result<S, K, O>>
  /**
   * All records. None is left out or doubled when others are created and deleted
   * meanwhile: each page begins after the last record of the one before, as far as
   * the sort order is by the record's own fields.
   */
  getFullList<const O extends Typed<RecordFullListOptions, S, K> = {}>(options?: O): Promise<Result<S, K, O>[]>
  /** Files are `File` or `Blob` values of the data, or use a FormData. */
  create<const O extends Typed<RecordOptions, S, K> = {}>(data: Insert<S, K> | FormData, options?: O): Promise<Result<S, K, O>>
  update<const O extends Typed<RecordOptions, S, K> = {}>(id: string, data: Update<S, K> | FormData, options?: O): Promise<Result<S, K, O>>
  delete(id: string, options?: RecordOptions): Promise<boolean>
  /** Updates the record with the id in the data, or creates it. Without an id it creates one. */
  upsert<const O extends Typed<RecordOptions, S, K> = {}>(data: Insert<S, K>, options?: O): Promise<Result<S, K, O>>
  /** Calls back for each change of the records that the topic names: `*` for all, or an id. */
  subscribe(topic: string, callback: (change: RecordSubscription<Row<S, K>>) => void, options?: RecordSubscribeOptions): Promise<UnsubscribeFunc>
  unsubscribe(topic?: string): Promise<void>
}

/** What Collection adds to PocketBase's service. */
export class Records extends RecordService<any> {
  override async getFullList(options: any = {}): Promise<any[]> {
    const { batch = 1000, sort, filter, ...rest } = options
    const keys: string[] = sort ? [...sort.split(','), 'id'] : ['id']
    // By position, where the order is by what records do not show.
    if (rest.fields || !keys.every((key) => /^-?\w+$/.test(key))) return super.getFullList(options)
    const found: any[] = []
    if (!sort) {
      const { items } = await this.getList(1, batch, { ...options, skipTotal: true })
      if (items.length < batch) return items
    }
    for (let after = ''; ; ) {
      const { items } = await this.getList(1, batch, {
        ...rest,
        skipTotal: true,
        sort: keys.join(),
        filter: filter && after ? `(${filter})&&${after}` : filter || after,
      })
      found.push(...items)
      if (items.length < batch) return found
      // (a>1||a=1&&(b>2||b=2&&…))
      after = keys.reduceRight((rest, key) => {
        const name = key.replace('-', '')
        const value = quote(items.at(-1)[name])
        return `(${name}${name == key ? '>' : '<'}${value}${rest && `||${name}=${value}&&${rest}`})`
      }, '')
    }
  }

  // Here PocketBase's service throws errors of its own, without a request.
  override getFirstListItem(filter: string, options?: any): Promise<any> {
    return super.getFirstListItem(filter, { requestKey: null, ...options }).catch(wrap)
  }

  override getOne(id: string, options?: any): Promise<any> {
    return super.getOne(id, options).catch(wrap)
  }

  async upsert({ id, ...data }: any, options?: any): Promise<any> {
    try {
      if (id) return await this.update(id, data, options)
    } catch (error) {
      if ((error as PicoBaseError).status != 404) throw error
    }
    return this.create(id ? { id, ...data } : data, options)
  }
}
