// SPDX-License-Identifier: MIT
// Writes a stream of events into a response of node:http or a web-standard body. The frames are pulled, so a slow
// reader holds back only its own stream.

import type { ServerResponse } from 'node:http'
import type { OutboundStream } from '../types.ts'

/** Tells whether nobody reads a response any more. One of HTTP/2 has no `destroyed`, but its stream has. */
export function isGone(response: ServerResponse & { stream?: { destroyed: boolean } | null }): boolean {
  return response.destroyed || response.stream?.destroyed === true
}

/** Resolves when the response takes more bytes, or has closed. */
const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const settle = () => {
      response.off('drain', settle).off('close', settle)
      resolve()
    }
    response.on('drain', settle).on('close', settle)
  })

/** Writes `body` and then the stream into a response whose head is sent. Never rejects. */
export async function pipeToNode(response: ServerResponse, body: Uint8Array, stream: OutboundStream): Promise<void> {
  // Where a reader does not take the end of the stream in time, its connection is cut.
  stream.onOver(() => {
    if (!response.writableFinished) response.destroy()
  })
  response.once('close', () => stream.leave())
  let piece: Uint8Array | null = body
  while (piece && !isGone(response)) {
    if (!response.write(piece) && !isGone(response)) await drained(response)
    if (isGone(response)) break
    piece = await stream.next()
  }
  response.end()
}

/** Returns a web-standard body of `body` and the stream. */
export function bodyOf(body: Uint8Array, stream: OutboundStream): ReadableStream<Uint8Array> {
  let first: Uint8Array | undefined = body
  let isDone = false
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        stream.onOver(() => {
          if (isDone) return
          isDone = true
          controller.error(new TypeError('the stream was cut off'))
        })
      },
      async pull(controller) {
        const piece = first ?? (await stream.next())
        first = undefined
        if (isDone) return
        if (piece) controller.enqueue(piece)
        else {
          isDone = true
          controller.close()
        }
      },
      cancel() {
        isDone = true
        stream.leave()
      }
    },
    { highWaterMark: 0 }
  )
}
