// SPDX-License-Identifier: MIT
// The one way to wait in tests, the same in Node and in every page: a wait ends on what happened. Time only ends a hung run.

/** How long a wait may take before the run counts as hung. No verdict depends on it: a machine may be as slow as it likes. */
export const HUNG_MS = 300_000

const inMs = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * until asks again and again, and resolves to the first truthy value; `what` names what a hung run waited for. It asks less
 * and less often, up to ten times a second: what is asked is often a page, which has to work to answer.
 */
export const until = async (check, what = 'a condition') => {
  const endMs = performance.now() + HUNG_MS
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    const value = await check()
    if (value) return value
    if (performance.now() > endMs) throw new Error(`hung: waited for ${typeof what === 'function' ? what() : what}`)
    await inMs(pauseMs)
  }
}

/** within gives what the promise gives, and rejects with `what` where the run hangs. */
export const within = async (what, promise) => {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`hung: ${what}`)), HUNG_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * turns lets everything run that is ready to run in this program: so many turns of its event loop. For asserting that nothing
 * happens: a slow machine may overlook a fault here, and cannot make one up.
 */
export const turns = async (count = 20) => {
  for (let turn = 0; turn < count; turn++) await inMs(1)
}
