// SPDX-License-Identifier: MIT
// Client keys at the gateway (PROTOCOL.md, R20 to R25). The core verifies Ed25519. Node's crypto verifies ES256, after
// the checks that it leaves out. The algorithm of the registered key decides; a message cannot choose one.

import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { Es256Verdicts, Judgement, JudgeTime } from '../common/judgement.ts'
import type { Algorithm, Core, ParsedRequest } from '../common/types.ts'
import type { SessionRecord } from './types.ts'

/** A registered or offered key. */
export type ClientKey = { algorithm: Algorithm; publicKey: Uint8Array }

const POINT_SIZE = 65
const SIGNATURE_SIZE = 64
const UNCOMPRESSED = 4
const SPKI_P256 = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex')
const CACHED_KEYS = 4096

// The import of a point costs as much as a verification. The cache's keys are public keys, never parts of a signature.
const importedPoints = createPointCache(CACHED_KEYS)

function createPointCache(capacity: number) {
  const points = new Map<string, KeyObject>()
  return {
    get: (name: string): KeyObject | undefined => points.get(name),
    add(name: string, key: KeyObject): void {
      if (points.size >= capacity) points.delete(points.keys().next().value as string)
      points.set(name, key)
    }
  }
}

// Length and form first: Node would accept a compressed or a hybrid point. The import checks that it is on the curve.
function importPoint(point: Uint8Array): KeyObject | undefined {
  if (point.length !== POINT_SIZE || point[0] !== UNCOMPRESSED) return undefined
  const name = Buffer.from(point).toString('latin1')
  const known = importedPoints.get(name)
  if (known) return known
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI_P256, point]), format: 'der', type: 'spki' })
    importedPoints.add(name, key)
    return key
  } catch {
    return undefined
  }
}

/**
 * Tells whether a key may be registered: a canonical Ed25519 key of full order, or an uncompressed P-256 point on the
 * curve (R25). Returns false for everything else, and never throws.
 */
export function isAcceptableKey(core: Core, { algorithm, publicKey }: ClientKey): boolean {
  if (algorithm === 'es256') return importPoint(publicKey) !== undefined
  return algorithm === 'ed25519' && publicKey.length === 32 && core.isAcceptableEd25519Key(publicKey)
}

function verifyEs256(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = importPoint(publicKey)
  if (!key || signature.length !== SIGNATURE_SIZE) return false
  try {
    return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}

/**
 * Verifies a signature of 64 bytes by the key's own algorithm (R21). Returns false also for a key that is not valid.
 */
export function verifySignature(
  core: Core,
  { algorithm, publicKey }: ClientKey,
  message: Uint8Array,
  signature: Uint8Array
): boolean {
  if (algorithm === 'es256') return verifyEs256(publicKey, message, signature)
  if (algorithm !== 'ed25519' || publicKey.length !== 32 || signature.length !== SIGNATURE_SIZE) return false
  return core.verifyEd25519(publicKey, message, signature)
}

/** Judges a request. The core asks for the verdict of each ES256 key that counts, and for no other (R21). */
export function judgeRequest(
  core: Core,
  request: ParsedRequest,
  session: SessionRecord | null,
  time: JudgeTime
): Judgement {
  const { signingInput, signature } = request
  const es256: Es256Verdicts = {}
  for (;;) {
    const judgement = core.judgeRequest(request, session, es256, time)
    if (judgement.next === 'verify-key') es256.key = verifyEs256(session!.publicKey, signingInput, signature)
    else if (judgement.next === 'verify-previous')
      es256.previous = verifyEs256(session!.previous!.publicKey, signingInput, signature)
    else return judgement
  }
}
