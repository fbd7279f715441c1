// SPDX-License-Identifier: MIT

/** childOf makes a controller that aborts with another signal, and can by itself. */
export function childOf(signal: AbortSignal): AbortController {
  const child = new AbortController()
  const abort = (): void => child.abort(signal.reason)
  if (signal.aborted) abort()
  else {
    signal.addEventListener('abort', abort)
    // Nothing stays behind in a parent that lives longer.
    child.signal.addEventListener('abort', () => signal.removeEventListener('abort', abort))
  }
  return child
}

/** untilAborted settles as a promise does, or rejects with the signal's reason as soon as that aborts. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    const leave = (): void => signal.removeEventListener('abort', stop)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    promise.then(resolve, reject).finally(leave)
  })
}
