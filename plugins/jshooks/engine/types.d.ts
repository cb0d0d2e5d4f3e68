// What hooks find, for editors: completion, documentation and checks.
//
//   picobase hooks types --output hooks/types.d.ts
//
// An editor takes it up by itself when it is in the folder of the hooks. With this jsconfig.json beside it, it
// checks them too, and leaves out what only browsers have:
//
//   { "compilerOptions": { "checkJs": true, "strict": true, "lib": ["es2021"], "types": [] } }

/** The folder of the hooks, for require(`${__hooks}/lib.js`). */
declare const __hooks: string
declare const __filename: string
declare const __dirname: string
declare const module: { exports: any }
declare const exports: any

/** Loads a file of the bundle: a module, or JSON. */
declare function require(path: string): any

declare namespace core {
  type Data = { [key: string]: unknown }
  type CollectionLike = string | Collection
  type Address = { address: string; name: string }
  type AddressLike = string | { address: string; name?: string }
  type CollectionField = { id: string; name: string; type: string; system: boolean; hidden: boolean }
  type MiddlewareLike = Middleware | ((e: RequestEvent) => unknown)
  type CookieData = {
    name: string
    value: string
    path?: string
    domain?: string
    maxAge?: number
    secure?: boolean
    httpOnly?: boolean
    sameSite?: number
  }
  type HTTPRequest = {
    url: string
    method?: string
    /** A text, bytes, a FormData, or data that is sent as JSON. */
    body?: unknown
    headers?: { [name: string]: string }
    /** In seconds. The time of the call ends it too. */
    timeout?: number
    /** @deprecated Use body. */
    data?: Data
  }
  type HTTPResponse = {
    statusCode: number
    headers: { [name: string]: string[] }
    cookies: { [name: string]: { name: string; value: string; path: string; domain: string } }
    /** The body as text. */
    raw: string
    /** The body as bytes; those of a large one are an ArrayBuffer. */
    body: number[] | ArrayBuffer
    /** The body as JSON, or null. */
    json: any
  }

  /** An error that clients are told. */
  interface ApiError extends Error {
    readonly status: number
    readonly data: any
  }

  /** The project: its records, collections and mails. In a transaction, all of it happens in that. */
  interface App {
    /** A record by its id. Throws when there is none. */
    findRecordById(collection: CollectionLike, id: string): Record
    /** The records with these ids that there are, in no certain order. */
    findRecordsByIds(collection: CollectionLike, ids: string[]): Record[]
    /** All records that meet all expressions, 10000 at most. */
    findAllRecords(collection: CollectionLike, ...expressions: Expression[]): Record[]
    /** The first record whose field has this value. Throws when there is none. */
    findFirstRecordByData(collection: CollectionLike, field: string, value: unknown): Record
    /** The first record that meets a filter. Bind what users wrote: `title = {:title}` and `{ title }`. Throws when there is none. */
    findFirstRecordByFilter(collection: CollectionLike, filter: string, params?: Data): Record
    /** Records that meet a filter, sorted like `-created,title`. Without a limit 10000 at most. */
    findRecordsByFilter(collection: CollectionLike, filter: string, sort?: string, limit?: number, offset?: number, params?: Data): Record[]
    /** How many records meet all expressions. */
    countRecords(collection: CollectionLike, ...expressions: Expression[]): number
    findAuthRecordByEmail(collection: CollectionLike, email: string): Record
    /** The user of a token; types are such as `auth` or `verification`. Throws for tokens of superusers. */
    findAuthRecordByToken(token: string, ...types: string[]): Record
    findCollectionByNameOrId(nameOrId: string): Collection
    findCachedCollectionByNameOrId(nameOrId: string): Collection
    /** All collections but those of the system; types are base, auth and view. */
    findAllCollections(...types: string[]): Collection[]
    /** Validates and stores a record, new or changed. Its hooks run. */
    save(record: Record): void
    /** Stores a record without validating it. */
    saveNoValidate(record: Record): void
    delete(record: Record): void
    /** Throws what is wrong with a record. */
    validate(record: Record): void
    /** Runs a function in a transaction, which is rolled back when it throws. Use the app that it is given, or $app. */
    runInTransaction(fn: (txApp: App) => void): void
    /** Loads relations into a record; answers what failed, by relation. */
    expandRecord(record: Record, relations: string[], fetch?: null): { [relation: string]: string }
    expandRecords(records: Record[], relations: string[], fetch?: null): { [relation: string]: string }
    /** Whether a request may see a record, by a rule of its collection: null is for superusers only. */
    canAccessRecord(record: Record, info: RequestInfo, rule: string | null): boolean
    isTransactional(): boolean
    isDev(): boolean
    /** Writes to the hook log, with attributes. */
    logger(): Logger
    /** Queries in SQL: SELECT only, no system tables, and no star where users are. */
    db(): DB
    /** A query for the records of a collection. */
    recordQuery(collection: CollectionLike): Query
    settings(): Settings
    newMailClient(): MailClient
    /** @deprecated Not available in hooks. */
    readonly rootCmd: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly deleteTable: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly deleteView: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly importCollections: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly importCollectionsByMarshaledJSON: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly reloadCachedCollections: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly saveView: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly syncRecordTableSchema: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly truncateCollection: never
    /** @deprecated Not available in hooks. Keep state in a collection. */
    readonly dataDir: never
    /** @deprecated Not available in hooks. Keep state in a collection. */
    readonly newBackupsFilesystem: never
    /** @deprecated Not available in hooks. Keep state in a collection. */
    readonly newFilesystem: never
    /** @deprecated Not available in hooks. Keep state in a collection. */
    readonly store: never
    /** @deprecated Not available in hooks. Logs are in the dashboard; what hooks log is at /api/v1/hooks/logs. */
    readonly deleteOldLogs: never
    /** @deprecated Not available in hooks. Logs are in the dashboard; what hooks log is at /api/v1/hooks/logs. */
    readonly findLogById: never
    /** @deprecated Not available in hooks. Logs are in the dashboard; what hooks log is at /api/v1/hooks/logs. */
    readonly logQuery: never
    /** @deprecated Not available in hooks. Logs are in the dashboard; what hooks log is at /api/v1/hooks/logs. */
    readonly logsStats: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly auxVacuum: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly bootstrap: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly createBackup: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly encryptionEnv: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly reloadSettings: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly resetBootstrapState: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly restart: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly restoreBackup: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly runAllMigrations: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly runAppMigrations: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly runSystemMigrations: never
    /** @deprecated Not available in hooks. Only the operator of the server can do that. */
    readonly vacuum: never
    /** @deprecated Not available in hooks. Save a record in a collection: all who subscribed to it hear of that. */
    readonly subscriptionsBroker: never
    /** @deprecated Not available in hooks. Save records with $app.save(). */
    readonly auxDelete: never
    /** @deprecated Not available in hooks. Save records with $app.save(). */
    readonly auxSave: never
    /** @deprecated Not available in hooks. Save records with $app.save(). */
    readonly deleteWithContext: never
    /** @deprecated Not available in hooks. Save records with $app.save(). */
    readonly saveWithContext: never
    /** @deprecated Not available in hooks. Save records with $app.save(). */
    readonly unsafeWithoutHooks: never
    /** @deprecated Not available in hooks. System collections aren't available in hooks. */
    readonly findAllAuthOriginsByRecord: never
    /** @deprecated Not available in hooks. System collections aren't available in hooks. */
    readonly findAllExternalAuthsByRecord: never
    /** @deprecated Not available in hooks. System collections aren't available in hooks. */
    readonly findAllMFAsByRecord: never
    /** @deprecated Not available in hooks. System collections aren't available in hooks. */
    readonly findAllOTPsByRecord: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly auxConcurrentDB: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly auxDB: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly auxModelQuery: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly auxNonconcurrentDB: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly auxRunInTransaction: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly concurrentDB: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly modelQuery: never
    /** @deprecated Not available in hooks. Use $app.db() or $app.recordQuery(). */
    readonly nonconcurrentDB: never
    /** @deprecated Not available in hooks. Use $app.findAllCollections(). */
    readonly collectionQuery: never
    /** @deprecated Not available in hooks. Use the on* hooks, and cronAdd(). */
    readonly cron: never
    /** @deprecated Not available in hooks. Use the on* hooks, and cronAdd(). */
    readonly onBootstrap: never
    /** @deprecated Not available in hooks. Use the on* hooks, and cronAdd(). */
    readonly onServe: never
  }

