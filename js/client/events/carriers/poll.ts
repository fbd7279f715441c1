// SPDX-License-Identifier: MIT
// Long-polling: `cs.poll`, an ordinary request whose answer waits for events. Also how a reader who is behind catches up.

import { CountersignError } from '../../../common/errors.ts'
import { encodeJson } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import { frameBinding } from '../../transport/bindings/frame.ts'
import { makeCall } from '../../transport/exchange.ts'
import type { CarrierInput, CarrierItem } from './carrier.ts'

// The gateway answers a long poll within 25 s; an answer that is later than this is none.
const POLL_SLACK_MS = 10_000
const POLL_WAIT_MS = 20_000

const truncated = (): never => {
  throw new CountersignError('ERR_TRUNCATED', { detail: 'the answer to cs.poll' })
}

/** splitFields takes repeated field(frame) apart; throws ERR_TRUNCATED or ERR_BAD_LENGTH. */
export function splitFields(bytes: Bytes): Bytes[] {
  const fields: Bytes[] = []
  for (let at = 0; at < bytes.length; ) {
    let length = 0
    for (let factor = 1; ; factor *= 128) {
      const low = bytes[at++] ?? truncated()
      length += (low & 0x7f) * factor
      if (low < 0x80) {
        if ((low === 0 && factor > 1) || length > bytes.length) throw new CountersignError('ERR_BAD_LENGTH')
        break
      }
      if (factor > 2 ** 28) throw new CountersignError('ERR_BAD_LENGTH')
    }
    if (length > bytes.length - at) truncated()
    fields.push(bytes.slice(at, at + length))
    at += length
  }
  return fields
}

/** poll asks once for what there is, waiting up to `waitMs` for something; rejects as a request does. */
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

/** readPolls is the carrier `poll`; rejects as a request does. */
export async function* readPolls(route: CarrierInput): AsyncGenerator<CarrierItem> {
  // The first answer comes at once: it says where the stream is.
  for (let waitMs = 0; ; waitMs = POLL_WAIT_MS) yield* await poll(route, waitMs)
}
