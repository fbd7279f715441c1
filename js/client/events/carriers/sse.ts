// SPDX-License-Identifier: MIT
// Server-sent events over fetch: one line `data: base64url(frame)` for each event. EventSource can neither send a
// signed request nor show who refused it.

import { decodeBase64Url } from '../../../common/base64.ts'
import { CountersignError } from '../../../common/errors.ts'
import { EVENT_STREAM_TYPE, FRAME_TYPE, MAX_ENVELOPE } from '../../../common/protocol.ts'
import type { Bytes } from '../../../common/types.ts'
import { essence, readBody, send, unsignedAnswer } from '../../transport/exchange.ts'
import { type CarrierInput, type CarrierItem, signSubscription } from './carrier.ts'

/** Yields the lines of a body as they come, without their ends. Throws ERR_ANSWER_TOO_LARGE for a line over the cap. */
async function* readLines(body: ReadableStream<Bytes>, cap: number, signal: AbortSignal): AsyncGenerator<string> {
  const reader = body.getReader()
  const cancel = (): void => {
    reader.cancel().catch(() => {})
  }
  // The application's own fetch may ignore the signal.
  signal.addEventListener('abort', cancel)
  const decoder = new TextDecoder()
  let unfinished: string[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (signal.aborted) throw signal.reason
      if (done) return
      const [first = '', ...rest] = decoder.decode(value, { stream: true }).split('\n')
      unfinished.push(first)
      size += first.length
      if (size > cap) throw new CountersignError('ERR_ANSWER_TOO_LARGE')
      for (const next of rest) {
        yield unfinished.join('').replace(/\r$/, '')
        unfinished = [next]
        size = next.length
      }
    }
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    throw cause instanceof CountersignError ? cause : new CountersignError('ERR_NETWORK', { cause })
  } finally {
    signal.removeEventListener('abort', cancel)
    cancel()
  }
}

/** Returns the frame of a line; undefined for comments, blank lines and other fields. */
const frameOf = (line: string): Bytes | undefined => {
  if (!line.startsWith('data:')) return undefined
  const frame = decodeBase64Url(line.slice(line[5] === ' ' ? 6 : 5))
  if (!frame) throw new CountersignError('ERR_BAD_BASE64', { detail: 'an event' })
  return frame
}

/**
 * The carrier `sse`. Rejects with transport errors, and with ERR_UNSIGNED_ANSWER when the answer is no event stream.
 */
export async function* readEventStream(input: CarrierInput): AsyncGenerator<CarrierItem> {
  const { settings } = input.host
  const { signal } = input
  const { context, requestId, frame } = await signSubscription(input)
  const headers = { 'content-type': FRAME_TYPE, accept: EVENT_STREAM_TYPE }
  const sentMs = context.clock.monotonic()
  const response = await send(settings, settings.endpoint, { method: 'POST', headers, body: frame }, signal)
  const cap = settings.maxPayload + MAX_ENVELOPE
  if (essence(response) === FRAME_TYPE) {
    // A refusal comes as an ordinary answer.
    yield {
      context,
      frame: await readBody(response, { cap, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal }),
      requestId,
      sentMs
    }
    return
  }
  const { body } = response
  if (essence(response) !== EVENT_STREAM_TYPE || response.status !== 200 || !body) throw unsignedAnswer(response)
  let isFirst = true
  // Base64 makes four characters of three bytes, so twice the cap is enough.
  for await (const text of readLines(body as ReadableStream<Bytes>, 2 * cap, signal)) {
    const item = frameOf(text)
    if (!item) continue
    yield isFirst ? { context, frame: item, requestId, sentMs } : { context, frame: item }
    isFirst = false
  }
}
