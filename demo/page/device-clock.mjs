// SPDX-License-Identifier: MIT
// This device's wall clock as the client reads it: the real one, moved by as much as the reader moved its hand.

/** HOUR_MS is one hour on the dial. */
export const HOUR_MS = 3_600_000

/** createDeviceClock returns `{ now, skewMs, setSkew }`; `now` is for `connect({ now })`. */
export const createDeviceClock = () => {
  let skewMs = 0
  return {
    now: () => Date.now() + skewMs,
    skewMs: () => skewMs,
    setSkew(ms) {
      skewMs = ms
    }
  }
}
