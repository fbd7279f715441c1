// SPDX-License-Identifier: MIT
// The rest of an answer that goes on, into a response of node:http or a web-standard body: pulled, so that a slow reader
// holds back its own stream and nothing else.

import type { ServerResponse } from 'node:http'
import type { OutboundStream } from '../types.ts'

/** Resolves once more may be written, or nothing can be any more. */
const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const settle = () => {
      response.off('drain', settle).off('close', settle)
      resolve()
    }
    response.on('drain', settle).on('close', settle)
  })

/** pipeToNode writes a stream behind a response's head; it never rejects. */
export async function pipeToNode(response: ServerResponse, body: Uint8Array, stream: OutboundStream): Promise<void> {
  // An end that a reader does not take in time is cut off.
  stream.onOver(() => {
    if (!response.writableFinished) response.destroy()
  })
  response.once('close', () => stream.leave())
  let piece: Uint8Array | null = body
  while (piece && !response.destroyed) {
    if (!response.write(piece) && !response.destroyed) await drained(response)
    if (response.destroyed) break
    piece = await stream.next()
  }
  response.end()
}

/** bodyOf makes a web-standard body of an answer that goes on. */
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
