// SPDX-License-Identifier: MIT
// The bodies of the enrolment's endpoints: what they take (R82, R83, R161), and what they answer.

import { encodeJson } from '../../common/text.ts'
import { readBody } from '../exchange/body.ts'
import { unlimitedLease } from '../exchange/budget.ts'
import { decodeBase64, emptyBytes } from '../support/encoding.ts'
import { parseFlatObject } from '../support/flat-json.ts'
import type { Inbound, Outbound } from '../types.ts'
import { tooMany } from './email-codes.ts'
import { type EnrollmentProblem, problems } from './enroller.ts'

const BODY_BYTES = 4096
const BODY_MS = 10_000

type TextsOfGuest = { time_zone?: string; guest_session_id?: string; guest_proof?: string }

/** Tells whether an outcome is a problem. */
export function isProblem(value: object): value is EnrollmentProblem {
  return 'title' in value
}

/** Returns the answer that a problem is. */
export function writeProblem({ status, code, title, retryAfterMs }: EnrollmentProblem): Outbound {
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...(retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }),
      ...(status === 405 ? { allow: 'POST' } : {})
    },
    // In the body too: clients read it there first, and a front end may drop the header.
    body: encodeJson({ type: 'about:blank', title, status, code, retry_after_ms: retryAfterMs })
  }
}

/** Reads the body of a request that posts JSON. Resolves to a problem where it does not. */
export async function readForm(inbound: Inbound): Promise<Uint8Array | EnrollmentProblem> {
  if (inbound.method !== 'POST') return problems.notAllowed
  const type = (inbound.header('content-type') ?? '').toLowerCase()
  if (!/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/.test(type)) return problems.unsupported
  if (inbound.header('content-encoding') !== null) return problems.unsupported
  const bounds = { bytes: BODY_BYTES, untilMs: performance.now() + BODY_MS, idleMs: BODY_MS, lease: unlimitedLease }
  const body = await readBody(inbound, emptyBytes(), bounds)
  if (body.state === 'whole') return body.bytes
  return body.state === 'too-large' ? problems.tooLarge : problems.invalidRequest
}

/** Returns the answer with a challenge, or the problem that there is none yet. */
export function writeChallenge(
  asked: { challengeId: string } | { retryAfterMs: number }
): Outbound | EnrollmentProblem {
  if ('retryAfterMs' in asked) return tooMany(asked.retryAfterMs)
  const body = encodeJson({ challenge_id: asked.challengeId })
  return { status: 200, headers: { 'content-type': 'application/json' }, body }
}

/** Reads a confirmation, with more members where its endpoint has them. Returns undefined where it is none. */
export function readConfirmation<Name extends string, More extends string>(
  body: Uint8Array,
  required: readonly Name[],
  optional: readonly More[]
) {
  const members = ['challenge_id', 'client_public_key', 'algorithm', 'proof', ...required] as const
  const texts = parseFlatObject(body, members, ['time_zone', ...optional])
  const publicKey = decodeBase64(texts?.client_public_key ?? '', 'base64')
  const proof = decodeBase64(texts?.proof ?? '', 'base64')
  if (!texts || !publicKey || !proof) return undefined
  const { time_zone: timeZone, guest_session_id: sessionId, guest_proof: guestProof } = texts as TextsOfGuest
  if (timeZone !== undefined && !/^[A-Za-z0-9_+/-]{1,64}$/.test(timeZone)) return undefined
  if ((sessionId === undefined) !== (guestProof === undefined)) return undefined
  const signed = decodeBase64(guestProof ?? '', 'base64')
  if (!signed) return undefined
  const guest = sessionId === undefined ? undefined : { sessionId, proof: signed }
  return {
    texts,
    timeZone,
    offer: { challengeId: texts.challenge_id, algorithm: texts.algorithm, publicKey, proof, guest }
  }
}
