// SPDX-License-Identifier: MIT
// Long polling: `cs.poll` is an ordinary request whose answer waits for events. Readers that are behind use it as well.

import { CountersignError } from '../../../common/errors.ts'
import { encodeJson } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import { frameBinding } from '../../transport/bindings/frame.ts'
import { makeCall } from '../../transport/exchange.ts'
import type { CarrierInput, CarrierItem } from './carrier.ts'

// The gateway answers a long poll within 25 s. After this slack the client gives up.
const POLL_SLACK_MS = 10_000
const POLL_WAIT_MS = 20_000

const truncated = (): never => {
  throw new CountersignError('ERR_TRUNCATED', { detail: 'the answer to cs.poll' })
}

/** Splits repeated field(frame) into frames. Throws ERR_TRUNCATED or ERR_BAD_LENGTH. */
export function splitFields(bytes: Bytes): Bytes[] {
  const fields: Bytes[] = []
  for (let offset = 0; offset < bytes.length; ) {
    let length = 0
    for (let factor = 1; ; factor *= 128) {
      const low = bytes[offset++] ?? truncated()
      length += (low & 0x7f) * factor
      if (low < 0x80) {
        if ((low === 0 && factor > 1) || length > bytes.length) throw new CountersignError('ERR_BAD_LENGTH')
        break
      }
      if (factor > 2 ** 28) throw new CountersignError('ERR_BAD_LENGTH')
    }
    if (length > bytes.length - offset) truncated()
    fields.push(bytes.slice(offset, offset + length))
    offset += length
  }
  return fields
}

/** Asks once for events; the gateway waits up to `waitMs` for the first one. Rejects as a request does. */
export async function poll({ host, asked, signal }: CarrierInput, waitMs: number): Promise<CarrierItem[]> {
  const context = await host.context()
  const { resultCode, payload, requestId } = await makeCall(
    context,
    {
      type: 'cs.poll',
      payload: encodeJson({ ...asked(), wait_ms: waitMs }),
      binding: frameBinding(host.settings),
      idempotencyKey: undefined,
      isSafe: true,
      timeoutMs: waitMs + POLL_SLACK_MS
    },
    signal
  )
  if (resultCode !== 'ok') throw new CountersignError('ERR_UNKNOWN_RESULT', { resultCode })
  return splitFields(payload).map((frame, index) => (index === 0 ? { context, frame, requestId } : { context, frame }))
}

/** The carrier `poll`. Rejects as a request does. */
export async function* readPolls(input: CarrierInput): AsyncGenerator<CarrierItem> {
  // The gateway answers the first poll at once: it names the position of the stream.
  for (let waitMs = 0; ; waitMs = POLL_WAIT_MS) yield* await poll(input, waitMs)
}
