// SPDX-License-Identifier: MIT
// JSON for handlers: the payload as a value, results in other forms than HandlerResult, and the refusal of bad input.

import { JSON_TYPE } from '../../common/protocol.ts'
import { tryDecodeText } from '../../common/text.ts'
import type { HandlerResult } from '../types.ts'
import { HandlerRefusal } from './routes.ts'

/** One problem of an input: where it is. Nothing says what was there. */
export type InputIssue = { readonly path: readonly (string | number)[] }

const MOST_ISSUES = 16
const MOST_BYTES = 1024

/** Returns the issues that one answer takes: 16 of them and 1 KiB at most (R154). */
function fitting(issues: readonly InputIssue[]): readonly InputIssue[] {
  const taken: InputIssue[] = []
  for (const { path } of issues.slice(0, MOST_ISSUES)) {
    taken.push({ path })
    if (Buffer.byteLength(JSON.stringify({ issues: taken })) > MOST_BYTES) return taken.slice(0, -1)
  }
  return taken
}

/**
 * The refusal of an input (R154): `cs.bad_request`. `isUndone` says that nothing has happened, so that the same intent
 * may be tried again.
 */
export class BadInput extends HandlerRefusal {
  override name = 'BadInput'
  readonly issues: readonly InputIssue[]
  readonly isUndone: boolean

  constructor(
    issues: readonly InputIssue[],
    { isUndone = false, cause }: { isUndone?: boolean; cause?: unknown } = {}
  ) {
    super('cs.bad_request', undefined, cause)
    this.issues = fitting(issues)
    this.isUndone = isUndone
  }
}

/**
 * Parses a payload as JSON. Returns undefined for an empty one.
 * @throws BadInput when it is no JSON in UTF-8.
 */
export function jsonOfPayload(payload: Uint8Array, isUndone = false): unknown {
  if (payload.length === 0) return undefined
  try {
    return JSON.parse(tryDecodeText(payload) as string)
  } catch (cause) {
    throw new BadInput([{ path: [] }], { cause, isUndone })
  }
}

async function resultOfResponse(response: Response, isHeader: boolean): Promise<HandlerResult> {
  const { status, headers } = response
  if (!isHeader && !response.ok) throw new TypeError(`a Response of status ${status} says nothing for a message type`)
  const payload = new Uint8Array(await response.arrayBuffer())
  return { payload, headers, ...(isHeader ? { status } : {}) }
}

function resultOfJson(result: HandlerResult): HandlerResult {
  const { json, ...rest } = result
  if (rest.payload !== undefined) throw new TypeError('a result has either json or a payload')
  const payload = JSON.stringify(json)
  if (payload === undefined) throw new TypeError('json must be a JSON value')
  const isTyped = rest.headers !== undefined && new Headers(rest.headers as HeadersInit).has('content-type')
  return { ...(isTyped ? {} : { contentType: JSON_TYPE }), ...rest, payload }
}

/**
 * Turns what a handler returned into a HandlerResult without `json`. Rejects with a TypeError when that is not
 * possible, and as reading the body of a Response does.
 */
export async function plainResultOf(returned: unknown, isHeader: boolean): Promise<HandlerResult | undefined> {
  if (returned === undefined || returned === null) return undefined
  if (ArrayBuffer.isView(returned) || returned instanceof ArrayBuffer) return { payload: returned as Uint8Array }
  // A framework may bring a Response of its own.
  if (typeof (returned as Response).arrayBuffer === 'function') return resultOfResponse(returned as Response, isHeader)
  const result = returned as HandlerResult
  return typeof result === 'object' && 'json' in result ? resultOfJson(result) : result
}
