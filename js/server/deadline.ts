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
export const within = <T>(ms: number, what: string, work: () => T | PromiseLike<T>): Promise<T> =>
  new Promise((resolve, reject) => {
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
