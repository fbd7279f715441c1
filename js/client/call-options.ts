// SPDX-License-Identifier: MIT
// What a caller hands to one call, read once and checked before anything is sent.

import { CountersignError } from '../common/errors.ts'
import { encodeJson, encodeText } from '../common/text.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { badArgument, copyOf, textOf } from '../core/args.ts'
import { type ClientSettings, functionOf, timeoutOf } from './options.ts'
import type { HttpBinding } from './transport/bindings/binding.ts'
import type { Call } from './transport/exchange.ts'
import type { Progress } from './transport/http.ts'

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
export function checkType({ allowTypes }: Pick<ClientSettings, 'allowTypes'>, type: unknown): void {
  if (RESERVED.test(textOf(type, 'type'))) throw new CountersignError('ERR_RESERVED_TYPE')
  if (!allowTypes(type as string)) throw new CountersignError('ERR_TYPE_NOT_ALLOWED')
}

/** bytesOfPayload copies a caller's payload (R92), text as UTF-8; throws usage errors. */
export function bytesOfPayload(payload: BytesLike | string | undefined): Bytes {
  if (payload === undefined) return new Uint8Array(0)
  if (typeof payload !== 'string') return copyOf(payload, 'payload')
  if (!/\p{Surrogate}/u.test(payload)) return encodeText(payload)
  throw new CountersignError('ERR_INVALID_TEXT', { detail: 'payload has a lone surrogate' })
}

/** payloadOf copies a caller's payload (R92), text as UTF-8; throws ERR_PAYLOAD_TOO_LARGE and usage errors. */
export function payloadOf({ maxPayload }: ClientSettings, payload: BytesLike | string | undefined): Bytes {
  const bytes = bytesOfPayload(payload)
  if (bytes.length > maxPayload) throw new CountersignError('ERR_PAYLOAD_TOO_LARGE')
  return bytes
}

/** ownCall makes a call of one of the protocol's own types: to repeat any of them is to do it once. */
export function ownCall(
  { settings, binding }: { readonly settings: ClientSettings; readonly binding: HttpBinding },
  type: string,
  members?: object
): Call {
  return {
    type,
    payload: members ? encodeJson(members) : new Uint8Array(0),
    binding,
    idempotencyKey: undefined,
    isSafe: true,
    timeoutMs: settings.timeoutMs
  }
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
export function readRequest(settings: ClientSettings, options: RequestOptions) {
  const { signal, timeoutMs, idempotencyKey, onProgress } = options
  return {
    signal: signalOf(signal),
    timeoutMs: timeoutMs === undefined ? settings.timeoutMs : timeoutOf(timeoutMs),
    idempotencyKey: idempotencyKeyOf(idempotencyKey),
    onProgress: onProgress === undefined ? undefined : functionOf(onProgress, 'onProgress')
  }
}
