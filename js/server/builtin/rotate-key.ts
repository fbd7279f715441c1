// SPDX-License-Identifier: MIT
// Replaces a session's key (PROTOCOL.md, R120 to R123 and R149). The old key signs the request, and a signature of the new key
// proves that the device has it.

import type { Algorithm, Core } from '../../common/types.ts'
import { isAcceptableKey, verifySignature } from '../client-signature.ts'
import { MAX_REPLACED_KEYS } from '../stores/common.ts'
import { decodeBase64, encodeBase64, isSameBytes } from '../support/encoding.ts'
import { parseFlatObject } from '../support/flat-json.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Handler, HandlerContext, SessionRecord, SessionStore } from '../types.ts'

/** The parts that the handler of `cs.rotate_key` needs. */
export type RotationOptions = {
  label: string
  sessions: SessionStore
  nowMs: () => number
  core: () => Promise<Core>
  metrics: Pick<Metrics, 'count'>
}

type RotationOffer = { algorithm: Algorithm; publicKey: Uint8Array; proof: Uint8Array }
type RotationResult = 'ok' | 'invalid_payload' | 'invalid_key' | 'invalid_proof' | 'too_many_rotations' | 'conflict'

function parseOffer(payload: Uint8Array): RotationOffer | undefined {
  const {
    algorithm,
    public_key = '',
    proof: text = ''
  } = parseFlatObject(payload, ['algorithm', 'public_key', 'proof']) ?? {}
  const publicKey = decodeBase64(public_key, 'base64')
  const proof = decodeBase64(text, 'base64')
  if ((algorithm !== 'ed25519' && algorithm !== 'es256') || !publicKey || proof?.length !== 64) return undefined
  return { algorithm, publicKey, proof }
}

// Ids of a compatible label may be any text. An id without a dot is taken whole.
function headOf(requestId: string): string {
  const dot = requestId.lastIndexOf('.')
  return dot < 0 ? requestId : requestId.slice(0, dot)
}

const hasOrHad = ({ publicKey, replacedKeys = [] }: SessionRecord, key: Uint8Array): boolean =>
  isSameBytes(publicKey, key) || replacedKeys.includes(encodeBase64(key, 'base64url'))

/** Returns the handler of `cs.rotate_key`. It rejects where the store does. */
export function createRotation({ label, sessions, nowMs, core, metrics }: RotationOptions): Handler {
  const rotate = async ({ session, payload, requestId }: HandlerContext): Promise<RotationResult> => {
    const offer = parseOffer(payload)
    if (!offer) return 'invalid_payload'
    const { algorithm, publicKey, proof } = offer
    const loaded = await core()
    // The store decides this again when it replaces the key. Here the client learns the reason.
    if (!isAcceptableKey(loaded, offer) || hasOrHad(session, publicKey)) return 'invalid_key'
    const fields = { label, deviceSessionId: session.id, requestId: headOf(requestId), algorithm, publicKey }
    if (!verifySignature(loaded, offer, loaded.rotateSigningInput(fields), proof)) return 'invalid_proof'
    if ((session.replacedKeys?.length ?? 0) >= MAX_REPLACED_KEYS) return 'too_many_rotations'
    // Compared with the key that signed this request: of two rotations at once one wins, and the old key never comes
    // back.
    const isReplaced = await sessions.replaceKey(session.id, session.publicKey, { algorithm, publicKey, atMs: nowMs() })
    return isReplaced ? 'ok' : 'conflict'
  }
  return async (context) => {
    const resultCode = await rotate(context)
    metrics.count('countersign_rotations_total', { result: resultCode })
    return { resultCode }
  }
}
