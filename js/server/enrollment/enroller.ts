// SPDX-License-Identifier: MIT
// Enrolment without HTTP (PROTOCOL.md, section 11): a challenge, a key that proves its possession, a session, and an
// answer that only this server can have signed.

import { encodeJson } from '../../common/text.ts'
import type { Algorithm, Core } from '../../common/types.ts'
import { isAcceptableKey, verifySignature } from '../client-signature.ts'
import { createAnswerSigner } from '../exchange/sign-answer.ts'
import { GUEST, OPAQUE } from '../stores/common.ts'
import { encodeBase64, isSameBytes, isText, randomId, sha256 } from '../support/encoding.ts'
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
  invalidGuest: { status: 400, code: 'invalid_guest', title: 'This guest cannot become a user' },
  challengeUsed: { status: 409, code: 'challenge_used', title: 'This challenge has enrolled another key' },
  tooMany: { status: 429, code: 'too_many_requests', title: 'Too many tries; wait or ask for a new code later' },
  tooLarge: { status: 413, code: 'too_large', title: 'The body is too large' },
  unsupported: { status: 415, code: 'unsupported_media_type', title: 'The body has to be application/json' },
  notFound: { status: 404, code: 'not_found', title: 'There is no such endpoint' },
  notAllowed: { status: 405, code: 'method_not_allowed', title: 'This endpoint takes POST' },
  unavailable: { status: 503, code: 'unavailable', title: 'Enrolment is not possible at the moment' }
} as const satisfies { [name: string]: EnrollmentProblem }

/** A key, with the proof that answers a challenge. `guest`: the guest's session that becomes the user's (R164). */
export type EnrollmentOffer = {
  challengeId: string
  algorithm: string
  publicKey: Uint8Array
  proof: Uint8Array
  guest?: { sessionId: string; proof: Uint8Array } | undefined
}

/** The time after which a client may try again when a store was full, in milliseconds. */
export const FULL_RETRY_MS = 60_000

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
  /** The most active guests. Absent: the enrolment takes none. */
  maxGuests: number | undefined
}

/** An offer whose proof is right: its challenge, the bytes that the proof signs, and the guest who becomes a user. */
export type ProvenOffer = { challenge: Challenge; input: Uint8Array; guest?: SessionRecord }

/** A session that was made, with the ids of those that it has revoked for want of room. */
type Enrolled = { session: SessionRecord; replaced: string[]; out: Outbound }

/** The steps of an enrolment. Each rejects when a store does. */
type Enroller = {
  /** Creates a challenge, of a guest where there is no address. Resolves to undefined when the store is full. */
  challenge(
    email: string | undefined,
    lifetimeMs: number,
    more?: { codeHash?: (id: string) => Uint8Array; isOpaque?: boolean }
  ): Promise<Challenge | undefined>
  /** Checks key and proof of an offer (R85). */
  checkProof(offer: EnrollmentOffer): Promise<ProvenOffer | EnrollmentProblem>
  /**
   * Binds the challenge to the key, creates the session, and signs the answer. `checkProof` must have passed. The session
   * remembers `source`, a keyed hash.
   */
  enroll(offer: EnrollmentOffer, proven: ProvenOffer, source?: string): Promise<Enrolled | EnrollmentProblem>
}

const SIGN_MS = 1000
/** Guests of pages without an origin have this part of the room of the others, beside it. */
const OPAQUE_PART = 8
/** The reason of the revocation of a guest who has become a user; the id of the new session follows. */
const UPGRADED = 'upgraded to '

const readSession = (sessions: SessionStore, id: string): Promise<SessionRecord | null> =>
  sessions.reread?.(id) ?? sessions.get(id)

const isAlgorithm = (text: string): text is Algorithm => text === 'ed25519' || text === 'es256'

