// SPDX-License-Identifier: MIT
// Reads and checks the options of one call before anything is sent, and enforces the limits that they set.

import { CountersignError } from '../common/errors.ts'
import type { Schedule } from '../common/platform.ts'
import { encodeText } from '../common/text.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { badArgument, copyOf, functionOf, optionsOf, textOf, timeoutOf } from '../core/args.ts'

/**
 * The progress of an answer's body, in bytes. It has counts only, since nothing of the body is verified yet.
 * `totalBytes` is undefined when the server did not declare the length.
 */
export type Progress = { receivedBytes: number; totalBytes: number | undefined }

/** A request's payload: bytes, text, which becomes UTF-8, or a value that becomes JSON. */
export type Payload = BytesLike | string | { json: unknown }

/** The options of one request. */
export type RequestOptions = {
  /** Aborts the call, which then rejects with ERR_ABORTED. */
  signal?: AbortSignal | null | undefined
  /** The limit of the whole call with its retries, in milliseconds. Default: `timeoutMs` of `connect` (15000 ms). */
  timeoutMs?: number | undefined
  /**
   * Makes the call safe to repeat: 1 to 64 of `[A-Za-z0-9_-]`, the same for every try. The gateway passes it to the
   * application. Default: none.
   */
  idempotencyKey?: string | undefined
  /** Receives the progress while the answer's body arrives. */
  onProgress?: ((progress: Progress) => void) | undefined
}

// A profile, which is no part of this client, sends `cs.action_secret`, so it is not reserved.
const RESERVED = /^(?:cs\.(?!action_secret$)|http\.|sha256:)| /

/**
 * Checks a message type.
 * @throws ERR_RESERVED_TYPE when the protocol reserves the type (R31, R32), ERR_TYPE_NOT_ALLOWED when the signing
 * policy forbids it, and usage errors.
 */
export function checkType(
  { allowTypes }: { allowTypes?: ((type: string) => boolean) | undefined },
  type: unknown
): void {
  if (RESERVED.test(textOf(type, 'type'))) throw new CountersignError('ERR_RESERVED_TYPE')
  if (allowTypes?.(type as string) === false) throw new CountersignError('ERR_TYPE_NOT_ALLOWED')
}

const jsonOf = (value: object): string => {
  const { json, ...others } = value as { json: unknown }
  let text: string | undefined
  try {
    text = Object.keys(others).length > 0 ? undefined : JSON.stringify(json)
  } catch {
    // A bigint or a circle has no JSON, as a function has none.
  }
  if (text === undefined) throw badArgument('{ json } must hold one JSON value')
  return text
}

/**
 * Copies a caller's payload once, at the beginning of the call (R92). Text becomes UTF-8, and `{ json }` JSON.
 * @throws usage errors.
 */
export function bytesOfPayload(payload: Payload | undefined): Bytes {
  if (payload === undefined) return new Uint8Array(0)
  if (typeof payload === 'object' && payload !== null && 'json' in payload) return encodeText(jsonOf(payload))
  if (typeof payload !== 'string') return copyOf(payload, 'payload')
  if (!/\p{Surrogate}/u.test(payload)) return encodeText(payload)
  throw new CountersignError('ERR_INVALID_TEXT', { detail: 'payload has a lone surrogate' })
}

/**
 * Copies a caller's payload once, as bytesOfPayload does.
 * @throws ERR_PAYLOAD_TOO_LARGE when it is over the limit, and usage errors.
 */
export function payloadOf({ maxPayload }: { maxPayload: number }, payload: Payload | undefined): Bytes {
  const bytes = bytesOfPayload(payload)
  if (bytes.length > maxPayload) throw new CountersignError('ERR_PAYLOAD_TOO_LARGE')
  return bytes
}

/**
 * Checks an idempotency key and returns it.
 * @throws ERR_INVALID_IDEMPOTENCY_KEY when it is none.
 */
export function idempotencyKeyOf(key: unknown): string | undefined {
  if (key === undefined || (typeof key === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(key))) return key
  throw new CountersignError('ERR_INVALID_IDEMPOTENCY_KEY')
}

/**
 * Checks an optional AbortSignal and returns it.
 * @throws ERR_INVALID_ARGUMENT when the value is no AbortSignal.
 */
export function signalOf(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined
  if (typeof signal.addEventListener !== 'function') throw badArgument('signal must be an AbortSignal')
  return signal
}

/**
 * Reads the options of a call.
 * @throws usage errors.
 */
export function readRequest(settings: { timeoutMs: number }, options: RequestOptions) {
  const known = ['signal', 'timeoutMs', 'idempotencyKey', 'onProgress']
  const { signal, timeoutMs, idempotencyKey, onProgress } = optionsOf(options, 'options', known)
  return {
    signal: signalOf(signal),
    timeoutMs: timeoutMs === undefined ? settings.timeoutMs : timeoutOf(timeoutMs),
    idempotencyKey: idempotencyKeyOf(idempotencyKey),
    onProgress: onProgress === undefined ? undefined : functionOf(onProgress, 'onProgress')
  }
}

const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis

/** Calls `run` after `afterMs` milliseconds by the platform's timers. Returns the function that cancels the call. */
export function schedule(run: () => void, afterMs: number): () => void {
  const timer = startTimer(run, afterMs)
  return () => stopTimer(timer)
}

/** The limits of a call. `ends` holds a function for each open call of the client; close() ends the calls with them. */
export type CallLimits = {
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number
  readonly schedule: Schedule
  readonly ends: Set<(error: CountersignError) => void>
}

/**
 * Runs work and settles as it does. It rejects at once with ERR_ABORTED, ERR_TIMEOUT or ERR_CLOSED when the caller
 * aborts, time runs out or the client is closed. The signal that the work receives aborts with the same error.
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

/** Waits for `ms` milliseconds. Rejects with the signal's reason as soon as the signal aborts. */
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
