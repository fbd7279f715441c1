// SPDX-License-Identifier: MIT
// Sends one datagram and receives at most one.

import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { CountersignError } from '../../../common/errors.ts'

/** The daemon's replies are no longer than its largest block. */
const MAX_REPLY = 1024

export type UdpExchange = {
  /** An IP address. The caller resolves a name itself, and checks the resulting address. */
  address: string
  port: number
  datagram: Uint8Array
  /** 0 sends without waiting. */
  replyWithinMs: number
  signal?: AbortSignal | undefined
}

/**
 * Sends a datagram from a new port. Resolves to the first datagram that comes back, or to null when none comes in
 * time.
 * Rejects with ERR_NETWORK when the datagram cannot be sent, and with ERR_ABORTED.
 */
export function exchangeUdp({
  address,
  port,
  datagram,
  replyWithinMs,
  signal
}: UdpExchange): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4')
    let timer: NodeJS.Timeout | undefined
    let isOver = false
    const end = (settle: () => void): void => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.close()
      settle()
    }
    const fail = (cause: unknown): void => end(() => reject(new CountersignError('ERR_NETWORK', { cause })))
    const abort = (): void => end(() => reject(new CountersignError('ERR_ABORTED', { cause: signal?.reason })))
    if (signal?.aborted) return abort()
    signal?.addEventListener('abort', abort)
    socket.on('error', fail)
    // On a connected socket the system drops datagrams from other senders. Without a route to the address, Node
    // passes the error to this callback, not to the event. A socket that is not connected would throw in send,
    // outside of this promise.
    socket.connect(port, address, (error?: unknown) => {
      if (error) return fail(error)
      if (isOver) return
      socket.on('message', (message) => {
        if (message.length <= MAX_REPLY) end(() => resolve(new Uint8Array(message)))
      })
      socket.send(datagram, (failure) => {
        if (failure) return fail(failure)
        if (replyWithinMs === 0) return end(() => resolve(null))
        timer = setTimeout(() => end(() => resolve(null)), replyWithinMs)
      })
    })
  })
}
