// SPDX-License-Identifier: MIT
// The frame binding (PROTOCOL.md, R29 to R31): a body that begins with the envelope. The gateway checks the envelope as
// soon as it is whole, before it reads more of the body (R47).

import { MAX_ENVELOPE } from '../../../common/protocol.ts'
import { emptyBytes } from '../../support/encoding.ts'
import type { Inbound } from '../../types.ts'
import { checkPiece } from '../body.ts'

const MAGIC = [0x43, 0x53, 0x01]
const FIELDS = 3

/**
 * Returns the length of the envelope that `bytes` begin with. Returns undefined while more bytes are needed, and 0
 * where no further byte can make it an envelope. It only finds the end; the core parses the content.
 */
export function envelopeEnd(bytes: Uint8Array): number | undefined {
  for (let at = 0; at < MAGIC.length; at++) {
    if (at >= bytes.length) return undefined
    if (bytes[at] !== MAGIC[at]) return 0
  }
  let at = MAGIC.length
  for (let field = 0; field < FIELDS; field++) {
    const low = bytes[at++]
    if (low === undefined) return undefined
    let size = low
    if (low > 0x7f) {
      const high = bytes[at++]
      if (high === undefined) return undefined
      if (high > 0x7f) return 0
      size = (low & 0x7f) | (high << 7)
    }
    at += size
    if (at > MAX_ENVELOPE) return 0
  }
  return at <= bytes.length ? at : undefined
}

/**
 * Reads a body until its envelope is whole, cannot become one, or the body ends. `head` is the envelope or the bytes
 * that are no envelope. `rest` is the part of the payload that arrived with it.
 */
export async function readEnvelope(inbound: Inbound): Promise<{ head: Uint8Array; rest: Uint8Array }> {
  let bytes = emptyBytes()
  for (;;) {
    const end = envelopeEnd(bytes)
    if (end === 0) return { head: bytes.subarray(0, MAX_ENVELOPE), rest: emptyBytes() }
    if (end !== undefined) return { head: bytes.subarray(0, end), rest: bytes.subarray(end) }
    const piece = checkPiece(await inbound.read())
    if (piece === null) return { head: bytes, rest: emptyBytes() }
    bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece])
  }
}
