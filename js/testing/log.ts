// SPDX-License-Identifier: MIT
// What passed over a test network, in the order in which it did.

import { createHash } from 'node:crypto'
import type { Core } from '../common/types.ts'
import type { TestMessage } from './faults.ts'

/** What became of a message at one point of its way. */
export type Passage = 'sent' | 'arrived' | 'answered' | 'delivered' | 'lost' | 'cut' | 'changed' | 'proxy' | 'repeated'

/** One line of a network's log. */
export type LogEntry = Readonly<Pick<TestMessage, 'client' | 'type' | 'body' | 'headers' | 'status'>> & {
  /** Milliseconds since the start of the test's time. */
  readonly atMs: number
  /** The number of the exchange: of a request and its answer. */
  readonly exchange: number
  readonly what: Passage
  /** As it was sent. */
  readonly method: string
  readonly target: string
}

const FRAME = 'application/vnd.countersign.v1'

/** Reads which message a request carries, without checking any of it. */
export function typeOf(
  core: Core,
  method: string,
  target: string,
  message: Pick<TestMessage, 'headers' | 'body'>
): string {
  const { headers, body } = message
  if (headers.countersign !== undefined) return `${method} ${target}`
  try {
    if (headers['content-type'] === FRAME) {
      const fields = core.parseSigningInput(core.parseFrame(body).signingInput)
      if (fields.kind === 'request') return fields.messageType
    }
    const type: unknown = JSON.parse(new TextDecoder().decode(body))?.messageType
    if (typeof type === 'string') return type
  } catch {
    // Nothing that names itself.
  }
  return target
}

function digest(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64url').slice(0, 8)
}

/** Writes an entry as a line of a transcript. */
export function lineOf({ atMs, client, exchange, what, type, status, body, headers }: LogEntry): string {
  const envelope = headers.countersign === undefined ? '' : ` ${digest(Buffer.from(headers.countersign))}`
  const code = status === undefined ? '' : ` ${status}`
  return `${atMs.toFixed(3)} ${client} #${exchange} ${what} ${type}${code} ${body.length} ${digest(body)}${envelope}`
}
