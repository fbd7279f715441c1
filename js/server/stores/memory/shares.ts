// SPDX-License-Identifier: MIT
// Counts what shares of a replay store in memory hold (R163). The guard of the core knows sessions only. So this counts what
// the guard was given, until the second after it expires: never less than the guard holds.

import type { ReplayShare } from '../../types.ts'
import { roomOf } from '../common.ts'

type Shares = readonly ReplayShare[]

const SWEEP_EVERY_MS = 1000
const secondOf = (expiresMs: number): number => Math.floor(expiresMs / 1000) + 1

/** The shares of one store. `nowMs` is the gateway's time. */
export type ShareLedger = {
  /** Returns whether each share has room for an id, or for a session's floor. */
  hasRoom(kind: 'ids' | 'most', shares: Shares, nowMs: number): boolean
  addId(shares: Shares, expiresMs: number): void
  hasFloor(session: string): boolean
  /** Counts a session's floor. With `isSwap` an id that was counted has made room for it. */
  addFloor(session: string, shares: Shares, expiresMs: number, isSwap: boolean): void
}

/** Creates the ledger of a store that holds `capacity` ids. */
export function createShareLedger(capacity: number): ShareLedger {
  // For each share the number of its entries by the second in which they are gone.
  const counts = new Map<string, Map<number, number>>()
  const floors = new Map<string, number>()
  let sweptMs = Number.NEGATIVE_INFINITY

  const sweep = (nowMs: number): void => {
    if (Math.abs(nowMs - sweptMs) < SWEEP_EVERY_MS) return
    sweptMs = nowMs
    for (const [name, seconds] of counts) {
      for (const second of seconds.keys()) if (second * 1000 <= nowMs) seconds.delete(second)
      if (seconds.size === 0) counts.delete(name)
    }
    for (const [session, second] of floors) if (second * 1000 <= nowMs) floors.delete(session)
  }
  const change = (shares: Shares, second: number, by: number): void => {
    for (const { name } of shares) {
      const seconds = counts.get(name) ?? new Map<number, number>()
      counts.set(name, seconds)
      seconds.set(second, Math.max(0, (seconds.get(second) ?? 0) + by))
    }
  }
  const countOf = (name: string): number => {
    let sum = 0
    for (const count of counts.get(name)?.values() ?? []) sum += count
    return sum
  }

  return {
    hasRoom(kind, shares, nowMs) {
      sweep(nowMs)
      return shares.every((share) => countOf(share.name) < roomOf(capacity, share)[kind])
    },
    addId: (shares, expiresMs) => change(shares, secondOf(expiresMs), 1),
    hasFloor: (session) => floors.has(session),
    addFloor(session, shares, expiresMs, isSwap) {
      const kept = floors.get(session)
      const second = Math.max(kept ?? 0, secondOf(expiresMs))
      floors.set(session, second)
      if (kept === second || (kept === undefined && isSwap)) return
      if (kept !== undefined) change(shares, kept, -1)
      change(shares, second, 1)
    }
  }
}