  /** Queries in SQL. */
  interface DB {
    /** One SELECT. Bind what users wrote: `id = {:id}` and `.bind({ id })`. */
    newQuery(sql: string): Query
    select(...columns: string[]): Query
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly addColumn: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly alterColumn: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly createIndex: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly createTable: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly delete: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly dropColumn: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly dropIndex: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly dropTable: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly insert: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly model: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly renameColumn: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly renameTable: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly truncateTable: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly update: never
    /** @deprecated Not available in hooks. Change records with $app.save() and $app.delete(). */
    readonly upsert: never
    /** @deprecated Not available in hooks. Use $app.runInTransaction(). */
    readonly begin: never
    /** @deprecated Not available in hooks. Use $app.runInTransaction(). */
    readonly db: never
    /** @deprecated Not available in hooks. Use $app.runInTransaction(). */
    readonly exec: never
    /** @deprecated Not available in hooks. Use $app.runInTransaction(). */
    readonly quote: never
    /** @deprecated Not available in hooks. Use $app.runInTransaction(). */
    readonly transactional: never
    /** @deprecated Not available in hooks. Use $app.runInTransaction(). */
    readonly wrap: never
  }

  /** A query, and what runs it. The methods that build it are for select() and recordQuery(). */
  interface Query {
    select(...columns: string[]): Query
    andSelect(...columns: string[]): Query
    distinct(on: boolean): Query
    from(...tables: string[]): Query
    where(expression: Expression): Query
    andWhere(expression: Expression): Query
    orWhere(expression: Expression): Query
    join(kind: string, table: string, on: Expression): Query
    innerJoin(table: string, on: Expression): Query
    leftJoin(table: string, on: Expression): Query
    rightJoin(table: string, on: Expression): Query
    orderBy(...columns: string[]): Query
    andOrderBy(...columns: string[]): Query
    groupBy(...columns: string[]): Query
    having(expression: Expression): Query
    limit(n: number): Query
    offset(n: number): Query
    bind(params: Data): Query
    /** Fills an array made with arrayOf(), 10000 rows at most. */
    all(into: unknown[]): void
    /** Fills a DynamicModel, or a new Record() of recordQuery(). Throws when there is no row. */
    one(into: object): void
    /** Fills an array with the first column, as texts. */
    column(into: string[]): void
    /** The first row, as texts. Throws when there is none. */
    row(): string[]
    /** @deprecated Not available in hooks. Only SELECT is allowed; change records with $app.save() and $app.delete(). */
    readonly execute: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly build: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly info: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly prepare: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly rows: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly union: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly unionAll: never
    /** @deprecated Not available in hooks. Use all() with an array. */
    readonly withContext: never
  }

