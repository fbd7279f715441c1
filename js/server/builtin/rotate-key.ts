// SPDX-License-Identifier: MIT
// Replaces a session's key (PROTOCOL.md, R120 to R123, R149 and R150). The old key signs the request, a signature of the
// new key proves that the device has it, and the user confirms it.

import { thumbprintInput } from '../../common/algorithms.ts'
import type { Algorithm, Core } from '../../common/types.ts'
import { isAcceptableKey, verifySignature } from '../client-signature.ts'
import { MAX_REPLACED_KEYS } from '../stores/common.ts'
import { decodeBase64, encodeBase64, isSameBytes, isText, sha256 } from '../support/encoding.ts'
import { parseObjectWithPart } from '../support/flat-json.ts'
import type { Metrics } from '../support/metrics.ts'
import type {
  Handler,
  HandlerContext,
  HandlerResult,
  RotatedEvent,
  SessionRecord,
  SessionStore,
  StepUp,
  StepUpRequest,
  StepUpVerdict
} from '../types.ts'

/** The parts that the handler of `cs.rotate_key` needs. */
export type RotationOptions = {
  label: string
  sessions: SessionStore
  nowMs: () => number
  core: () => Promise<Core>
  metrics: Pick<Metrics, 'count'>
  /** Decides once the request has passed every other check. */
  stepUp: StepUp
  /** Called with the exception of `stepUp`, also where it returned no verdict. It never throws. */
  onStepUpFault: (error: unknown) => void
  /** Called for each key that was replaced. The answer waits for it. It never rejects. */
  onReplaced: (event: RotatedEvent) => Promise<void>
}

type RotationOffer = {
  algorithm: Algorithm
  publicKey: Uint8Array
  proof: Uint8Array
  confirmation?: NonNullable<StepUpRequest['confirmation']>
}

function parseOffer(payload: Uint8Array): RotationOffer | undefined {
  const {
    algorithm,
    public_key = '',
    proof: text = '',
    confirmation
  } = parseObjectWithPart(payload, ['algorithm', 'public_key', 'proof'], 'confirmation', ['challenge_id', 'code']) ?? {}
  const publicKey = decodeBase64(public_key, 'base64')
  const proof = decodeBase64(text, 'base64')
  if ((algorithm !== 'ed25519' && algorithm !== 'es256') || !publicKey || proof?.length !== 64) return undefined
  if (!confirmation) return { algorithm, publicKey, proof }
  const { challenge_id: challengeId, code } = confirmation
  if (!isText(challengeId) || !isText(code)) return undefined
  return { algorithm, publicKey, proof, confirmation: { challengeId, code } }
}

// Ids of a compatible label may be any text. An id without a dot is taken whole.
function headOf(requestId: string): string {
  const dot = requestId.lastIndexOf('.')
  return dot < 0 ? requestId : requestId.slice(0, dot)
}

const hasOrHad = ({ publicKey, replacedKeys = [] }: SessionRecord, key: Uint8Array): boolean =>
  isSameBytes(publicKey, key) || replacedKeys.includes(encodeBase64(key, 'base64url'))

// The record of a request that the key before has signed names that key as its own.
const isSignedByPrevious = ({ publicKey, previous }: SessionRecord): boolean =>
  previous !== undefined && isSameBytes(previous.publicKey, publicKey)

/** Returns the answer to a verdict that lets the key stay. Throws a TypeError when it is no verdict. */
function answerOf(verdict: Exclude<StepUpVerdict, 'allowed'>): HandlerResult {
  if (verdict === 'refused' || verdict === 'unavailable') return { resultCode: `confirmation_${verdict}` }
  if (verdict !== null && typeof verdict === 'object') {
    if ('challengeId' in verdict && isText(verdict.challengeId))
      return {
        resultCode: 'confirmation_required',
        payload: JSON.stringify({ challenge_id: verdict.challengeId })
      }
    if ('retryAfterMs' in verdict && Number.isFinite(verdict.retryAfterMs))
      return {
        resultCode: 'too_many_requests',
        payload: JSON.stringify({ retry_after_ms: Math.max(1, Math.ceil(verdict.retryAfterMs)) })
      }
  }
  throw new TypeError('stepUp must return a verdict')
}

/** Returns the handler of `cs.rotate_key`. It rejects where the store or `stepUp` does. */
export function createRotation(options: RotationOptions): Handler {
  const { label, sessions, nowMs, core, metrics, stepUp, onStepUpFault, onReplaced } = options
  const check = async (
    { session, requestId }: HandlerContext,
    { algorithm, publicKey, proof }: RotationOffer
  ): Promise<string | undefined> => {
    const loaded = await core()
    const key = { algorithm, publicKey }
    // The store decides this again when it replaces the key. Here the client learns the reason.
    if (!isAcceptableKey(loaded, key) || hasOrHad(session, publicKey)) return 'invalid_key'
    const fields = { label, deviceSessionId: session.id, requestId: headOf(requestId), algorithm, publicKey }
    if (!verifySignature(loaded, key, loaded.rotateSigningInput(fields), proof)) return 'invalid_proof'
    if ((session.replacedKeys?.length ?? 0) >= MAX_REPLACED_KEYS) return 'too_many_rotations'
    return isSignedByPrevious(session) ? 'conflict' : undefined
  }

  const decide = async (request: StepUpRequest): Promise<HandlerResult | undefined> => {
    try {
      const verdict = await stepUp(request)
      return verdict === 'allowed' ? undefined : answerOf(verdict)
    } catch (error) {
      onStepUpFault(error)
      throw error
    }
  }

  const rotate = async (context: HandlerContext): Promise<HandlerResult> => {
    const { session, userId, payload, source } = context
    const offer = parseOffer(payload)
    if (!offer) return { resultCode: 'invalid_payload' }
    const refused = await check(context, offer)
    if (refused) return { resultCode: refused }
    const { algorithm, publicKey, confirmation } = offer
    const thumbprint = encodeBase64(sha256(thumbprintInput(offer)), 'base64url')
    const about = { session, userId, algorithm, publicKey: new Uint8Array(publicKey), thumbprint, source }
    const refusal = await decide({
      ...about,
      ...(confirmation ? { confirmation } : {}),
      get signal() {
        return context.signal
      }
    })
    if (refusal) return refusal
    // A decision that came too late: the client has been told that nothing was done.
    context.signal.throwIfAborted()
    // Compared with the key that signed this request: of two rotations at once one wins, and the old key never comes
    // back.
    const isReplaced = await sessions.replaceKey(session.id, session.publicKey, { algorithm, publicKey, atMs: nowMs() })
    if (!isReplaced) return { resultCode: 'conflict' }
    await onReplaced(about)
    return { resultCode: 'ok' }
  }
  return async (context) => {
    const result = await rotate(context)
    metrics.count('countersign_rotations_total', { result: result.resultCode ?? 'ok' })
    return result
  }
}
