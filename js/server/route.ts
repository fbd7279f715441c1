// SPDX-License-Identifier: MIT
// A handler with a type: its input is checked by a schema before it runs, and its output before it is signed. Any
// validator that speaks Standard Schema serves (zod, valibot, arktype and others).

import { badArgument, functionOf, optionsOf } from '../core/args.ts'
import { BadInput, type InputIssue, jsonOfPayload } from './exchange/json.ts'
import { isReservedName } from './exchange/routes.ts'
import { isText } from './support/encoding.ts'
import type { HandlerContext, HandlerResult } from './types.ts'

/** The part of Standard Schema (version 1) that a route uses. */
export type Schema<Input = unknown, Output = Input> = {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a validator returns: the value, or where it is wrong. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly path?: readonly unknown[] | undefined }[] }

/** The type of the values that a schema takes. */
export type InputOf<Of> = Of extends Schema<infer Input, infer _> ? Input : unknown
/** The type of the values that a schema returns. */
export type OutputOf<Of> = Of extends Schema<infer _, infer Output> ? Output : unknown

/** An answer with a code of the application's own. `withCode` makes it. */
export type Coded = { readonly [coded]: HandlerResult }
const coded = Symbol('coded')

/** A handler that `route` made. `jsonClient` reads its types. */
export type TypedRoute<Input = unknown, Output = unknown> = {
  (context: HandlerContext): Promise<HandlerResult>
  /** For the compiler alone; it is not there when the program runs. */
  readonly types?: { readonly input: Input; readonly output: Output }
}

/** The options of `route`. */
export type RouteOptions<In, Out> = {
  /** Checks the payload, read as JSON. An empty payload is `undefined`. Default: any JSON value. */
  input?: In
  /** Checks what the handler returns. What it refuses is a defect: `cs.internal`. Default: any JSON value. */
  output?: Out
  /** Returns the value to answer with, or `withCode(…)`. */
  handler: (
    context: HandlerContext & { readonly input: OutputOf<In> }
  ) => InputOf<Out> | Coded | Promise<InputOf<Out> | Coded>
}

/**
 * Makes an answer with a code of the application's own and a JSON value. The caller sees `ok: false`.
 * @throws ERR_INVALID_ARGUMENT when the code is reserved, empty, `ok` or no text.
 *
 * @example
 * return withCode('not_your_turn', { turn: game.turn })
 */
export function withCode(resultCode: string, json?: unknown): Coded {
  if (!isText(resultCode) || isReservedName(resultCode) || resultCode === 'ok')
    throw badArgument('the code must be a text of the application')
  return { [coded]: { resultCode, ...(json === undefined ? {} : { json }) } }
}

const MOST_NODES = 20_000

// Getters of classes belong to their instances and may have effects, so only those of plain objects are called.
function childOf(node: object, name: PropertyKey): unknown {
  const { value, get } = Object.getOwnPropertyDescriptor(node, name) ?? {}
  if (!get || Object.getPrototypeOf(node) !== Object.prototype) return value
  try {
    return get.call(node)
  } catch {
    return undefined
  }
}

/**
 * Collects the names that a schema itself has. A key of an input is told to the caller only where it is one of them: any
 * other key, of a record for example, is a part of the data.
 */
function namesIn(schema: object): Set<unknown> {
  const names = new Set<unknown>()
  const seen = new Set<object>([schema])
  for (const node of seen) {
    if (seen.size > MOST_NODES) break
    for (const name of Reflect.ownKeys(node)) {
      names.add(name)
      const child = childOf(node, name)
      if (typeof child === 'object' && child !== null) seen.add(child)
    }
  }
  return names
}

const keyOf = (segment: unknown): unknown =>
  typeof segment === 'object' && segment !== null ? (segment as { key?: unknown }).key : segment

function issueOf(path: readonly unknown[] | undefined, names: Set<unknown>): InputIssue {
  const tell = (key: unknown) => (typeof key === 'number' || (typeof key === 'string' && names.has(key)) ? key : '*')
  return { path: (path ?? []).map((segment) => tell(keyOf(segment)) as string | number) }
}

function schemaOf(schema: unknown, name: string): Schema | undefined {
  if (schema === undefined) return undefined
  const standard = (schema as Schema | null)?.['~standard']
  if (standard?.version !== 1 || typeof standard.validate !== 'function')
    throw badArgument(`route: ${name} must be a Standard Schema`)
  return schema as Schema
}

/**
 * Makes a typed handler. Input that the schema refuses is answered by a signed `cs.bad_request` that says where it is
 * wrong, and never what was there (R154). The handler does not run then.
 *
 * @throws ERR_INVALID_ARGUMENT when an option is not valid.
 *
 * @example
 * ```ts
 * const routes = {
 *   'game.move': route({ input: z.object({ to: z.string() }), handler: ({ input, userId }) => move(userId, input.to) })
 * }
 * ```
 */
export function route<In extends Schema | undefined = undefined, Out extends Schema | undefined = undefined>(
  options: RouteOptions<In, Out>
): TypedRoute<InputOf<In>, OutputOf<Out>> {
  const { handler, ...schemas } = optionsOf(options, 'route', ['input', 'output', 'handler'])
  functionOf(handler ?? null, 'route: handler')
  const [input, output] = [schemaOf(schemas.input, 'input'), schemaOf(schemas.output, 'output')]
  let names: Set<unknown> | undefined

  const inputOf = async ({ payload }: HandlerContext): Promise<unknown> => {
    const value = jsonOfPayload(payload, true)
    const checked = await input?.['~standard'].validate(value)
    if (!checked?.issues) return checked ? checked.value : value
    names ??= namesIn(input as Schema)
    const known = names
    throw new BadInput(
      checked.issues.map(({ path }) => issueOf(path, known)),
      { isUndone: true }
    )
  }
  return async (context) => {
    const value = (await inputOf(context)) as OutputOf<In>
    const returned = await handler(Object.assign(context, { input: value }))
    const own = (returned as Partial<Coded> | null | undefined)?.[coded]
    if (own) return own
    const checked = await output?.['~standard'].validate(returned)
    // The issues name paths of the application's own answer, which only its operator may see.
    if (checked?.issues)
      throw new TypeError(
        `the output does not fit its schema: ${JSON.stringify(checked.issues.map(({ path }) => path))}`
      )
    const json = checked ? checked.value : returned
    return json === undefined ? {} : { json }
  }
}
