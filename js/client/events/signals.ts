// SPDX-License-Identifier: MIT
// Helpers for abort signals and for waits that they end.

/** Makes a controller that aborts with a parent signal, and that its owner can abort earlier. */
export function childOf(signal: AbortSignal): AbortController {
  const child = new AbortController()
  const abort = (): void => child.abort(signal.reason)
  if (signal.aborted) abort()
  else {
    signal.addEventListener('abort', abort)
    // A parent that lives longer must not keep the listener of its child.
    child.signal.addEventListener('abort', () => signal.removeEventListener('abort', abort))
  }
  return child
}

/** Settles as the promise does, or rejects with the signal's reason as soon as the signal aborts. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    const leave = (): void => signal.removeEventListener('abort', stop)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    promise.then(resolve, reject).finally(leave)
  })
}

/** Lets several waits end with the next change. */
export class Changes {
  #waiting: (() => void)[] = []

  notify(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Resolves at the next change, or when the signal aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake)
      if (signal.aborted) wake()
      else this.#waiting.push(wake)
    })
  }
}
