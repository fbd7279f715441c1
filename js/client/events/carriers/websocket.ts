// SPDX-License-Identifier: MIT
// Events over a WebSocket: each binary message is one frame. The client sends its signed request first.

import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import { STREAM_PROTOCOL } from '../../../common/protocol.ts'
import type { Bytes } from '../../../common/types.ts'
import { copyOf } from '../../../core/args.ts'
import { type CarrierInput, type CarrierItem, signSubscription } from './carrier.ts'

// A WebSocket cannot wait for its reader. The client closes one with this many unread messages and asks again later.
const MAX_WAITING = 1024

/** Messages of a socket, to be read one at a time, also after the socket has closed. */
class Inbox {
  readonly #waiting: Bytes[] = []
  #end: { error: CountersignError | undefined } | undefined
  #wake: () => void = () => {}

  /** Adds a message. Returns false when there is no room left. */
  put(message: Bytes): boolean {
    this.#waiting.push(message)
    this.#wake()
    return this.#waiting.length < MAX_WAITING
  }

  end(error?: CountersignError): void {
    this.#end ??= { error }
    this.#wake()
  }

  /** Resolves to the next message, or to undefined after the last one. Rejects with the error that ended the socket. */
  async take(): Promise<Bytes | undefined> {
    for (;;) {
      const message = this.#waiting.shift()
      if (message) return message
      if (this.#end?.error) throw this.#end.error
      if (this.#end) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

// A socket of the application may ignore `binaryType`, or come from another realm.
const bytesOf = (data: unknown): Bytes => {
  try {
    return copyOf(data as ArrayBuffer, 'the message')
  } catch (cause) {
    throw new CountersignError('ERR_BAD_MAGIC', { cause, detail: 'the message is text, not binary' })
  }
}

/** Resolves when the socket is open. Its messages go into the inbox from then on. */
const open = (socket: WebSocket, inbox: Inbox): Promise<void> =>
  new Promise((resolve, reject) => {
    const lost = (detail: string, retry?: 'never'): CountersignError =>
      new CountersignError('ERR_NETWORK', { detail, retry })
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => resolve()
    socket.onerror = () => inbox.end(lost('the WebSocket failed'))
    socket.onclose = ({ code }) => {
      reject(lost(`the WebSocket did not open: ${code}`, 'never'))
      inbox.end()
    }
    socket.onmessage = ({ data }) => {
      try {
        if (!inbox.put(bytesOf(data))) socket.close()
      } catch (error) {
        inbox.end(error as CountersignError)
      }
    }
  })

// The constructor itself throws where a policy or the platform forbids the address. Another carrier may still get through.
const connect = ({ webSocket, endpoint }: CarrierInput['host']['settings']): WebSocket => {
  try {
    return webSocket(endpoint.replace(/^http/, 'ws'), STREAM_PROTOCOL)
  } catch (cause) {
    if (isCountersignError(cause)) throw cause
    throw new CountersignError('ERR_NETWORK', { cause, detail: 'no WebSocket could be made', retry: 'never' })
  }
}

/** The carrier `websocket`. Rejects with ERR_NETWORK when no socket can be opened. */
export async function* readSocket(input: CarrierInput): AsyncGenerator<CarrierItem> {
  const { signal } = input
  const inbox = new Inbox()
  const socket = connect(input.host.settings)
  const stop = (): void => {
    inbox.end(signal.reason)
    socket.close()
  }
  signal.addEventListener('abort', stop)
  try {
    if (signal.aborted) throw signal.reason
    await open(socket, inbox)
    if (socket.protocol !== STREAM_PROTOCOL)
      throw new CountersignError('ERR_NETWORK', { detail: 'the server chose another subprotocol', retry: 'never' })
    const { context, requestId, frame } = await signSubscription(input)
    const sentMs = context.clock.monotonic()
    socket.send(frame)
    for (let isFirst = true; ; isFirst = false) {
      const message = await inbox.take()
      if (!message) return
      yield isFirst ? { context, frame: message, requestId, sentMs } : { context, frame: message }
    }
  } finally {
    signal.removeEventListener('abort', stop)
    socket.close()
  }
}
