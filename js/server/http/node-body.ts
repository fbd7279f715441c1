// SPDX-License-Identifier: MIT
// The body of a node:http request: pulled one piece at a time, and where somebody else may need it, put back.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { CountersignError } from '../../common/errors.ts'

/** hasBody tells whether a request announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** NodeBody reads a request's body. */
export type NodeBody = {
  /** The next piece, null at the end; rejects where the sender is gone. */
  read(): Promise<Uint8Array | null>
  /** Lets what is left of the body flow again: a stream with a `readable` listener does not. */
  release(): void
  /** Puts back what was read, so that the next reader finds it whole; false where that cannot be. */
  putBack(): Promise<boolean>
}

/**
 * createNodeBody pulls one piece at a time, so that a sender is held back while the gateway thinks. With `isKept` it can be put
 * back: a stream takes bytes back as long as it has not told its end, so the last piece goes back before that.
 */
export function createNodeBody(request: IncomingMessage, beforeFirst: () => void, isKept: boolean): NodeBody {
  const pieces: Buffer[] = []
  let isBack = false
  let wake: (() => void) | undefined
  let isListening = false
  let error: unknown
  const onEvent = () => {
    wake?.()
    wake = undefined
  }
  const onError = (reason: unknown) => {
    error = reason
    onEvent()
  }
  const unshift = () => {
    isBack = true
    if (pieces.length > 0) request.unshift(Buffer.concat(pieces))
  }
  const listen = () => {
    isListening = true
    beforeFirst()
    request.on('readable', onEvent).on('end', onEvent).on('close', onEvent).on('error', onError)
  }
  return {
    async read(): Promise<Uint8Array | null> {
      if (!hasBody(request)) return null
      if (!isListening) listen()
      for (;;) {
        if (isBack) return null
        const piece: Buffer | null = request.read()
        if (isKept && piece !== null) pieces.push(piece)
        // Nothing more is coming: the end would be told in the next tick.
        if (isKept && request.complete && !request.readableEnded && request.readableLength === 0) unshift()
        if (piece !== null || isBack) return piece
        if (request.readableEnded) return null
        if (error !== undefined || request.destroyed) throw error ?? new CountersignError('ERR_ABORTED')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    release() {
      request.off('readable', onEvent)
    },
    async putBack() {
      request.off('readable', onEvent)
      if (!isListening) {
        beforeFirst()
        return true
      }
      if (!isBack && request.readableEnded) return false
      if (!isBack) unshift()
      // A stream notices in the next tick that nobody waits for `readable` any more.
      await new Promise(setImmediate)
      return true
    }
  }
}

/** continueOf asks for a body that waits for `100 Continue`, where the server leaves that to its listeners. */
export function continueOf(request: IncomingMessage, response: ServerResponse) {
  return () => {
    const server = (request.socket as { server?: { listenerCount(event: string): number } }).server
    const isExpected = /^100-continue$/i.test(request.headers.expect ?? '')
    if (isExpected && (server?.listenerCount('checkContinue') ?? 0) > 0) response.writeContinue()
  }
}
