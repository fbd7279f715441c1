// SPDX-License-Identifier: MIT
// Verifies a proof over the bytes that arrived, never over JSON that was serialised again.

import { isCountersignError } from '../../common/errors.ts'
import { DAY_MS } from '../../common/protocol.ts'
import { encodeText, tryDecodeText } from '../../common/text.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, copyOf, integerOf, optionsOf, timeOf } from '../../core/args.ts'
import { decodeTag } from '../common/bytes.ts'
import { isJsonObject } from '../common/canonical-json.ts'
import { type RawMember, type RawValue, scanJson } from '../common/json-scanner.ts'
import { type SecretKey, secretKeyOf } from './create.ts'
import { isActionType, isNonce, MEMBERS, OUTER, SIGNATURE, timeOfTimestamp } from './message.ts'
import type { ProofVerdict, VerifiedAction } from './types.ts'

export const MAX_AGE_MS = 30_000
export const SKEW_MS = 5_000

/**
 * Selects the signed text of a body: the members in their fixed order (`slices`), or the proof without its signature
 * (`excise`).
 */
export type VerifyMode = 'slices' | 'excise'

/** A parsed proof: its content, and the bytes that its signature covers. Nothing in it is verified. */
export type ParsedProof = { action: VerifiedAction; message: Bytes; tag: Bytes }

function textOf(body: BytesLike | string): string | undefined {
  if (typeof body === 'string') return body
  // The decoder keeps a byte order mark, and the JSON grammar refuses it.
  return tryDecodeText(copyOf(body, 'rawBody'))
}

function sliceOf(text: string, { start, end }: RawValue): string {
  return text.slice(start, end)
}

/** Removes the signature and one comma from the text of a proof. */
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

/**
 * Parses one proof of a body. Returns undefined when it is malformed, also for duplicate, unknown or missing members.
 */
export function parseProof(text: string, proof: RawValue, mode: VerifyMode): ParsedProof | undefined {
  const { members } = proof
  if (!members || members.size !== MEMBERS.length + 1 || ![...MEMBERS, SIGNATURE].every((name) => members.has(name))) {
    return undefined
  }
  const signature = members.get(SIGNATURE) as RawMember
  const tag = decodeTag(JSON.parse(sliceOf(text, signature)))
  const action = actionOf(text, members)
  // A text that is no tag is a wrong signature. Only a value that is no text makes the proof malformed.
  if (!action || typeof JSON.parse(sliceOf(text, signature)) !== 'string') return undefined
  const message =
    mode === 'excise'
      ? excise(text, proof, signature)
      : `{${MEMBERS.map((name) => `"${name}":${sliceOf(text, members.get(name) as RawMember)}`).join(',')}}`
  return { action, message: encodeText(message), tag: tag ?? new Uint8Array(0) }
}

/** Parses a proof of the strict mode: five members without a signature, because the exchange request carries it. */
export function parseUnsignedProof(text: string, { members }: RawValue): ParsedProof | undefined {
  if (!members || members.size !== MEMBERS.length || !MEMBERS.every((name) => members.has(name))) return undefined
  const action = actionOf(text, members)
  return action && { action, message: new Uint8Array(0), tag: new Uint8Array(0) }
}

/** Returns whether the age of a proof is at least `-skewMs` and less than `maxAgeMs`. */
export function isFresh(timestampMs: number, nowMs: number, maxAgeMs: number, skewMs: number): boolean {
  const ageMs = nowMs - timestampMs
  return ageMs >= -skewMs && ageMs < maxAgeMs
}

/** Returns whether this secret made the signature. */
export async function isSigned({ message, tag }: ParsedProof, secret: SecretKey): Promise<boolean> {
  return tag.length === 32 && (await secret.isTag(message, tag as Bytes))
}

/** Finds the members of a body. Returns undefined when the body is not a JSON object. */
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
  /** The present time, in Unix milliseconds. */
  nowMs: number
  /** The age from which a proof is stale. Default: 30000 ms. */
  maxAgeMs?: number
  /** How far in the future a proof's time may lie. Default: 5000 ms. */
  skewMs?: number
  /** Default: `slices`. */
  mode?: VerifyMode
}

/**
 * Verifies the body of a request: form, age, then signature, compared in constant time. Resolves to the content of
 * the proof, or to the first failed check. It does not check whether the nonce is new or the action possible, nor
 * what the action is worth: `countersign/action-proof/server` does.
 * Rejects with ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for invalid options.
 *
 * @example
 * const verdict = await verifyProof(rawBody, { secret, nowMs: Date.now() })
 */
export async function verifyProof(rawBody: BytesLike | string, options: VerifyOptions): Promise<ProofVerdict> {
  const { secret, nowMs, maxAgeMs = MAX_AGE_MS, skewMs = SKEW_MS, mode = 'slices' } = optionsOf(options, 'options')
  const key = secretKeyOf(secret)
  timeOf(nowMs, 'nowMs')
  integerOf(maxAgeMs, 1, DAY_MS, 'maxAgeMs')
  integerOf(skewMs, 0, DAY_MS, 'skewMs')
  // Refuse a misspelled mode: the caller would believe that it took effect.
  if (mode !== 'slices' && mode !== 'excise') throw badArgument("mode must be 'slices' or 'excise'")
  const body = scanBody(rawBody, 2)
  const raw = body?.members.get(OUTER)
  const parsed = body && raw && parseProof(body.text, raw, mode)
  if (!parsed) return { ok: false, reason: 'malformed' }
  if (!isFresh(parsed.action.timestampMs, nowMs, maxAgeMs, skewMs)) return { ok: false, reason: 'stale' }
  if (!(await isSigned(parsed, key))) return { ok: false, reason: 'signature' }
  return { ok: true, proof: parsed.action }
}
