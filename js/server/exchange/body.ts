// SPDX-License-Identifier: MIT
// Reads a body: within bounds of size and time, and hashed while it arrives.

import { createHash, type Hash } from 'node:crypto'
import { types } from 'node:util'
import { DeadlineError, within } from '../support/deadline.ts'
import { emptyBytes, sha256 } from '../support/encoding.ts'
import type { Inbound } from '../types.ts'
import type { Lease } from './budget.ts'

/**
 * The result of reading a body. `gone`: the sender left or broke off. `share` and `full`: there is no memory for it, in
 * a share or at all.
 */
export type BodyResult =
  | { state: 'whole'; bytes: Uint8Array; hash: Uint8Array }
  | { state: 'too-large' | 'too-slow' | 'gone' | 'share' | 'full' }

/**
 * The bounds of a body. `bytes` is its size, `idleMs` the longest pause, `lease` its part of the memory budget.
 * `untilMs` is the time by which it has to be whole, on the scale of performance.now().
 */
export type BodyBounds = { bytes: number; untilMs: number; idleMs: number; lease: Pick<Lease, 'take'> }

/** A piece of a body that is no bytes: a fault of the adapter, and not of the sender. */
export class PieceError extends Error {
  override name = 'PieceError'
}

/**
 * Returns a piece that an adapter has read. Throws a PieceError for anything but bytes: the hash of a text is that of its
 * UTF-8, but its length is another one, so a handler would get other bytes than the signed ones.
 */
export function checkPiece(piece: Uint8Array | null): Uint8Array | null {
  if (piece === null || types.isUint8Array(piece)) return piece
  throw new PieceError('read() of an Inbound must resolve to a Uint8Array or to null')
}

// Copies the pieces together as they arrive. Kept apart, a body of one-byte pieces would cost a hundred times its size.
function createCollector() {
  let bytes = emptyBytes()
  let size = 0
  return {
    add(piece: Uint8Array) {
      if (size === 0) bytes = piece
      else {
        if (size + piece.length > bytes.length) {
          const larger = Buffer.allocUnsafeSlow(Math.max(2 * size, size + piece.length))
          larger.set(bytes.subarray(0, size))
          bytes = larger
        }
        bytes.set(piece, size)
      }
      size += piece.length
    },
    taken: () => bytes.subarray(0, size),
    get size() {
      return size
    }
  }
}

/** Reads a body to its end; `first` is the part that has arrived. Rejects with a PieceError only. */
export async function readBody(inbound: Inbound, first: Uint8Array, bounds: BodyBounds): Promise<BodyResult> {
  let hash: Hash | undefined
  const collector = createCollector()
  let size = 0
  let piece: Uint8Array | null = first
  while (piece !== null) {
    size += piece.length
    if (size > bounds.bytes) return { state: 'too-large' }
    const verdict = bounds.lease.take(piece.length)
    if (verdict !== 'taken') return { state: verdict }
    if (piece.length > 0) {
      // Most bodies arrive in one piece, and one call at the end hashes them.
      if (collector.size > 0) hash ??= createHash('sha256').update(collector.taken())
      hash?.update(piece)
      collector.add(piece)
    }
    const left = Math.min(bounds.idleMs, bounds.untilMs - performance.now())
    if (left <= 0) return { state: 'too-slow' }
    try {
      piece = await within(left, 'the body', () => inbound.read())
    } catch (error) {
      return { state: error instanceof DeadlineError ? 'too-slow' : 'gone' }
    }
    checkPiece(piece)
  }
  const bytes = collector.taken()
  return { state: 'whole', bytes, hash: hash?.digest() ?? sha256(bytes) }
}

/** Returns the number in `content-length`: undefined where there is no such header, NaN where it is no number. */
export function declaredLength(inbound: Inbound): number | undefined {
  const text = inbound.header('content-length')
  if (text === null) return undefined
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
}
