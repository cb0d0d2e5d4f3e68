import type { FileOptions, RecordModel } from 'pocketbase'
import type { Transport } from './transport'

type Upload = File | Blob

/** The files of records. */
export class Storage {
  constructor(private _client: Transport) {}

  /**
   * Where a file is read. `thumb` asks for a smaller picture (`100x100`), `download`
   * makes browsers save it, `token` opens a protected one, see getToken.
   */
  getUrl(record: { id: string; [key: string]: any }, filename: string, options?: FileOptions & { token?: string }): string {
    return this._client.files.getURL(record, filename, options)
  }

  /** A token for protected files that the signed-in user may see. It lives for about three minutes. */
  getToken(): Promise<string> {
    return this._client.files.getToken()
  }

  /** Adds files to a field of a record, or replaces the file of a field that holds one. */
  upload<R = RecordModel>(collection: string, id: string, field: string, files: Upload | Upload[]): Promise<R> {
    // "field+" adds, where a field holds many.
    return this._client.collection(collection).update(id, { [Array.isArray(files) ? field + '+' : field]: files })
  }

  /** Removes files by their names. */
  remove<R = RecordModel>(collection: string, id: string, field: string, filenames: string | string[]): Promise<R> {
    return this._client.collection(collection).update(id, { [field + '-']: filenames })
  }
}
