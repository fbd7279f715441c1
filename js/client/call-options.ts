// SPDX-License-Identifier: MIT
// What a caller hands to one call, read once and checked before anything is sent, and the limits it sets.

import { CountersignError } from '../common/errors.ts'
import type { Schedule } from '../common/platform.ts'
import { encodeText } from '../common/text.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { badArgument, copyOf, functionOf, textOf, timeoutOf } from '../core/args.ts'

/** Told while a body arrives; byte counts only, since nothing of it has been verified yet. */
export type Progress = { receivedBytes: number; totalBytes: number | undefined }

export type RequestOptions = {
  signal?: AbortSignal | null | undefined
  /** The limit of the whole call with its retries, in milliseconds. */
  timeoutMs?: number | undefined
  /** Makes the call safe to repeat: 1 to 64 of `[A-Za-z0-9_-]`, handed to the application, the same for every try. */
  idempotencyKey?: string | undefined
  onProgress?: ((progress: Progress) => void) | undefined
}

// `cs.action_secret` is asked for by a profile, which is no part of this client.
const RESERVED = /^(?:cs\.(?!action_secret$)|http\.|sha256:)| /

/** checkType throws a usage error for a type that is no text, that is reserved (R31, R32) or that the policy forbids. */
export function checkType(
  { allowTypes }: { allowTypes?: ((type: string) => boolean) | undefined },
  type: unknown
): void {
  if (RESERVED.test(textOf(type, 'type'))) throw new CountersignError('ERR_RESERVED_TYPE')
  if (allowTypes?.(type as string) === false) throw new CountersignError('ERR_TYPE_NOT_ALLOWED')
}

/** bytesOfPayload copies a caller's payload (R92), text as UTF-8; throws usage errors. */
export function bytesOfPayload(payload: BytesLike | string | undefined): Bytes {
  if (payload === undefined) return new Uint8Array(0)
  if (typeof payload !== 'string') return copyOf(payload, 'payload')
  if (!/\p{Surrogate}/u.test(payload)) return encodeText(payload)
  throw new CountersignError('ERR_INVALID_TEXT', { detail: 'payload has a lone surrogate' })
}

/** payloadOf copies a caller's payload (R92), text as UTF-8; throws ERR_PAYLOAD_TOO_LARGE and usage errors. */
export function payloadOf({ maxPayload }: { maxPayload: number }, payload: BytesLike | string | undefined): Bytes {
  const bytes = bytesOfPayload(payload)
  if (bytes.length > maxPayload) throw new CountersignError('ERR_PAYLOAD_TOO_LARGE')
  return bytes
}

export function idempotencyKeyOf(key: unknown): string | undefined {
  if (key === undefined || (typeof key === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(key))) return key
  throw new CountersignError('ERR_INVALID_IDEMPOTENCY_KEY')
}

/** signalOf checks an AbortSignal that may be left out. */
export function signalOf(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined
  if (typeof signal.addEventListener !== 'function') throw badArgument('signal must be an AbortSignal')
  return signal
}

/** readRequest reads the options of a call; throws usage errors. */
export function readRequest(settings: { timeoutMs: number }, options: RequestOptions) {
  const { signal, timeoutMs, idempotencyKey, onProgress } = options
  return {
    signal: signalOf(signal),
    timeoutMs: timeoutMs === undefined ? settings.timeoutMs : timeoutOf(timeoutMs),
    idempotencyKey: idempotencyKeyOf(idempotencyKey),
    onProgress: onProgress === undefined ? undefined : functionOf(onProgress, 'onProgress')
  }
}

const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis

/** Schedules with the platform's timers. */
export function schedule(run: () => void, afterMs: number): () => void {
  const timer = startTimer(run, afterMs)
  return () => stopTimer(timer)
}

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
