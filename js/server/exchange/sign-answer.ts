// SPDX-License-Identifier: MIT
// Answers: signed ones in the request's binding, with a reading of the clock taken as they are made, and plain ones.

import { FRAME_TYPE } from '../../common/protocol.ts'
import type { Core } from '../../common/types.ts'
import { signWithin } from '../support/deadline.ts'
import { emptyBytes, encodeText, sha256 } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Binding, Outbound, ServerSigner } from '../types.ts'
import { writeJson } from './bindings/json.ts'

const PROTOCOL_VERSION = 'v1'

/** The gateway's own refusals and their HTTP statuses (R66). */
export const refusalStatus = {
  'cs.unsupported_version': 400,
  'cs.unauthenticated': 401,
  'cs.session_revoked': 401,
  'cs.stale': 401,
  'cs.replayed': 409,
  'cs.payload_mismatch': 400,
  'cs.too_large': 413,
  'cs.idempotency_conflict': 422,
  'cs.outcome_unknown': 409,
  'cs.rate_limited': 429,
  'cs.unavailable': 503
} as const

export type RefusalCode = keyof typeof refusalStatus

/** hasNoBody tells whether an answer's payload is empty whatever the handler gave (R39). */
export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 205 || status === 304
}

/** plainAnswer is an unsigned answer with an empty body (R54). */
export function plainAnswer(status: number, headers: Record<string, string> = {}): Outbound {
  return {
    status,
    headers,
    body: emptyBytes()
  }
}

/** What is to be signed, and where it goes. */
export type Draft = {
  binding: Binding
  requestId: string
  /** The request's own type, which decides by which key it is answered. */
  type?: string
  resultCode: string
  status: number
  payload: Uint8Array
  /** Header binding only. */
  contentType: string
}

/** Sealer signs drafts. */
export type Sealer = (core: Core, draft: Draft) => Promise<Outbound>

/** createSealer makes the function that signs answers; it rejects where the signer fails or does not answer in time. */
export function createSealer(options: {
  label: string
  signer: ServerSigner
  keySigner?: ServerSigner | undefined
  clock: GatewayClock
  signMs: number
}): Sealer {
  const { label, clock, signMs } = options
  return async (core, { binding, requestId, type, resultCode, status, payload, contentType }) => {
    const signer = (type === 'cs.keys' ? options.keySigner : undefined) ?? options.signer
    const payloadHash = sha256(payload)
    const timestampMs = clock.now()
    const signingInput = core.responseSigningInput({ label, requestId, timestampMs, resultCode, payloadHash })
    const signature = await signWithin(signMs, signer, signingInput)
    const parts = { signingInput, keyId: signer.keyId, signature }
    if (binding === 'header') {
      const countersign = encodeText(core.buildFrame(parts), 'base64url')
      return { status, headers: { countersign, 'content-type': contentType }, body: payload }
    }
    if (binding === 'json') {
      const fields = {
        protocolVersion: PROTOCOL_VERSION,
        requestId,
        timestampMs,
        resultCode,
        payload,
        payloadHash,
        signature
      }
      return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(writeJson(fields)) }
    }
    return { status, headers: { 'content-type': FRAME_TYPE }, body: core.buildFrame({ ...parts, payload }) }
  }
}

/** refusalPayload is `{}` or `{"retry_after_ms":n}` (R66). */
export function refusalPayload(retryAfterMs: number | undefined): Uint8Array {
  return Buffer.from(retryAfterMs === undefined ? '{}' : `{"retry_after_ms":${Math.max(1, Math.ceil(retryAfterMs))}}`)
}
