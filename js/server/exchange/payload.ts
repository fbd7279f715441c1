// SPDX-License-Identifier: MIT
// Stage 7, `payload_hash` (PROTOCOL.md, section 6): reads the payload to its end and compares its hash with the signed
// one.

import type { GatewaySettings } from '../options.ts'
import { isSameBytes, sha256 } from '../support/encoding.ts'
import type { Inbound } from '../types.ts'
import { type BodyResult, readBody } from './body.ts'
import type { Lease } from './budget.ts'
import type { Refusal } from './checks.ts'
import type { ParsedInbound } from './parse.ts'
import { RETRY_AFTER_MS } from './sign-answer.ts'

// After `share` and `full` the client may try again. `share` says so: the id is used up and nothing was handed on (R71).
const BODY_REFUSALS: { readonly [State in Exclude<BodyResult['state'], 'whole'>]: Omit<Refusal, 'stage'> } = {
  'too-large': { code: 'cs.too_large' },
  'too-slow': { code: 'cs.payload_mismatch' },
  gone: { code: 'cs.payload_mismatch' },
  share: { code: 'cs.rate_limited', retryAfterMs: RETRY_AFTER_MS },
  full: { code: 'cs.unavailable', retryAfterMs: RETRY_AFTER_MS }
}

const refuse = (refusal: Omit<Refusal, 'stage'>): Refusal => ({ stage: 'payload_hash', ...refusal })

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
  // The signature has verified, so the memory counts as the session's from here on (R145).
  if (lease.assign(request.deviceSessionId) !== 'taken') return refuse(BODY_REFUSALS.share)
  let payload = first
  let hash: Uint8Array
  if (isWhole) {
    if (first.length > limits.jsonPayloadBytes) return refuse({ code: 'cs.too_large' })
    hash = sha256(first)
  } else {
    const body = await readBody(inbound, first, { bytes: limits.payloadBytes, untilMs, idleMs: limits.idleMs, lease })
    if (body.state !== 'whole') return refuse(BODY_REFUSALS[body.state])
    payload = body.bytes
    hash = body.hash
  }
  return isSameBytes(hash, request.payloadHash) ? payload : refuse({ code: 'cs.payload_mismatch' })
}