/** Creates the steps of an enrolment over stores. */
export function createEnroller(options: EnrollerOptions): Enroller {
  const { label, signer, sessions, codes, clock, userIdOf } = options
  const signAnswer = createAnswerSigner({ label, signer, clock, signMs: SIGN_MS })
  const { maxGuests } = options
  const nowMs = (): number => clock.now()
  const isGuest = (userId: string): boolean => maxGuests !== undefined && userId.startsWith(GUEST)

  // A guest that has become a user is found too: the identical confirm, repeated, must give the same answer (R85).
  const findGuest = async (core: Core, offer: EnrollmentOffer, input: Uint8Array) => {
    const { sessionId, proof } = offer.guest ?? { sessionId: '', proof: new Uint8Array(0) }
    const found = isText(sessionId) && proof.length === 64 ? await readSession(sessions, sessionId) : null
    if (!found || !isGuest(found.userId) || isSameBytes(found.publicKey, offer.publicKey)) return undefined
    if (found.status === 'revoked' && !found.revokedReason?.startsWith(UPGRADED)) return undefined
    return verifySignature(core, found, input, proof) ? found : undefined
  }

  // Anybody can put a page without an origin into a page of his own, and all of its visitors then enrol guests.
  const roomOf = (isOpaque: boolean, most: number) =>
    isOpaque ? { maxOpaqueGuests: Math.ceil(most / OPAQUE_PART) } : { maxGuests: most }

  // Creates the session. Resolves to the ids of those that it revoked, or to the problem.
  const create = async (session: SessionRecord, guest: SessionRecord | undefined) => {
    // The reason names the session, so that only the same confirm is taken for a repeated one.
    const ends = guest && { id: guest.id, reason: `${UPGRADED}${session.id}` }
    const created = await sessions.create(session, {
      maxLive: options.maxSessions,
      ...(isGuest(session.userId) && maxGuests !== undefined
        ? roomOf(session.source?.startsWith(OPAQUE) === true, maxGuests)
        : {}),
      ...(ends ? { ends } : {})
    })
    if (created === 'full') return { ...problems.tooMany, retryAfterMs: FULL_RETRY_MS }
    if (created === 'gone') return problems.invalidGuest
    if (created === false && ends && (await readSession(sessions, ends.id))?.revokedReason !== ends.reason)
      return problems.invalidGuest
    return Array.isArray(created) ? created.filter((id) => id !== guest?.id) : []
  }

  return {
    async challenge(given, lifetimeMs, { codeHash, isOpaque } = {}) {
      const id = randomId()
      const email = given ?? GUEST + id
      const createdMs = nowMs()
      const kept: Challenge = {
        ...{ id, email, createdMs, expiresMs: createdMs + lifetimeMs },
        ...(codeHash ? { codeHash: codeHash(id) } : {}),
        ...(isOpaque ? { isOpaque } : {})
      }
      return (await codes.create(kept)) ? kept : undefined
    },

    async checkProof(offer) {
      const { challengeId, algorithm, publicKey, proof } = offer
      const core = await options.core()
      if (!isText(challengeId) || !isAlgorithm(algorithm) || proof.length !== 64) return problems.invalidRequest
      if (!isAcceptableKey(core, { algorithm, publicKey })) return problems.invalidKey
      const challenge = await codes.get(challengeId, nowMs())
      if (!challenge) return problems.invalidCode
      const { email } = challenge
      const input = core.enrollSigningInput({ label, challengeId, algorithm, publicKey, email })
      if (!verifySignature(core, { algorithm, publicKey }, input, proof)) return problems.invalidProof
      if (!offer.guest) return { challenge, input }
      const guest = await findGuest(core, offer, input)
      return guest && !isGuest(email) ? { challenge, input, guest } : problems.invalidGuest
    },

    async enroll({ algorithm, publicKey }, { challenge, input, guest }, source) {
      const binding = `${algorithm}:${encodeBase64(publicKey, 'base64url')}`
      const id = await codes.redeem(challenge.id, binding, randomId(), nowMs())
      if (id === null) return problems.challengeUsed
      // The session comes after the binding, so that a repeated confirm makes up for a crash in between (R85).
      const seenMs = nowMs()
      const session: SessionRecord = {
        id,
        userId: isGuest(challenge.email) ? challenge.email : userIdOf(challenge.email),
        algorithm: algorithm as Algorithm,
        publicKey,
        status: 'active',
        createdMs: seenMs,
        lastSeenMs: seenMs,
        ...(source === undefined ? {} : { source: challenge.isOpaque ? OPAQUE + source : source })
      }
      const replaced = await create(session, guest)
      if (!Array.isArray(replaced)) return replaced
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