  /** A condition, made with $dbx. */
  interface Expression {
    /** For like() and its kin: whether anything may stand before and after the text. */
    match(left: boolean, right: boolean): Expression
  }

  /** One record of a collection. */
  interface Record {
    id: string
    collection(): Collection
    tableName(): string
    isNew(): boolean
    /** A copy as it is in the database, for comparing. */
    original(): Record
    /** A copy without expand and without what is in no field. */
    fresh(): Record
    clone(): Record
    /** The value of a field. Hashes of passwords and keys of tokens stay hidden. */
    get(field: string): any
    getBool(field: string): boolean
    getString(field: string): string
    getInt(field: string): number
    getFloat(field: string): number
    getDateTime(field: string): DateTime
    getGeoPoint(field: string): { lon: number; lat: number }
    getStringSlice(field: string): string[]
    /** New files that were not stored yet. */
    getUnsavedFiles(field: string): File[]
    /** @deprecated Use getUnsavedFiles. */
    getUploadedFiles(field: string): File[]
    /** Fills a DynamicModel or an array with the value of a JSON field. */
    unmarshalJSONField(field: string, into: object): void
    /** Sets a field; modifiers are possible: `tags+`, `tags-`, `slug:autogenerate`. */
    set(field: string, value: unknown): void
    setIfFieldExists(field: string, value: unknown): void
    /** Sets several fields. */
    load(data: Data): void
    /** Leaves fields out of what clients get. */
    hide(...fields: string[]): void
    unhide(...fields: string[]): void
    expand(): { [relation: string]: Record | Record[] }
    expandedOne(relation: string): Record | null
    expandedAll(relation: string): Record[]
    /** Takes copies of the records. */
    setExpand(expand: { [relation: string]: Record | Record[] }): void
    mergeExpand(expand: { [relation: string]: Record | Record[] }): void
    fieldsData(): Data
    customData(): Data
    /** What clients get, as a plain object. */
    publicExport(): Data
    toJSON(): Data
    toString(): string
    /** Whether what is in no field is sent to clients too. */
    withCustomData(on: boolean): Record
    ignoreEmailVisibility(on: boolean): Record
    ignoreUnchangedFields(on: boolean): Record
    markAsNew(): void
    baseFilesPath(): string
    isSuperuser(): boolean
    email(): string
    setEmail(email: string): void
    emailVisibility(): boolean
    setEmailVisibility(visible: boolean): void
    verified(): boolean
    setVerified(verified: boolean): void
    validatePassword(password: string): boolean
    setPassword(password: string): void
    /** Sets a password that nobody knows, and returns it. */
    setRandomPassword(): string
    /** Ends all sessions of a user. */
    refreshTokenKey(): void
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly newAuthToken: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly newEmailChangeToken: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly newFileToken: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly newPasswordResetToken: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly newStaticAuthToken: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly newVerificationToken: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly setTokenKey: never
    /** @deprecated Not available in hooks. Let users sign in through PocketBase's own endpoints, or use $apis.recordAuthResponse(e, record) in a route. */
    readonly tokenKey: never
    /** @deprecated Not available in hooks. Use record.get(). */
    readonly getRaw: never
    /** @deprecated Not available in hooks. Use record.set(). */
    readonly setRaw: never
  }

  /** A collection, read-only. */
  interface Collection {
    readonly id: string
    readonly name: string
    readonly type: "base" | "auth" | "view"
    readonly system: boolean
    readonly created: DateTime
    readonly updated: DateTime
    readonly listRule: string | null
    readonly viewRule: string | null
    readonly createRule: string | null
    readonly updateRule: string | null
    readonly deleteRule: string | null
    readonly indexes: string[]
    readonly fields: CollectionField[] & { getByName(name: string): CollectionField | null }
    tableName(): string
    baseFilesPath(): string
    isBase(): boolean
    isAuth(): boolean
    isView(): boolean
    toJSON(): Data
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly addIndex: never
    /** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
    readonly removeIndex: never
  }

  /** A moment, in UTC and to the millisecond. */
  interface DateTime {
    string(): string
    toString(): string
    toJSON(): string
    time(): DateTime
    unix(): number
    unixMilli(): number
    valueOf(): number
    isZero(): boolean
    year(): number
    /** 1 to 12. */
    month(): number
    day(): number
    hour(): number
    minute(): number
    second(): number
    /** 0 is Sunday. */
    weekday(): number
    /** Adds nanoseconds. */
    add(duration: number): DateTime
    addDate(years: number, months: number, days: number): DateTime
    /** The time from another to this, in nanoseconds. */
    sub(other: DateTime | string): number
    after(other: DateTime | string): boolean
    before(other: DateTime | string): boolean
    equal(other: DateTime | string): boolean
    /** -1, 0 or 1. */
    compare(other: DateTime | string): number
  }

  /** The value of a JSON field before it is parsed: JSON.parse(raw.string()). */
  interface JSONRaw {
    string(): string
    toString(): string
    toJSON(): any
  }

  /** A file that is about to be stored in a file field. */
  interface File {
    readonly name: string
    readonly originalName: string
    readonly size: number
    toJSON(): Data
    /** @deprecated Not available in hooks. Uploaded files can be looked at by name and size and stored in file fields. */
    readonly reader: never
  }

