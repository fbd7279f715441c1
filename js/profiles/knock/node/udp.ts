// SPDX-License-Identifier: MIT
// One datagram out, at most one back.

import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { CountersignError } from '../../../errors.ts'

/** What a daemon sends is no longer than its largest block. */
const MAX_REPLY = 1024

export type Exchange = {
  /** An IP address: whoever has a name looks it up, and judges what came of it. */
  address: string
  port: number
  datagram: Uint8Array
  /** 0 sends and does not wait. */
  replyWithinMs: number
  signal?: AbortSignal | undefined
}

/**
 * exchangeUdp sends a datagram from a port of its own and gives the first one that comes back from there, or null where none
 * does in time. It rejects with ERR_NETWORK where it cannot be sent, and with ERR_ABORTED.
 */
export const exchangeUdp = ({ address, port, datagram, replyWithinMs, signal }: Exchange): Promise<Uint8Array | null> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4')
    let timer: NodeJS.Timeout | undefined
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      // Closed already where two ends came at once.
      try {
        socket.close()
      } catch {
        return
      }
      settle()
    }
    const fail = (cause: unknown): void => end(() => reject(new CountersignError('ERR_NETWORK', { cause })))
    const abort = (): void => end(() => reject(new CountersignError('ERR_ABORTED', { cause: signal?.reason })))
    if (signal?.aborted) return abort()
    signal?.addEventListener('abort', abort)
    socket.on('error', fail)
    // Connected: the system drops what comes from anywhere else.
    socket.connect(port, address, () => {
      socket.on('message', (message) => {
        if (message.length <= MAX_REPLY) end(() => resolve(new Uint8Array(message)))
      })
      socket.send(datagram, (error) => {
        if (error) return fail(error)
        if (replyWithinMs === 0) return end(() => resolve(null))
        timer = setTimeout(() => end(() => resolve(null)), replyWithinMs)
      })
    })
  })
