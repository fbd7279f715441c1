// SPDX-License-Identifier: MIT
// The body of a node:http request: read piece by piece, and put back where another handler may need it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { CountersignError } from '../../common/errors.ts'

/** The stream of a request of HTTP/2. Undefined for one of HTTP/1. */
const http2StreamOf = (request: IncomingMessage & { stream?: ServerHttp2Stream }): ServerHttp2Stream | undefined =>
  request.httpVersionMajor < 2 ? undefined : request.stream

/** Tells whether a request has a body. HTTP/2 announces none: a body is there unless the headers end the stream (R152). */
export function hasBody(request: IncomingMessage): boolean {
  const stream = http2StreamOf(request)
  if (stream) return !stream.endAfterHeaders
  const { headers } = request
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

// A request of HTTP/2 counts as complete only when its reader has seen the end. Its stream knows before.
const hasArrived = (request: IncomingMessage): boolean => http2StreamOf(request)?.readableEnded ?? request.complete

/** The reader of a request's body. */
export type NodeBody = {
  /** Resolves to the next piece, or to null at the end. Rejects where the sender is gone. */
  read(): Promise<Uint8Array | null>
  /** Lets the rest of the body flow again. A stream with a `readable` listener does not flow. */
  release(): void
  /**
   * Puts the read pieces back, so that the next reader gets the whole body. Resolves to false where that is not
   * possible.
   */
  putBack(): Promise<boolean>
}

/**
 * Returns a reader that pulls one piece at a time, so a sender has to wait while the gateway works. With `isKept` the
 * body can be put back. A stream takes bytes back only until it emits its end, so the last piece goes back before that.
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
        // No more bytes will come: the stream would emit its end in the next tick.
        if (isKept && hasArrived(request) && !request.readableEnded && request.readableLength === 0) unshift()
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
      // The stream notices in the next tick that it has no `readable` listener any more.
      await new Promise(setImmediate)
      return true
    }
  }
}

/** Returns how many listeners the server of a request has for an event. */
export function listenerCountOf({ socket }: IncomingMessage, event: string): number {
  const { server } = socket as { server?: { listenerCount(event: string): number } }
  return server?.listenerCount(event) ?? 0
}

/**
 * Returns a function that sends `100 Continue` where the client waits for it and the server leaves it to its listeners.
 */
export function continueOf(request: IncomingMessage, response: ServerResponse) {
  return () => {
    const isExpected = /^100-continue$/i.test(request.headers.expect ?? '')
    if (isExpected && listenerCountOf(request, 'checkContinue') > 0) response.writeContinue()
  }
}
