package engine

// Types returns the TypeScript definitions of what hooks find.
func Types() []byte { return []byte(definitions) }

const definitions = `declare const __hooks: string
declare const $app: any
declare const $secrets: { get(name: string): string | null }
declare const $http: { send(request: { method?: string; url: string; body?: string; headers?: Record<string, string>; timeout?: number }): any }
declare function routerAdd(method: string, path: string, handler: (e: any) => any, ...middlewares: any[]): void
declare function cronAdd(id: string, schedule: string, job: () => void): void
declare function onRecordCreate(handler: (e: any) => any, ...collections: string[]): void
`
