// SPDX-License-Identifier: MIT
// Stage 7, `payload_hash` (PROTOCOL.md, section 6): reads the payload to its end and compares its hash with the signed
// one.

import type { GatewaySettings } from '../options.ts'
import { isSameBytes, sha256 } from '../support/encoding.ts'
import type { Inbound } from '../types.ts'
import { type Lease, readBody } from './body.ts'
import type { Refusal } from './checks.ts'
import type { ParsedInbound } from './parse.ts'
import { RETRY_AFTER_MS } from './sign-answer.ts'

const BODY_REFUSALS = {
  'too-large': 'cs.too_large',
  'too-slow': 'cs.payload_mismatch',
  gone: 'cs.payload_mismatch',
  busy: 'cs.unavailable'
} as const

/**
 * Returns the whole payload once its hash is the signed one, or the refusal. `untilMs` is on the scale of
 * performance.now().
 */
export async function readPayload(
  inbound: Inbound,
  { request, first, isWhole }: ParsedInbound,
  limits: GatewaySettings['limits'],
  untilMs: number,
  lease: Lease
): Promise<Uint8Array | Refusal> {
  let payload = first
  let hash: Uint8Array
  if (isWhole) {
    if (first.length > limits.jsonPayloadBytes) return { stage: 'payload_hash', code: 'cs.too_large' }
    hash = sha256(first)
  } else {
    const body = await readBody(inbound, first, { bytes: limits.payloadBytes, untilMs, idleMs: limits.idleMs, lease })
    if (body.state !== 'whole') {
      const retry = body.state === 'busy' ? { retryAfterMs: RETRY_AFTER_MS } : {}
      return { stage: 'payload_hash', code: BODY_REFUSALS[body.state], ...retry }
    }
    payload = body.bytes
    hash = body.hash
  }
  return isSameBytes(hash, request.payloadHash) ? payload : { stage: 'payload_hash', code: 'cs.payload_mismatch' }
}