  /** The settings that hooks may see. */
  interface Settings {
    readonly meta: { appName: string; appURL: string; senderName: string; senderAddress: string }
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly backups: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly batch: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly logs: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly rateLimits: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly s3: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly smtp: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly superuserIPs: never
    /** @deprecated Hooks see meta only; use $secrets.get(name) for your own secrets. */
    readonly trustedProxy: never
  }

  /** Sends mails. */
  interface MailClient {
    /** Sends a mail. The time of it does not count; a call may send 100, in 10 seconds. */
    send(message: MailerMessage): void
  }

  /** A mail. */
  interface MailerMessage {
    subject: string
    html: string
    text: string
    get from(): Address
    set from(address: AddressLike)
    get to(): Address[]
    set to(addresses: AddressLike[])
    get cc(): Address[]
    set cc(addresses: AddressLike[])
    get bcc(): Address[]
    set bcc(addresses: AddressLike[])
    headers: { [name: string]: string }
  }

  /** A message to a realtime connection. */
  interface SubscriptionMessage {
    name: string
    get data(): string
    set data(data: string | object)
  }

  /** A realtime connection. */
  interface RealtimeClient {
    id(): string
    hasSubscription(name: string): boolean
    subscriptions(...prefixes: string[]): { [name: string]: object }
    isDiscarded(): boolean
    /** `auth` is the user; all else is what hooks have set. */
    get(key: string): any
    /** Keeps a value with the connection: 16 KB in all. */
    set(key: string, value: unknown): void
  }

  /** A middleware, for routerAdd and routerUse. */
  interface Middleware {
    readonly __middleware?: never
  }

  /** The body of a multipart request. */
  interface FormData {
    append(name: string, value: unknown): void
    set(name: string, value: unknown): void
    delete(name: string): void
    has(name: string): boolean
    get(name: string): any
    getAll(name: string): any[]
    keys(): string[]
  }

  /** What is wrong with one field, for the data of an API error. */
  interface ValidationError {
    code(): string
    message(): string
    error(): string
  }

  /** Writes to the hook log. Attributes come in pairs: a name, a value. */
  interface Logger {
    debug(message: string, ...attributes: unknown[]): void
    info(message: string, ...attributes: unknown[]): void
    warn(message: string, ...attributes: unknown[]): void
    error(message: string, ...attributes: unknown[]): void
    with(...attributes: unknown[]): Logger
    /** Takes a name, and leaves it out. */
    withGroup(name: string): Logger
  }

  /** A column that may be null, in a DynamicModel. */
  interface Nullable {
    readonly __nullable?: never
  }

  /** What a handler gets. */
  interface Event {
    /** The app of the event; in a transaction, that of the transaction. */
    app: App
    /** Goes on with what would happen without the hook. Its time does not count. Without it, nothing more happens. */
    next(): void
  }

  /** What handlers of routes and requests get. */
  interface RequestEvent extends Event {
    /** The user behind the request, or null. */
    auth: Record | null
    readonly request: Request
    readonly response: Response
    json(status: number, data: unknown): void
    string(status: number, text: string): void
    html(status: number, html: string): void
    blob(status: number, contentType: string, bytes: string | number[] | ArrayBuffer): void
    noContent(status: number): void
    redirect(status: number, url: string): void
    requestInfo(): RequestInfo
    /** Fills the properties that the object has with those of the body. */
    bindBody(into: object): void
    findUploadedFiles(name: string): File[]
    /** What e.set has kept for this request. */
    get(key: string): any
    /** Keeps a value for this request: 1 MB in all. */
    set(key: string, value: unknown): void
    setCookie(cookie: CookieData): void
    hasSuperuserAuth(): boolean
    realIP(): string
    remoteIP(): string
    isTLS(): boolean
    /** Whether the request was answered. */
    written(): boolean
    status(): number
    error(status: number, message: string, data?: unknown): ApiError
    badRequestError(message: string, data?: unknown): ApiError
    notFoundError(message: string, data?: unknown): ApiError
    forbiddenError(message: string, data?: unknown): ApiError
    unauthorizedError(message: string, data?: unknown): ApiError
    tooManyRequestsError(message: string, data?: unknown): ApiError
    internalServerError(message: string, data?: unknown): ApiError
    /** @deprecated Not available in hooks. Use e.json, e.string, e.html or e.blob. */
    readonly fileFS: never
    /** @deprecated Not available in hooks. Use e.json, e.string, e.html or e.blob. */
    readonly flush: never
    /** @deprecated Not available in hooks. Use e.json, e.string, e.html or e.blob. */
    readonly stream: never
    /** @deprecated Not available in hooks. Use e.json, e.string, e.html or e.blob. */
    readonly xml: never
  }

  /** A request as rules see it. */
  interface RequestInfo {
    readonly method: string
    readonly context: string
    readonly query: { [name: string]: string }
    /** With names such as `x_token`. Those of superusers hold no token. */
    readonly headers: { [name: string]: string }
    readonly body: { [name: string]: any }
    readonly auth: Record | null
    hasSuperuserAuth(): boolean
  }

