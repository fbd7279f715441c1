// SPDX-License-Identifier: MIT
// What every carrier is given and what it gives: the signed answer to a subscription first, then frames of events, nothing
// of which it has verified, one at a time, as they are asked for.

import type { Bytes } from '../../../common/types.ts'
import { encodeJson } from '../../call-options.ts'
import { digest } from '../../transport/digest.ts'
import type { Line } from '../../transport/exchange.ts'
import { signRequest, takeTime } from '../../transport/exchange.ts'
import type { Host } from '../types.ts'

/** A frame as it came; one with a request id answers that request, the others are events. */
export type Item = {
  readonly line: Line
  readonly frame: Bytes
  readonly requestId?: string
  /** When the request was sent, on the monotonic clock, where its answer came at once. */
  readonly sentMs?: number
}

/** What a carrier is given: `asked` tells, when it connects, behind which event to go on. */
export type Route = {
  readonly host: Host
  readonly signal: AbortSignal
  asked(): { after?: number; stream?: string }
}

/** A `cs.subscribe` request, signed and ready to be sent. */
export type Subscription = { readonly line: Line; readonly requestId: string; readonly frame: Bytes }

/** subscribe signs the request that opens a stream; rejects as a request does before it is sent. */
export async function subscribe({ host, asked }: Route): Promise<Subscription> {
  const line = await host.line()
  const payload = encodeJson(asked())
  const time = takeTime(line, true)
  const timestampMs = typeof time === 'number' ? time : await time
  const call = { type: 'cs.subscribe', payload, idempotencyKey: undefined }
  const request = await signRequest(line, call, await digest(line.core, payload), timestampMs)
  const { signingInput, signature, requestId } = request
  return { line, requestId, frame: line.core.buildFrame({ signingInput, keyId: '', signature, payload }) }
}
