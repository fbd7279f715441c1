// SPDX-License-Identifier: MIT
// What this package takes from the platform, taken once when the module loads: a script that replaces a global later changes
// nothing here (SECURITY.md, "Code that runs before countersign"). keys.ts and digest.ts do the same with WebCrypto. Nothing is
// called, and nothing is read that an environment makes on first use.

const { crypto, performance } = globalThis
const getRandomValues = crypto?.getRandomValues?.bind(crypto)

/** Whether this environment has secure random numbers. */
export const hasRandom = getRandomValues !== undefined

/** Fills a buffer with random bytes and gives it back; the platform's generator where an application injects none. */
export type FillRandom = (buffer: Uint8Array<ArrayBuffer>) => Uint8Array

/** Fills a buffer by the platform's generator. */
export function fillRandom(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  return getRandomValues(bytes)
}

export const platformFetch: typeof fetch | undefined = globalThis.fetch?.bind(globalThis)

/** The wall clock, in Unix milliseconds. */
export const wallNow: () => number = Date.now

/** A clock that never steps, in milliseconds from an origin of its own. */
export const monotonicNow: () => number = performance.now.bind(performance)

/** Calls `run` once, `afterMs` later; the function it returns cancels that. */
export type Schedule = (run: () => void, afterMs: number) => () => void
