// SPDX-License-Identifier: MIT
// Reading a body: bounded in size and time, hashed while it comes in.

import { createHash, type Hash } from 'node:crypto'
import { DeadlineError, within } from '../support/deadline.ts'
import { emptyBytes, sha256 } from '../support/encoding.ts'
import type { Inbound } from '../types.ts'

/** What may become of a body. `gone`: the sender left or broke off. `busy`: all bodies together are too much for now. */
export type Body =
  | { state: 'whole'; bytes: Uint8Array; hash: Uint8Array }
  | { state: 'too-large' | 'too-slow' | 'gone' | 'busy' }

/** Bounds of a body: bytes, the moment it has to be whole (performance.now()), the longest pause, its share of memory. */
export type BodyBounds = { bytes: number; untilMs: number; idleMs: number; lease: Lease }

/** One exchange's part of a budget. */
export type Lease = { take(bytes: number): boolean; release(): void }

/** createBudget bounds the bytes that all exchanges hold together. */
export function createBudget(bytes: number): { lease(): Lease } {
  let left = bytes
  return {
    lease() {
      let held = 0
      return {
        take(wanted) {
          if (wanted > left) return false
          left -= wanted
          held += wanted
          return true
        },
        release() {
          left += held
          held = 0
        }
      }
    }
  }
}

// Pieces are copied together as they come: kept apart, a body sent a byte at a time would cost a hundred times its size.
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

/** readBody reads what follows `first` to the end; it never rejects. */
export async function readBody(inbound: Inbound, first: Uint8Array, bounds: BodyBounds): Promise<Body> {
  let hash: Hash | undefined
  const collector = createCollector()
  let size = 0
  let piece: Uint8Array | null = first
  while (piece !== null) {
    size += piece.length
    if (size > bounds.bytes) return { state: 'too-large' }
    if (!bounds.lease.take(piece.length)) return { state: 'busy' }
    if (piece.length > 0) {
      // Most bodies come in one piece, and are hashed in one call at the end.
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
  }
  const bytes = collector.taken()
  return { state: 'whole', bytes, hash: hash?.digest() ?? sha256(bytes) }
}

/** declaredLength reads `content-length`: undefined where there is none, NaN where it is no number. */
export function declaredLength(inbound: Inbound): number | undefined {
  const text = inbound.header('content-length')
  if (text === null) return undefined
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
}

/** A lease for bodies so small that nobody counts them. */
export const unlimitedLease: Lease = { take: () => true, release: () => {} }
