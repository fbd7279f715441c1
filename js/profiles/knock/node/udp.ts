// SPDX-License-Identifier: MIT
// One datagram out, at most one back.

import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { CountersignError } from '../../../common/errors.ts'

/** What a daemon sends is no longer than its largest block. */
const MAX_REPLY = 1024

export type UdpExchange = {
  /** An IP address: whoever has a name looks it up, and judges what came of it. */
  address: string
  port: number
  datagram: Uint8Array
  /** 0 sends and does not wait. */
  replyWithinMs: number
  signal?: AbortSignal | undefined
}

/**
 * Sends a datagram from a port of its own and gives the first one that comes back from there, or null where none
 * does in time. It rejects with ERR_NETWORK where it cannot be sent, and with ERR_ABORTED.
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
    // Connected: the system drops what comes from anywhere else. Where there is no way to the address, Node hands the error to
    // this function and not to the event; a socket that is not connected would throw at send, outside of this promise.
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
