// SPDX-License-Identifier: MIT
// The header binding (PROTOCOL.md, R36 to R41): the envelope is a header, the payload is the body, and the request line
// is the message type.

import { CountersignError } from '../../../common/errors.ts'
import { MAX_ENVELOPE } from '../../../common/protocol.ts'
import { decodeBase64, encodeBase64, sha256 } from '../../support/encoding.ts'

const MAX_HEADER = Math.ceil((MAX_ENVELOPE * 4) / 3)
const MAX_TYPE = 128

/** Returns the message type of a request line: `METHOD target`, or its hash where it is longer than 128 bytes (R36). */
export function headerType(line: string): string {
  return line.length <= MAX_TYPE ? line : `sha256:${encodeBase64(sha256(line), 'base64url')}`
}

/** Tells whether a raw request target is in origin form and printable ASCII. Clients sign no other targets. */
export function isTarget(target: string): boolean {
  return /^\/[\x21\x22\x24-\x7e]*$/.test(target)
}

/** Parses a `countersign` header and returns its bytes. Throws a malformed error. */
export function parseHeader(value: string): Uint8Array {
  if (value.length > MAX_HEADER) throw new CountersignError('ERR_ENVELOPE_TOO_LARGE')
  const envelope = decodeBase64(value, 'base64url')
  if (!envelope) throw new CountersignError('ERR_BAD_BASE64', { detail: 'the countersign header' })
  return envelope
}