  /** The request. */
  interface Request {
    readonly method: string
    readonly host: string
    readonly pattern: string
    readonly remoteAddr: string
    readonly contentLength: number
    readonly url: URL
    readonly header: Header
    /** Read it with toString(e.request.body) or toBytes(e.request.body). */
    readonly body: Body
    pathValue(name: string): string
    cookie(name: string): { name: string; value: string }
    formValue(name: string): string
    userAgent(): string
    referer(): string
    /** @deprecated Not available in hooks. Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest. */
    readonly formFile: never
    /** @deprecated Not available in hooks. Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest. */
    readonly multipartForm: never
    /** @deprecated Not available in hooks. Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest. */
    readonly multipartReader: never
    /** @deprecated Not available in hooks. Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest. */
    readonly parseForm: never
    /** @deprecated Not available in hooks. Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest. */
    readonly parseMultipartForm: never
    /** @deprecated Not available in hooks. Use e.findUploadedFiles(name) for files, and e.bindBody(data) or e.requestInfo().body for the rest. */
    readonly postFormValue: never
  }

  /** The URL of a request. */
  interface URL {
    readonly path: string
    readonly host: string
    readonly rawQuery: string
    query(): Values
    string(): string
  }

  /** The query of a URL. */
  interface Values {
    get(name: string): string
    getAll(name: string): string[]
    has(name: string): boolean
    encode(): string
    toJSON(): { [name: string]: string[] }
  }

  /** The headers of a request or a response. */
  interface Header {
    get(name: string): string
    values(name: string): string[]
    set(name: string, value: string): void
    add(name: string, value: string): void
    del(name: string): void
    toJSON(): { [name: string]: string[] }
  }

  /** The body of a request. */
  interface Body {
    readonly __body?: never
  }

  /** The response. */
  interface Response {
    header(): Header
    /** @deprecated Not available in hooks. Use e.json, e.string, e.html or e.blob. */
    readonly write: never
    /** @deprecated Not available in hooks. Use e.json, e.string, e.html or e.blob. */
    readonly writeHeader: never
  }

  /** A record is created, changed, deleted or validated. */
  interface RecordEvent extends Event {
    readonly record: Record
    readonly type: string
  }

  /** The same has failed. */
  interface RecordErrorEvent extends RecordEvent {
    readonly error: Error
  }

  /** A record or a collection is created, changed, deleted or validated. */
  interface ModelEvent extends Event {
    readonly model: Record | Collection
    readonly type: string
  }

  /** The same has failed. */
  interface ModelErrorEvent extends ModelEvent {
    readonly error: Error
  }

  /** A collection is created, changed, deleted or validated. */
  interface CollectionEvent extends Event {
    readonly collection: Collection
    readonly type: string
  }

  /** The same has failed. */
  interface CollectionErrorEvent extends CollectionEvent {
    readonly error: Error
  }

  /** A record is about to be sent to a client. */
  interface RecordEnrichEvent extends Event {
    readonly record: Record
    readonly requestInfo: RequestInfo
  }

  /** A mail is about to leave. */
  interface MailerEvent extends Event {
    readonly message: MailerMessage
  }

  /** A mail to a user is about to leave. */
  interface MailerRecordEvent extends MailerEvent {
    readonly record: Record
    readonly meta: Data
  }

  /** A client views, creates, changes or deletes a record. */
  interface RecordRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A client lists records. */
  interface RecordsListRequestEvent extends RequestEvent {
    readonly collection: Collection
    readonly records: Record[]
    readonly result: { page: number; perPage: number; totalItems: number; totalPages: number } | null
  }

  /** A superuser views, creates, changes or deletes a collection. */
  interface CollectionRequestEvent extends RequestEvent {
    readonly collection: Collection
  }

  /** A superuser lists collections. */
  interface CollectionsListRequestEvent extends RequestEvent {
    readonly collections: Collection[]
  }

  /** A superuser imports collections. */
  interface CollectionsImportRequestEvent extends RequestEvent {
    readonly deleteMissing: boolean
    readonly collectionsData: { id: string; name: string; type: string }[]
  }

  /** A client sends a batch, read-only. */
  interface BatchRequestEvent extends RequestEvent {
    readonly batch: { method: string; url: string; body: Data }[]
  }

  /** A user signs in, in whatever way. */
  interface RecordAuthRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
    readonly authMethod: string
    readonly token: string
    meta: any
  }

  /** A user signs in with a password. */
  interface RecordAuthWithPasswordRequestEvent extends RequestEvent {
    record: Record | null
    readonly collection: Collection
    identity: string
    identityField: string
    password: string
  }

  /** A user signs in with OAuth2. */
  interface RecordAuthWithOAuth2RequestEvent extends RequestEvent {
    record: Record | null
    readonly collection: Collection
    readonly providerName: string
    readonly isNewRecord: boolean
    readonly oAuth2User: { [name: string]: any } | null
    createData: Data
  }

  /** A user renews a token. */
  interface RecordAuthRefreshRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A user signs in with a one-time password. */
  interface RecordAuthWithOTPRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A user asks for a one-time password. */
  interface RecordCreateOTPRequestEvent extends RequestEvent {
    record: Record | null
    readonly collection: Collection
    password: string
  }

  /** A user asks for a new password. */
  interface RecordRequestPasswordResetRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A user sets a new password. */
  interface RecordConfirmPasswordResetRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A user asks to have the address verified. */
  interface RecordRequestVerificationRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A user verifies the address. */
  interface RecordConfirmVerificationRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
  }

  /** A user asks for another address. */
  interface RecordRequestEmailChangeRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
    newEmail: string
  }

  /** A user confirms another address. */
  interface RecordConfirmEmailChangeRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
    newEmail: string
  }

  /** A client downloads a file. */
  interface FileDownloadRequestEvent extends RequestEvent {
    readonly record: Record
    readonly collection: Collection
    readonly fileField: { id: string; name: string } | null
    readonly servedPath: string
    servedName: string
    readonly thumbError: Error | null
  }

  /** A user asks for a token for protected files. */
  interface FileTokenRequestEvent extends RequestEvent {
    readonly record: Record
    token: string
  }

  /** A realtime connection opens. Times are in nanoseconds. */
  interface RealtimeConnectRequestEvent extends RequestEvent {
    readonly client: RealtimeClient
    idleTimeout: number
    maxTimeout: number
  }

  /** A message goes to a realtime connection. */
  interface RealtimeMessageEvent extends RequestEvent {
    readonly client: RealtimeClient
    readonly message: SubscriptionMessage
  }

  /** A realtime connection subscribes. */
  interface RealtimeSubscribeRequestEvent extends RequestEvent {
    readonly client: RealtimeClient
    subscriptions: string[]
  }
}

