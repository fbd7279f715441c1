// SPDX-License-Identifier: MIT
// Answers in the request's binding: signed ones, dated by a reading of the clock just before the signature, and plain
// ones.

import { FRAME_TYPE, JSON_TYPE } from '../../common/protocol.ts'
import { encodeJson } from '../../common/text.ts'
import type { Core } from '../../common/types.ts'
import type { AnswerHeaders } from '../support/answer-headers.ts'
import { signWithin } from '../support/deadline.ts'
import { emptyBytes, encodeBase64, sha256 } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Binding, Outbound, ServerSigner } from '../types.ts'
import { writeJsonAnswer } from './bindings/json.ts'

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
  'cs.bad_request': 400,
  'cs.internal': 500,
  'cs.unavailable': 503
} as const

/** The time after which a client may try a request again that got `cs.unavailable`, in milliseconds. */
export const RETRY_AFTER_MS = 1000

/** The result code of a refusal by the gateway itself. */
export type RefusalCode = keyof typeof refusalStatus

/** Tells whether an answer's payload is empty whatever the handler returned (R39). */
export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 205 || status === 304
}

/** Returns an unsigned answer with an empty body (R54). */
export function plainAnswer(status: number, headers: Record<string, string> = {}): Outbound {
  return { status, headers, body: emptyBytes() }
}

/**
 * Returns the payload of a refusal: `{}`, `{"retry_after_ms":n}`, n a whole number of milliseconds (R66), or
 * `{"issues":[…]}` (R154).
 */
export function refusalPayload(retryAfterMs: number | undefined, issues?: readonly unknown[]): Uint8Array {
  if (issues) return encodeJson({ issues })
  return encodeJson(retryAfterMs === undefined ? {} : { retry_after_ms: Math.max(1, Math.ceil(retryAfterMs)) })
}

/** An answer before its signature. */
export type AnswerDraft = {
  binding: Binding
  requestId: string
  /** The request's message type, which decides which key signs. */
  type?: string
  resultCode: string
  status: number
  payload: Uint8Array
  /** Header binding only. */
  contentType: string
  /** The handler's own headers, which are checked. */
  headers?: AnswerHeaders
}

/** Signs an answer. Rejects where the signer fails or does not answer in time. */
export type AnswerSigner = (core: Core, draft: AnswerDraft) => Promise<Outbound>

/** Returns the function that signs answers. `signMs` is the signer's time limit in milliseconds. */
export function createAnswerSigner(options: {
  label: string
  signer: ServerSigner
  keySigner?: ServerSigner | undefined
  clock: GatewayClock
  signMs: number
}): AnswerSigner {
  const { label, clock, signMs } = options
  return async (core, { binding, requestId, type, resultCode, status, payload, contentType, headers }) => {
    const signer = (type === 'cs.keys' ? options.keySigner : undefined) ?? options.signer
    const payloadHash = sha256(payload)
    const timestampMs = clock.now()
    const signingInput = core.responseSigningInput({ label, requestId, timestampMs, resultCode, payloadHash })
    const signature = await signWithin(signMs, signer, signingInput)
    const parts = { signingInput, keyId: signer.keyId, signature }
    if (binding === 'header') {
      const countersign = encodeBase64(core.buildFrame(parts), 'base64url')
      return { status, headers: { ...headers, countersign, 'content-type': contentType }, body: payload }
    }
    if (binding === 'json') {
      const body = writeJsonAnswer({ requestId, timestampMs, resultCode, payload, payloadHash, signature })
      return { status, headers: { ...headers, 'content-type': JSON_TYPE }, body }
    }
    return { status, headers: { ...headers, 'content-type': FRAME_TYPE }, body: core.buildFrame({ ...parts, payload }) }
  }
}
