// SPDX-License-Identifier: MIT
import { CountersignError } from '../common/errors.ts'
import type { Schedule } from '../common/platform.ts'

/** What may end a call before it is done; `ends` are those of every call of one client, for close(). */
export type CallLimits = {
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number
  readonly schedule: Schedule
  readonly ends: Set<(error: CountersignError) => void>
}

/**
 * withinLimits runs work and settles as it does, unless the caller aborts, time runs out or the client is closed: then it
 * rejects at once, with ERR_ABORTED, ERR_TIMEOUT or ERR_CLOSED, which is also the reason of the signal that work gets.
 */
export function withinLimits<T>(limits: CallLimits, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { signal, timeoutMs, schedule, ends } = limits
    const controller = new AbortController()
    const leave = (): void => {
      cancel()
      ends.delete(end)
      signal?.removeEventListener('abort', abort)
    }
    const end = (error: CountersignError): void => {
      leave()
      reject(error)
      controller.abort(error)
    }
    const abort = (): void => end(new CountersignError('ERR_ABORTED', { cause: signal?.reason }))
    const cancel = schedule(() => end(new CountersignError('ERR_TIMEOUT')), timeoutMs)
    if (signal?.aborted) return abort()
    ends.add(end)
    signal?.addEventListener('abort', abort)
    work(controller.signal).then(
      (value) => {
        leave()
        resolve(value)
      },
      (error) => {
        leave()
        reject(error)
      }
    )
  })
}

/** pause waits, or rejects with the signal's reason as soon as that aborts. */
export function pause(schedule: Schedule, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = schedule(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop)
  })
}
