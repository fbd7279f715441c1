// SPDX-License-Identifier: MIT
// Verification over the bytes that came, never over a second writing of them.

import { isCountersignError } from '../../common/errors.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, copyOf, integerOf, optionsOf, timeOf } from '../../core/args.ts'
import { isJsonObject } from '../common/canonical-json.ts'
import { decodeTag } from '../common/hex.ts'
import { type RawMember, type RawValue, scanJson } from '../common/json-scanner.ts'
import { type SecretKey, secretKeyOf } from './create.ts'
import { isActionType, isNonce, MEMBERS, OUTER, SIGNATURE, timeOfTimestamp } from './message.ts'
import type { ProofVerdict, VerifiedAction } from './types.ts'

export const MAX_AGE_MS = 30_000
export const SKEW_MS = 5_000

/** How the signed text is found in the body: its members in the fixed order, or the proof with the signature cut out. */
export type VerifyMode = 'slices' | 'excise'

/** A proof taken apart: what it says, and the bytes its signature is of. Nothing of it has been verified. */
export type ParsedProof = { action: VerifiedAction; message: Bytes; tag: Bytes }

const encoder = new TextEncoder()

function textOf(body: BytesLike | string): string | undefined {
  if (typeof body === 'string') return body
  try {
    // A byte order mark is left to the grammar, which refuses it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(copyOf(body, 'rawBody'))
  } catch (error) {
    if (isCountersignError(error)) throw error
    return undefined
  }
}

function sliceOf(text: string, { start, end }: RawValue): string {
  return text.slice(start, end)
}

/** Cuts the signature and one comma out of the proof. */
function excise(text: string, proof: RawValue, { nameStart, end }: RawMember): string {
  const before = text.slice(proof.start, nameStart)
  const after = text.slice(end, proof.end)
  const follows = /^\s*,/.exec(after)
  return follows ? before + after.slice(follows[0].length) : before.replace(/,\s*$/, '') + after
}

function actionOf(text: string, members: ReadonlyMap<string, RawMember>): VerifiedAction | undefined {
  const [actionType, timestamp, actionData, expectedPoints, nonce] = MEMBERS.map((name) =>
    JSON.parse(sliceOf(text, members.get(name) as RawMember))
  )
  const timestampMs = timeOfTimestamp(timestamp)
  if (timestampMs === undefined || !isActionType(actionType) || !isNonce(nonce)) return undefined
  if (typeof expectedPoints !== 'number') return undefined
  const actionId = isJsonObject(actionData) && Object.hasOwn(actionData, 'action_id') ? actionData.action_id : undefined
  return {
    actionType,
    timestamp,
    timestampMs,
    actionData,
    expectedPoints,
    nonce,
    ...(typeof actionId === 'string' ? { actionId } : {})
  }
}

/** Takes one proof of a body apart; undefined where it is malformed: duplicate, unknown or missing members first of all. */
export function parseProof(text: string, proof: RawValue, mode: VerifyMode): ParsedProof | undefined {
  const { members } = proof
  if (!members || members.size !== MEMBERS.length + 1 || ![...MEMBERS, SIGNATURE].every((name) => members.has(name))) {
    return undefined
  }
  const signature = members.get(SIGNATURE) as RawMember
  const tag = decodeTag(JSON.parse(sliceOf(text, signature)))
  const action = actionOf(text, members)
  // A signature in another spelling is a wrong one, and the proof is well-formed all the same.
  if (!action || typeof JSON.parse(sliceOf(text, signature)) !== 'string') return undefined
  const message =
    mode === 'excise'
      ? excise(text, proof, signature)
      : `{${MEMBERS.map((name) => `"${name}":${sliceOf(text, members.get(name) as RawMember)}`).join(',')}}`
  return { action, message: encoder.encode(message), tag: tag ?? new Uint8Array(0) }
}

/** Takes a proof of the strict mode apart: the five members and no signature, which the exchange request carries. */
export function parseUnsignedProof(text: string, { members }: RawValue): ParsedProof | undefined {
  if (!members || members.size !== MEMBERS.length || !MEMBERS.every((name) => members.has(name))) return undefined
  const action = actionOf(text, members)
  return action && { action, message: new Uint8Array(0), tag: new Uint8Array(0) }
}

/** Tells whether a proof's age is `-skew` or more and less than `maxAge`. */
export function isFresh(timestampMs: number, nowMs: number, maxAgeMs: number, skewMs: number): boolean {
  const ageMs = nowMs - timestampMs
  return ageMs >= -skewMs && ageMs < maxAgeMs
}

/** Tells whether one of the secrets made the signature. */
export async function isSigned({ message, tag }: ParsedProof, secret: SecretKey): Promise<boolean> {
  return tag.length === 32 && (await secret.isTag(message, tag as Bytes))
}

/** Finds the members of a body; undefined where it is no JSON object. */
export function scanBody(
  rawBody: BytesLike | string,
  levels: number
): { text: string; members: ReadonlyMap<string, RawMember> } | undefined {
  const text = textOf(rawBody)
  if (text === undefined) return undefined
  try {
    const { members } = scanJson(text, levels)
    return members && { text, members }
  } catch (error) {
    if (isCountersignError(error) && error.code === 'ERR_BAD_JSON') return undefined
    throw error
  }
}

export type VerifyOptions = {
  secret: SecretKey
  /** Unix milliseconds. */
  nowMs: number
  /** 30000 unless told. */
  maxAgeMs?: number
  /** How far a proof may be dated ahead; 5000 unless told. */
  skewMs?: number
  /** `slices` unless told. */
  mode?: VerifyMode
}

/**
 * Checks the body of a request: form, age, signature (in constant time), in this order. It gives what the verified
 * bytes say, or the first reason against them. That the nonce is new, that the action is possible and what it is worth is for
 * the server: `countersign/action-proof/server` does it.
 *
 * @example
 * const verdict = await verifyProof(rawBody, { secret, nowMs: Date.now() })
 */
export async function verifyProof(rawBody: BytesLike | string, options: VerifyOptions): Promise<ProofVerdict> {
  const { secret, nowMs, maxAgeMs = MAX_AGE_MS, skewMs = SKEW_MS, mode = 'slices' } = optionsOf(options, 'options')
  const key = secretKeyOf(secret)
  timeOf(nowMs, 'nowMs')
  integerOf(maxAgeMs, 1, 86_400_000, 'maxAgeMs')
  integerOf(skewMs, 0, 86_400_000, 'skewMs')
  // Any other word would be a wish that is not granted, and nobody told.
  if (mode !== 'slices' && mode !== 'excise') throw badArgument("mode must be 'slices' or 'excise'")
  const body = scanBody(rawBody, 2)
  const raw = body?.members.get(OUTER)
  const opened = body && raw && parseProof(body.text, raw, mode)
  if (!opened) return { ok: false, reason: 'malformed' }
  if (!isFresh(opened.action.timestampMs, nowMs, maxAgeMs, skewMs)) return { ok: false, reason: 'stale' }
  if (!(await isSigned(opened, key))) return { ok: false, reason: 'signature' }
  return { ok: true, proof: opened.action }
}
