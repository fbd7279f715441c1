// SPDX-License-Identifier: MIT
// Nothing the gateway waits for may hang it: stores, signers, bodies and handlers all have a deadline.

/** DeadlineError says that something did not answer in time. */
export class DeadlineError extends Error {
  override name = 'DeadlineError'
}

/**
 * within gives what `work` gives, or rejects with a DeadlineError after `ms`. A synchronous throw of `work` becomes a
 * rejection; what comes after the deadline is dropped.
 */
export function within<T>(ms: number, what: string, work: () => T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineError(`${what} did not answer within ${ms} ms`)), ms)
    const settle = (finish: () => void) => {
      clearTimeout(timer)
      finish()
    }
    try {
      Promise.resolve(work()).then(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error))
      )
    } catch (error) {
      settle(() => reject(error))
    }
  })
}

/** Listen calls back once, at once where it has happened already; it gives the way to stop listening. */
export type Listen = (listener: () => void) => () => void

/** Bell rings once: what an AbortSignal does, at the price of a function call. */
export type Bell = { ring(): void; listen: Listen }

/** createBell makes a bell that has not rung. */
export function createBell(): Bell {
  const listeners = new Set<() => void>()
  let hasRung = false
  return {
    ring() {
      if (hasRung) return
      hasRung = true
      for (const listener of [...listeners]) listener()
      listeners.clear()
    },
    listen(listener) {
      if (hasRung) listener()
      else listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
}
