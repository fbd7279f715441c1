// SPDX-License-Identifier: MIT
// The frame binding: a request and its answer are one frame each (R29).

import { FRAME_TYPE, MAX_ENVELOPE } from '../../../common/protocol.ts'
import type { Bytes } from '../../../common/types.ts'
import type { ClientSettings } from '../../options.ts'
import { essence, unsignedAnswer } from '../exchange.ts'
import { type HttpBinding, isApplicationResult } from './binding.ts'

const MAGIC_BYTES = 3
const FIELDS = 3

/**
 * Returns the offset of a frame's payload. For a frame that is not well-formed it returns a length that the core
 * refuses, because the core checks the envelope.
 */
export function envelopeLength(frame: Uint8Array): number {
  const limit = Math.min(frame.length, MAX_ENVELOPE + 1)
  let at = MAGIC_BYTES
  for (let field = 0; field < FIELDS; field++) {
    const low = frame[at++] ?? 0
    if (low < 0x80) at += low
    else at += (low & 0x7f) + ((frame[at] ?? 0) << 7) + 1
  }
  return Math.min(at, limit)
}

/** Returns copies of a frame's envelope and payload. */
export function splitFrame(frame: Uint8Array): { envelope: Bytes; payload: Bytes } {
  const length = envelopeLength(frame)
  return { envelope: Uint8Array.from(frame.subarray(0, length)), payload: Uint8Array.from(frame.subarray(length)) }
}

/** Returns the frame binding of a client. */
export function frameBinding({ endpoint, maxPayload }: ClientSettings): HttpBinding {
  const headers = { 'content-type': FRAME_TYPE }
  return {
    write: (core, { signingInput, signature, payload }) => {
      const body = core.buildFrame({ signingInput, keyId: '', signature, payload })
      return { url: endpoint, init: { method: 'POST', headers, body } }
    },
    async read(_core, response, receive) {
      if (essence(response) !== FRAME_TYPE) throw unsignedAnswer(response)
      return splitFrame(await receive(maxPayload + MAX_ENVELOPE))
    },
    isResult: isApplicationResult
  }
}
