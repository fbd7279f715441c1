// SPDX-License-Identifier: MIT
// Enrolment without HTTP (PROTOCOL.md, section 11): a challenge, a key that proves its possession, a session, and an
// answer that only this server can have signed.

import { encodeJson } from '../../common/text.ts'
import type { Algorithm, Core } from '../../common/types.ts'
import { isAcceptableKey, verifySignature } from '../client-signature.ts'
import { createAnswerSigner } from '../exchange/sign-answer.ts'
import { encodeBase64, isText, randomId, sha256 } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Challenge, CodeStore, Outbound, ServerSigner, SessionRecord, SessionStore } from '../types.ts'

/** Why an enrolment is refused. `code` is a member of its problem+json. */
export type EnrollmentProblem = {
  status: 400 | 404 | 405 | 409 | 413 | 415 | 429 | 503
  code: string
  title: string
  retryAfterMs?: number
}

export const problems = {
  invalidRequest: { status: 400, code: 'invalid_request', title: 'The body is not what this endpoint takes' },
  invalidKey: { status: 400, code: 'invalid_key', title: 'The public key cannot be registered' },
  invalidProof: {
    status: 400,
    code: 'invalid_proof',
    title: 'The proof is not a signature of this challenge by this key'
  },
  invalidCode: { status: 400, code: 'invalid_code', title: 'The code is wrong or no longer good' },
  challengeUsed: { status: 409, code: 'challenge_used', title: 'This challenge has enrolled another key' },
  tooMany: { status: 429, code: 'too_many_requests', title: 'Too many tries; wait or ask for a new code later' },
  tooLarge: { status: 413, code: 'too_large', title: 'The body is too large' },
  unsupported: { status: 415, code: 'unsupported_media_type', title: 'The body has to be application/json' },
  notFound: { status: 404, code: 'not_found', title: 'There is no such endpoint' },
  notAllowed: { status: 405, code: 'method_not_allowed', title: 'This endpoint takes POST' },
  unavailable: { status: 503, code: 'unavailable', title: 'Enrolment is not possible at the moment' }
} as const satisfies { [name: string]: EnrollmentProblem }

/** A key, with the proof that answers a challenge. */
export type EnrollmentOffer = { challengeId: string; algorithm: string; publicKey: Uint8Array; proof: Uint8Array }

type EnrollerOptions = {
  label: string
  signer: ServerSigner
  sessions: SessionStore
  codes: CodeStore
  clock: GatewayClock
  core: () => Promise<Core>
  userIdOf: (email: string) => string
  /** The most active sessions of a user (R143). */
  maxSessions: number
}

/** An offer whose proof is right: its challenge, and the bytes that the proof signs. */
export type ProvenOffer = { challenge: Challenge; input: Uint8Array }

/** The steps of an enrolment. Each rejects when a store does. */
type Enroller = {
  /** Creates a challenge. Resolves to undefined when the store is full. */
  challenge(email: string, lifetimeMs: number, codeHash?: (id: string) => Uint8Array): Promise<Challenge | undefined>
  /** Checks key and proof of an offer (R85). */
  checkProof(offer: EnrollmentOffer): Promise<ProvenOffer | EnrollmentProblem>
  /**
   * Binds the challenge to the key, creates the session, and signs the answer. `checkProof` must have passed. The session
   * remembers `source`, a keyed hash.
   */
  enroll(
    offer: EnrollmentOffer,
    proven: ProvenOffer,
    source?: string
  ): Promise<{ session: SessionRecord; replaced: string[]; out: Outbound } | EnrollmentProblem>
}

const SIGN_MS = 1000

const isAlgorithm = (text: string): text is Algorithm => text === 'ed25519' || text === 'es256'

/** Creates the steps of an enrolment over stores. */
export function createEnroller(options: EnrollerOptions): Enroller {
  const { label, signer, sessions, codes, clock, userIdOf } = options
  const signAnswer = createAnswerSigner({ label, signer, clock, signMs: SIGN_MS })
  const nowMs = (): number => clock.now()

  return {
    async challenge(email, lifetimeMs, codeHash) {
      const id = randomId()
      const createdMs = nowMs()
      const challenge = { id, email, createdMs, expiresMs: createdMs + lifetimeMs }
      const kept = codeHash ? { ...challenge, codeHash: codeHash(id) } : challenge
      return (await codes.create(kept)) ? kept : undefined
    },

    async checkProof({ challengeId, algorithm, publicKey, proof }) {
      const core = await options.core()
      if (!isText(challengeId) || !isAlgorithm(algorithm) || proof.length !== 64) return problems.invalidRequest
      if (!isAcceptableKey(core, { algorithm, publicKey })) return problems.invalidKey
      const challenge = await codes.get(challengeId, nowMs())
      if (!challenge) return problems.invalidCode
      const { email } = challenge
      const input = core.enrollSigningInput({ label, challengeId, algorithm, publicKey, email })
      if (!verifySignature(core, { algorithm, publicKey }, input, proof)) return problems.invalidProof
      return { challenge, input }
    },

    async enroll({ algorithm, publicKey }, { challenge, input }, source) {
      const binding = `${algorithm}:${encodeBase64(publicKey, 'base64url')}`
      const id = await codes.redeem(challenge.id, binding, randomId(), nowMs())
      if (id === null) return problems.challengeUsed
      // The session comes after the binding, so that a repeated confirm makes up for a crash in between (R85).
      const seenMs = nowMs()
      const session: SessionRecord = {
        id,
        userId: userIdOf(challenge.email),
        algorithm: algorithm as Algorithm,
        publicKey,
        status: 'active',
        createdMs: seenMs,
        lastSeenMs: seenMs,
        ...(source === undefined ? {} : { source })
      }
      const created = await sessions.create(session, { maxLive: options.maxSessions })
      const replaced = Array.isArray(created) ? created : []
      const out = await signAnswer(await options.core(), {
        binding: 'header',
        requestId: encodeBase64(sha256(input), 'base64url'),
        resultCode: 'http.200',
        status: 200,
        payload: encodeJson({ device_session_id: id }),
        contentType: 'application/json'
      })
      return { session, replaced, out }
    }
  }
}
