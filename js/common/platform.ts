// SPDX-License-Identifier: MIT
// The platform's functions, each taken once when the module loads. A script that replaces a global later changes
// nothing here (SECURITY.md, "Code that runs before countersign"). keys/device-key.ts and core/client-core.ts do the
// same with WebCrypto. Loading calls no function and reads no object that an environment makes on first use.

const { crypto, performance } = globalThis
const getRandomValues = crypto?.getRandomValues?.bind(crypto)

/** True when this environment has secure random numbers. */
export const hasRandom = getRandomValues !== undefined

/**
 * Fills a buffer with random bytes and returns it. The platform's generator serves when the application passes none.
 */
export type FillRandom = (buffer: Uint8Array<ArrayBuffer>) => Uint8Array

/** Fills a buffer with bytes of the platform's secure generator and returns it. */
export function fillRandom(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  return getRandomValues(bytes)
}

/** The platform's `fetch`, undefined where there is none. */
export const platformFetch: typeof fetch | undefined = globalThis.fetch?.bind(globalThis)

/**
 * Returns what to do about a page that has no origin of its own: storage refuses it, and so do gateways by default.
 * Returns undefined elsewhere.
 */
export function opaqueOrigin(): string | undefined {
  const { location, origin } = globalThis
  // Outside of pages and workers the origin may be `null` too, and means nothing.
  return location && origin === 'null'
    ? 'this page has no origin: serve it over https, not from file: or in a sandboxed frame'
    : undefined
}

/** The wall clock, in Unix milliseconds. */
export const wallNow: () => number = Date.now

/** A clock that never steps, in milliseconds since an origin of its own. */
export const monotonicNow: () => number = performance.now.bind(performance)

/** Calls `run` once after `afterMs` milliseconds. Returns the function that cancels the call. */
export type Schedule = (run: () => void, afterMs: number) => () => void
