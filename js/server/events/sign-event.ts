// SPDX-License-Identifier: MIT
// Event frames. They are signed when they are sent, so that their time bounds the client's clock, and the key is
// valid then.

import type { Core } from '../../common/types.ts'
import { signWithin } from '../support/deadline.ts'
import { sha256 } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { ServerSigner, StoredEvent } from '../types.ts'

/** The stream that an event goes to. */
type EventDestination = { core: Core; sessionId: string; stream: string }

/** Makes the frame of one event. Rejects when the signer fails or does not answer in time. */
type EventSigner = (destination: EventDestination, event: StoredEvent) => Promise<Uint8Array>

const LOW_BITS = 0x7f
const MORE = 0x80

/** Writes a field: the length of the bytes, then the bytes (R4). */
export function writeField(bytes: Uint8Array): Uint8Array {
  const head: number[] = []
  let size = bytes.length
  for (; size > LOW_BITS; size >>>= 7) head.push((size & LOW_BITS) | MORE)
  head.push(size)
  return Buffer.concat([Buffer.from(head), bytes])
}

/** Creates the signer of one gateway's events. */
export function createEventSigner(options: {
  label: string
  signer: ServerSigner
  clock: GatewayClock
  signMs: number
}): EventSigner {
  const { label, signer, clock, signMs } = options
  return async ({ core, sessionId, stream }, { type, sequence, payload }) => {
    const signingInput = core.eventSigningInput({
      label,
      deviceSessionId: sessionId,
      eventType: type,
      sequence,
      timestampMs: clock.now(),
      eventId: core.eventId(stream, sequence, type),
      payloadHash: sha256(payload)
    })
    const signature = await signWithin(signMs, signer, signingInput)
    return core.buildFrame({ signingInput, keyId: signer.keyId, signature, payload })
  }
}