// ----- hooks: the collections are those that a handler is for; without any it is for all

declare function onModelValidate(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelCreate(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelCreateExecute(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelAfterCreateSuccess(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelAfterCreateError(handler: (e: core.ModelErrorEvent) => unknown, ...collections: string[]): void
declare function onModelUpdate(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelUpdateExecute(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelAfterUpdateSuccess(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelAfterUpdateError(handler: (e: core.ModelErrorEvent) => unknown, ...collections: string[]): void
declare function onModelDelete(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelDeleteExecute(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelAfterDeleteSuccess(handler: (e: core.ModelEvent) => unknown, ...collections: string[]): void
declare function onModelAfterDeleteError(handler: (e: core.ModelErrorEvent) => unknown, ...collections: string[]): void
declare function onRecordEnrich(handler: (e: core.RecordEnrichEvent) => unknown, ...collections: string[]): void
declare function onRecordValidate(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordCreate(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordCreateExecute(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordAfterCreateSuccess(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordAfterCreateError(handler: (e: core.RecordErrorEvent) => unknown, ...collections: string[]): void
declare function onRecordUpdate(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordUpdateExecute(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordAfterUpdateSuccess(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordAfterUpdateError(handler: (e: core.RecordErrorEvent) => unknown, ...collections: string[]): void
declare function onRecordDelete(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordDeleteExecute(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordAfterDeleteSuccess(handler: (e: core.RecordEvent) => unknown, ...collections: string[]): void
declare function onRecordAfterDeleteError(handler: (e: core.RecordErrorEvent) => unknown, ...collections: string[]): void
declare function onCollectionValidate(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionCreate(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionCreateExecute(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionAfterCreateSuccess(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionAfterCreateError(handler: (e: core.CollectionErrorEvent) => unknown, ...collections: string[]): void
declare function onCollectionUpdate(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionUpdateExecute(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionAfterUpdateSuccess(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionAfterUpdateError(handler: (e: core.CollectionErrorEvent) => unknown, ...collections: string[]): void
declare function onCollectionDelete(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionDeleteExecute(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionAfterDeleteSuccess(handler: (e: core.CollectionEvent) => unknown, ...collections: string[]): void
declare function onCollectionAfterDeleteError(handler: (e: core.CollectionErrorEvent) => unknown, ...collections: string[]): void
declare function onMailerSend(handler: (e: core.MailerEvent) => unknown, ...tags: string[]): void
declare function onMailerRecordAuthAlertSend(handler: (e: core.MailerRecordEvent) => unknown, ...collections: string[]): void
declare function onMailerRecordPasswordResetSend(handler: (e: core.MailerRecordEvent) => unknown, ...collections: string[]): void
declare function onMailerRecordVerificationSend(handler: (e: core.MailerRecordEvent) => unknown, ...collections: string[]): void
declare function onMailerRecordEmailChangeSend(handler: (e: core.MailerRecordEvent) => unknown, ...collections: string[]): void
declare function onMailerRecordOTPSend(handler: (e: core.MailerRecordEvent) => unknown, ...collections: string[]): void
declare function onRecordsListRequest(handler: (e: core.RecordsListRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordViewRequest(handler: (e: core.RecordRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordCreateRequest(handler: (e: core.RecordRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordUpdateRequest(handler: (e: core.RecordRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordDeleteRequest(handler: (e: core.RecordRequestEvent) => unknown, ...collections: string[]): void
declare function onCollectionsListRequest(handler: (e: core.CollectionsListRequestEvent) => unknown, ...tags: string[]): void
declare function onCollectionViewRequest(handler: (e: core.CollectionRequestEvent) => unknown, ...collections: string[]): void
declare function onCollectionCreateRequest(handler: (e: core.CollectionRequestEvent) => unknown, ...collections: string[]): void
declare function onCollectionUpdateRequest(handler: (e: core.CollectionRequestEvent) => unknown, ...collections: string[]): void
declare function onCollectionDeleteRequest(handler: (e: core.CollectionRequestEvent) => unknown, ...collections: string[]): void
declare function onCollectionsImportRequest(handler: (e: core.CollectionsImportRequestEvent) => unknown, ...tags: string[]): void
declare function onBatchRequest(handler: (e: core.BatchRequestEvent) => unknown, ...tags: string[]): void
declare function onRecordAuthRequest(handler: (e: core.RecordAuthRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordAuthWithPasswordRequest(handler: (e: core.RecordAuthWithPasswordRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordAuthWithOAuth2Request(handler: (e: core.RecordAuthWithOAuth2RequestEvent) => unknown, ...collections: string[]): void
declare function onRecordAuthRefreshRequest(handler: (e: core.RecordAuthRefreshRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordAuthWithOTPRequest(handler: (e: core.RecordAuthWithOTPRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordRequestOTPRequest(handler: (e: core.RecordCreateOTPRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordRequestPasswordResetRequest(handler: (e: core.RecordRequestPasswordResetRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordConfirmPasswordResetRequest(handler: (e: core.RecordConfirmPasswordResetRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordRequestVerificationRequest(handler: (e: core.RecordRequestVerificationRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordConfirmVerificationRequest(handler: (e: core.RecordConfirmVerificationRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordRequestEmailChangeRequest(handler: (e: core.RecordRequestEmailChangeRequestEvent) => unknown, ...collections: string[]): void
declare function onRecordConfirmEmailChangeRequest(handler: (e: core.RecordConfirmEmailChangeRequestEvent) => unknown, ...collections: string[]): void
declare function onFileDownloadRequest(handler: (e: core.FileDownloadRequestEvent) => unknown, ...collections: string[]): void
declare function onFileTokenRequest(handler: (e: core.FileTokenRequestEvent) => unknown, ...collections: string[]): void
declare function onRealtimeConnectRequest(handler: (e: core.RealtimeConnectRequestEvent) => unknown, ...tags: string[]): void
declare function onRealtimeMessageSend(handler: (e: core.RealtimeMessageEvent) => unknown, ...tags: string[]): void
declare function onRealtimeSubscribeRequest(handler: (e: core.RealtimeSubscribeRequestEvent) => unknown, ...tags: string[]): void

// ----- routes and jobs

/** Adds a route such as ("GET", "/hello/{name}"). Middlewares run before the handler. */
declare function routerAdd(method: string, path: string, handler: (e: core.RequestEvent) => unknown, ...middlewares: core.MiddlewareLike[]): void
/** Adds middlewares to all routes, PocketBase's own records API included. Each ends in `return e.next()`. */
declare function routerUse(...middlewares: core.MiddlewareLike[]): void
/** Runs a job on a schedule in UTC, such as "0 3 * * *" or "@hourly". */
declare function cronAdd(id: string, schedule: string, job: () => unknown): void
/** Takes away a job that was added before. */
declare function cronRemove(id: string): void

// ----- the project

declare const $app: core.App

/** Secrets, set with `picobase hooks secrets set NAME`. */
declare const $secrets: {
  /** A secret, or null when there is none of this name. */
  get(name: string): string | null
}

declare const $http: {
  /** Sends a request to a public address, and waits. Throws when there is no answer, or one of more than 5 MB. */
  send(request: core.HTTPRequest): core.HTTPResponse
}

declare const $dbx: {
  /** A condition in SQL. Bind what users wrote: `id = {:id}` and `{ id }`. */
  exp(sql: string, params?: core.Data): core.Expression
  /** All fields have these values; a list means any of it, null means none. */
  hashExp(values: core.Data): core.Expression
  not(expression: core.Expression): core.Expression
  and(...expressions: core.Expression[]): core.Expression
  or(...expressions: core.Expression[]): core.Expression
  in(column: string, ...values: unknown[]): core.Expression
  notIn(column: string, ...values: unknown[]): core.Expression
  like(column: string, ...texts: string[]): core.Expression
  orLike(column: string, ...texts: string[]): core.Expression
  notLike(column: string, ...texts: string[]): core.Expression
  orNotLike(column: string, ...texts: string[]): core.Expression
  exists(query: core.Expression): core.Expression
  notExists(query: core.Expression): core.Expression
  between(column: string, from: unknown, to: unknown): core.Expression
  notBetween(column: string, from: unknown, to: unknown): core.Expression
}

declare const $security: {
  md5(text: string): string
  sha256(text: string): string
  sha512(text: string): string
  hs256(text: string, secret: string): string
  hs512(text: string, secret: string): string
  /** Compares without telling by the time how much is equal. */
  equal(a: string, b: string): boolean
  randomString(length: number): string
  randomStringWithAlphabet(length: number, alphabet: string): string
  pseudorandomString(length: number): string
  pseudorandomStringWithAlphabet(length: number, alphabet: string): string
  parseUnverifiedJWT(token: string): { [claim: string]: any }
  parseJWT(token: string, key: string): { [claim: string]: any }
  /** A token that is good for so many seconds. */
  createJWT(claims: core.Data, key: string, seconds: number): string
  /** AES; the key has 32 characters. */
  encrypt(text: string, key: string): string
  decrypt(encrypted: string, key: string): string
  /** @deprecated Not available in hooks. Use $security.randomStringWithAlphabet(). */
  readonly randomStringByRegex: never
}

declare const $apis: {
  requireGuestOnly(): core.Middleware
  requireAuth(...collections: string[]): core.Middleware
  requireSuperuserAuth(): core.Middleware
  requireSuperuserOrOwnerAuth(ownerIdParam?: string): core.Middleware
  skipSuccessActivityLog(): core.Middleware
  gzip(): core.Middleware
  bodyLimit(bytes: number): core.Middleware
  enrichRecord(e: core.RequestEvent, record: core.Record, ...expand: string[]): void
  enrichRecords(e: core.RequestEvent, records: core.Record[], ...expand: string[]): void
  /** Answers as a sign-in does. */
  recordAuthResponse(e: core.RequestEvent, record: core.Record, authMethod: string, meta?: unknown): void
  /** @deprecated Not available in hooks. */
  readonly static: never
}

declare const $filesystem: {
  /** A file for a file field, or for a FormData. */
  fileFromBytes(content: string | number[] | ArrayBuffer, name: string): core.File
  /** @deprecated Not available in hooks. Hooks have no files; keep data in collections and files in file fields. */
  readonly [name: string]: any
}

/** Writes to the hook log. */
declare const console: {
  log(...values: unknown[]): void
  info(...values: unknown[]): void
  debug(...values: unknown[]): void
  trace(...values: unknown[]): void
  warn(...values: unknown[]): void
  error(...values: unknown[]): void
}

/** Waits for so many milliseconds, which count as time of the call. */
declare function sleep(milliseconds: number): void
/** The text of bytes, of a body or of a value, which becomes JSON. */
declare function toString(value: unknown, maxBytes?: number): string
declare function readerToString(value: unknown, maxBytes?: number): string
declare function toBytes(value: unknown, maxBytes?: number): number[] | ArrayBuffer
/** Copies data into an object or an array. */
declare function unmarshal(data: unknown, into: object): void
/** An empty array for the rows of a query. */
declare function arrayOf<T>(model: T): T[]
declare function nullString(): core.Nullable
declare function nullInt(): core.Nullable
declare function nullFloat(): core.Nullable
declare function nullBool(): core.Nullable
declare function nullArray(): core.Nullable
declare function nullObject(): core.Nullable

// ----- made with new

declare const Record: { new (): core.Record; new (collection: core.CollectionLike, data?: core.Data): core.Record }
declare const DateTime: { new (value?: string, timezone?: string): core.DateTime }
/** An object for the row of a query, or the body of a request. Its values are examples: they give the types. */
declare const DynamicModel: { new <T extends object>(shape: T): T & { [field: string]: any } }
declare const MailerMessage: {
  new (mail?: {
    from?: core.AddressLike
    to?: core.AddressLike[]
    cc?: core.AddressLike[]
    bcc?: core.AddressLike[]
    subject?: string
    html?: string
    text?: string
    headers?: { [name: string]: string }
  }): core.MailerMessage
}
declare const SubscriptionMessage: { new (message?: { name?: string; data?: string | object }): core.SubscriptionMessage }
/** A middleware with a priority: the lower, the earlier. */
declare const Middleware: { new (handler: (e: core.RequestEvent) => unknown, priority?: number): core.Middleware }
declare const FormData: { new (): core.FormData }
declare const Cookie: { new (cookie: core.CookieData): core.CookieData }
declare const ValidationError: { new (code: string, message: string): core.ValidationError }
declare const ApiError: { new (status: number, message?: string, data?: unknown): core.ApiError }
declare const BadRequestError: { new (message?: string, data?: unknown): core.ApiError }
declare const UnauthorizedError: { new (message?: string, data?: unknown): core.ApiError }
declare const ForbiddenError: { new (message?: string, data?: unknown): core.ApiError }
declare const NotFoundError: { new (message?: string, data?: unknown): core.ApiError }
declare const TooManyRequestsError: { new (message?: string, data?: unknown): core.ApiError }
declare const InternalServerError: { new (message?: string, data?: unknown): core.ApiError }

// ----- refused: these exist, and throw what to use instead

/** @deprecated Not available in hooks. Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services. */
declare const $os: never
/** @deprecated Not available in hooks. Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services. */
declare const process: never
/** @deprecated Not available in hooks. Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services. */
declare const Command: never
/** @deprecated Not available in hooks. Hooks have no files; keep data in collections and files in file fields. */
declare const $filepath: never
/** @deprecated Not available in hooks. Build HTML with template literals, and escape what users wrote. */
declare const $template: never
/** @deprecated Not available in hooks. PocketBase sends these by itself; use $app.newMailClient().send() for your own. */
declare const $mails: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const migrate: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const Field: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const FieldsList: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const TextField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const NumberField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const BoolField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const URLField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const EmailField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const EditorField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const PasswordField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const DateField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const AutodateField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const JSONField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const RelationField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const SelectField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const FileField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const GeoPointField: never
/** @deprecated Not available in hooks. Change collections in the dashboard, or with the collections API. */
declare const Collection: never
/** @deprecated Not available in hooks. A call ends when its handler returns; use cronAdd for later. */
declare const setTimeout: never
/** @deprecated Not available in hooks. A call ends when its handler returns; use cronAdd for later. */
declare const setInterval: never
/** @deprecated Not available in hooks. A call ends when its handler returns; use cronAdd for later. */
declare const setImmediate: never
/** @deprecated Not available in hooks. A call ends when its handler returns; use cronAdd for later. */
declare const clearTimeout: never
/** @deprecated Not available in hooks. A call ends when its handler returns; use cronAdd for later. */
declare const clearInterval: never
/** @deprecated Not available in hooks. Use e.get() and e.set(). */
declare const Context: never
/** @deprecated Not available in hooks. Use e.requestInfo(). */
declare const RequestInfo: never
/** @deprecated Not available in hooks. Use Date, or the second argument of DateTime. */
declare const Timezone: never
/** @deprecated Not available in hooks. Use $app.save(). */
declare const RecordUpsertForm: never
/** @deprecated Not available in hooks. Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services. */
declare const TestEmailSendForm: never
/** @deprecated Not available in hooks. Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services. */
declare const TestS3FilesystemForm: never
/** @deprecated Not available in hooks. Hooks have no processes and no environment; use $secrets.get(name) for secrets and $http.send for services. */
declare const AppleClientSecretCreateForm: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onBootstrap: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onServe: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onTerminate: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onBackupCreate: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onBackupRestore: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onSettingsListRequest: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onSettingsUpdateRequest: never
/** @deprecated Not available in hooks: it belongs to the server. */
declare const onSettingsReload: never
