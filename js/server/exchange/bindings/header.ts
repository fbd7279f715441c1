// SPDX-License-Identifier: MIT
// The header binding (PROTOCOL.md, R36 to R41): the envelope in a header, the payload as the body, and the request line as
// the message type.

import { CountersignError } from '../../../common/errors.ts'
import { MAX_ENVELOPE } from '../../../common/protocol.ts'
import { decodeExact, encodeText, sha256 } from '../../support/encoding.ts'

const MAX_HEADER = Math.ceil((MAX_ENVELOPE * 4) / 3)
const MAX_TYPE = 128

/** headerType gives the message type of a request line: `METHOD target`, hashed where it is over 128 bytes (R36). */
export function headerType(line: string): string {
  return line.length <= MAX_TYPE ? line : `sha256:${encodeText(sha256(line), 'base64url')}`
}

/** isTarget tells whether a raw request target is in origin form and printable ASCII: nothing else is ever signed as one. */
export function isTarget(target: string): boolean {
  return /^\/[\x21\x22\x24-\x7e]*$/.test(target)
}

/** readHeader gives the bytes of a `countersign` header; it throws a malformed error. */
export function readHeader(value: string): Uint8Array {
  if (value.length > MAX_HEADER) throw new CountersignError('ERR_ENVELOPE_TOO_LARGE')
  const envelope = decodeExact(value, 'base64url')
  if (!envelope) throw new CountersignError('ERR_BAD_BASE64', { detail: 'the countersign header' })
  return envelope
}
