// SPDX-License-Identifier: MIT
// What every carrier is given and what it gives: the signed answer to a subscription first, then frames of events, nothing
// of which it has verified, one at a time, as they are asked for.

import { encodeJson } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import { signFrame } from '../../transport/exchange.ts'
import type { CallContext } from '../../transport/types.ts'
import type { EventsHost } from '../types.ts'

/** A frame as it came; one with a request id answers that request, the others are events. */
export type CarrierItem = {
  readonly context: CallContext
  readonly frame: Bytes
  readonly requestId?: string
  /** When the request was sent, on the monotonic clock, where its answer came at once. */
  readonly sentMs?: number
}

/** What a carrier is given: `asked` tells, when it connects, behind which event to go on. */
export type CarrierInput = {
  readonly host: EventsHost
  readonly signal: AbortSignal
  asked(): { after?: number; stream?: string }
}

/** A `cs.subscribe` request, signed and ready to be sent. */
export type SignedSubscription = { readonly context: CallContext; readonly requestId: string; readonly frame: Bytes }

/** subscribe signs the request that opens a stream; rejects as a request does before it is sent. */
export async function subscribe({ host, asked }: CarrierInput): Promise<SignedSubscription> {
  const context = await host.context()
  const message = { type: 'cs.subscribe', payload: encodeJson(asked()), idempotencyKey: undefined }
  return { context, ...(await signFrame(context, message, true)) }
}
