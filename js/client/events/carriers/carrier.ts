// SPDX-License-Identifier: MIT
// The input and output of every carrier. It yields the answer to a subscription first, then the frames of events. It
// does not verify them, and yields one at a time, when the reader asks for it.

import { encodeJson } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import { signFrame } from '../../transport/exchange.ts'
import type { CallContext } from '../../transport/types.ts'
import type { EventsHost } from '../types.ts'

/** An unverified frame. One with a request id answers that request; the others are events. */
export type CarrierItem = {
  readonly context: CallContext
  readonly frame: Bytes
  readonly requestId?: string
  /** When the request was sent, in milliseconds of the monotonic clock; only where its answer came at once. */
  readonly sentMs?: number
}

/** The input of a carrier. It calls `asked` when it connects, to learn after which event to go on. */
export type CarrierInput = {
  readonly host: EventsHost
  readonly signal: AbortSignal
  asked(): { after?: number; stream?: string }
}

/** A signed `cs.subscribe` request. */
export type SignedSubscription = { readonly context: CallContext; readonly requestId: string; readonly frame: Bytes }

/** Signs the request that opens a stream. Rejects as a request does before it is sent. */
export async function signSubscription({ host, asked }: CarrierInput): Promise<SignedSubscription> {
  const context = await host.context()
  const message = { type: 'cs.subscribe', payload: encodeJson(asked()), idempotencyKey: undefined }
  return { context, ...(await signFrame(context, message, true)) }
}
