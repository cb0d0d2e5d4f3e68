import type { RecordModel } from 'pocketbase'

/** One collection of a schema, as `picobase typegen` writes it. */
export interface CollectionTypes {
  Row: object
  Insert?: object
  Update?: object
  Expand?: object
  type?: string
}

/** A project's collections by name. */
export type AnySchema = { [collection: string]: CollectionTypes }

/** The schema of a client that was given none: everything goes. */
export type Untyped = { [collection: string]: { Row: RecordModel; Insert: Record<string, any>; Update: Record<string, any>; Expand: {} } }

export type Names<S> = keyof S & string

/** A record of a collection. */
export type Row<S, K extends keyof S> = S[K] extends { Row: infer R } ? R : never
/** What create takes. Views have nothing of the kind. */
export type Insert<S, K extends keyof S> = S[K] extends { Insert: infer I } ? I : never
/** What update takes. */
export type Update<S, K extends keyof S> = S[K] extends { Update: infer U } ? U : never

type Relations<S, K extends keyof S> = S[K] extends { Expand: infer E } ? E : {}

// Whether the schema is the one that allows everything.
type Loose<S> = string extends keyof S ? true : false

type Split<T extends string> = T extends `${infer Head},${infer Tail}` ? Trim<Head> | Split<Tail> : Trim<T>
type Trim<T extends string> = T extends ` ${infer Rest}` | `${infer Rest} ` ? Trim<Rest> : T

type HeadOf<P extends string> = P extends `${infer Head}.${string}` ? Head : P
type TailOf<P extends string, Head extends string> = P extends `${Head}.${infer Tail}` ? Tail : never

// How deep relations of relations are typed: PocketBase follows six, people two.
type Deeper = [never, 0, 1, 2, 3]

type Target<S, R, P extends string, D extends number> = R extends (infer One extends keyof S)[]
  ? Expanded<S, One, P, Deeper[D]>[]
  : R extends keyof S
    ? Expanded<S, R, P, Deeper[D]>
    : never

/**
 * A record with what `expand` names. Expanded relations are optional: the server
 * leaves out what the caller may not see.
 */
export type Expanded<S, K extends keyof S, Paths extends string, D extends number = 3> = [Paths] extends [never]
  ? Row<S, K>
  : [D] extends [never]
    ? Row<S, K>
    : Omit<Row<S, K>, 'expand'> & {
        expand?: { [Head in HeadOf<Paths> & keyof Relations<S, K>]?: Target<S, Relations<S, K>[Head], TailOf<Paths, Head & string>, D> }
      }

/** The record that a call with these options answers. */
export type Result<S, K extends keyof S, O> =
  Loose<S> extends true ? Row<S, K> : O extends { expand: infer E extends string } ? (string extends E ? Row<S, K> : Expanded<S, K, Split<E>>) : Row<S, K>

/** The part of a record that select('id,title') leaves. */
export type Selected<R, F extends string> = string extends F
  ? R
  : '*' extends Split<F>
    ? R
    : Pick<R, Extract<Split<F>, keyof R>>

/** Paths that can be expanded, for completion; any other string passes too. */
export type ExpandPath<S, K extends keyof S> = (keyof Relations<S, K> & string) | (string & {})

/** Names of fields, for completion; paths through relations pass too. */
export type FieldPath<R> = (keyof R & string) | (string & {})
