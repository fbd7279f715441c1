// SPDX-License-Identifier: MIT
// The log of a test network, in order.

import { createHash } from 'node:crypto'
import { FRAME_TYPE } from '../common/protocol.ts'
import { parseJson } from '../common/text.ts'
import type { Core } from '../common/types.ts'
import type { TestMessage } from './faults.ts'

/** A step in the passage of a message. */
export type Passage = 'sent' | 'arrived' | 'answered' | 'delivered' | 'lost' | 'cut' | 'changed' | 'proxy' | 'repeated'

/** One entry of a network's log. */
export type LogEntry = Readonly<Pick<TestMessage, 'client' | 'type' | 'body' | 'headers' | 'status'>> & {
  /** Milliseconds since the start of the test's time. */
  readonly atMs: number
  /** The number of the exchange, which a request and its answer share. */
  readonly exchange: number
  readonly what: Passage
  /** The method and the target of the request. */
  readonly method: string
  readonly target: string
}

/** Parses the message type of a request, without checking the request. */
export function typeOf(
  core: Core,
  method: string,
  target: string,
  message: Pick<TestMessage, 'headers' | 'body'>
): string {
  const { headers, body } = message
  if (headers.countersign !== undefined) return `${method} ${target}`
  try {
    if (headers['content-type'] === FRAME_TYPE) {
      const fields = core.parseSigningInput(core.parseFrame(body).signingInput)
      if (fields.kind === 'request') return fields.messageType
    }
    const type = (parseJson(body) as { messageType?: unknown } | null)?.messageType
    if (typeof type === 'string') return type
  } catch {
    // A body that names no type.
  }
  return target
}

function digest(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64url').slice(0, 8)
}

/** Formats an entry as a line of a transcript. */
export function lineOf({ atMs, client, exchange, what, type, status, body, headers }: LogEntry): string {
  const envelope = headers.countersign === undefined ? '' : ` ${digest(Buffer.from(headers.countersign))}`
  const code = status === undefined ? '' : ` ${status}`
  return `${atMs.toFixed(3)} ${client} #${exchange} ${what} ${type}${code} ${body.length} ${digest(body)}${envelope}`
}
