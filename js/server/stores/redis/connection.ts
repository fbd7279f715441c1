// SPDX-License-Identifier: MIT
// One connection that is made anew whenever it is lost, and given up as soon as an answer is late: what waits behind a
// server that has stopped must not pile up, and is refused at once instead.

import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import { within } from '../../support/deadline.ts'
import { type RedisClientLike, storageFailed, type Word } from './client.ts'

const DIAL_MS = 5000
const BEAT_MS = 1000
const FIRST_DELAY_MS = 20
const LONGEST_DELAY_MS = 1000

export type ConnectionOptions = {
  /** Names the server in messages. */
  address: string
  deadlineMs: number
  /** Makes a client that does not reconnect by itself. */
  make(): RedisClientLike
  /** Asks whatever has to be known before the connection counts; a rejection gives it up. */
  greet(client: RedisClientLike): Promise<void>
  /** Asked each second; a rejection, or no answer in time, gives the connection up. */
  beat(ask: Ask): Promise<void>
  onUp?(): void
  onDown?(error: unknown): void
}

/** Sends one command; rejects with ERR_STORAGE_FAILED when it cannot, or when the answer is late. */
export type Ask = (words: Word[], options?: object) => Promise<unknown>

/** Connection is up, or being made. */
export type Connection = {
  ask: Ask
  /** Makes the first connection; rejects where there is none to be had. */
  open(): Promise<void>
  /** Gives the present connection up and makes another. */
  renew(why: string): void
  readonly isUp: boolean
  close(): void
}

// Several addresses of one name that all refuse are an error without a message of its own.
function messageOf(error: unknown): string {
  const { message, errors } = error as AggregateError
  return message || (errors ?? []).map((one) => one.message).join(', ') || String(error)
}

/** Errors by which a server says that it is not, or no longer, one to write to. */
const isNoPrimary = (error: unknown): boolean =>
  /^(READONLY|LOADING|MASTERDOWN)/.test(String((error as Error)?.message))

function end(client: RedisClientLike): void {
  try {
    client.destroy()
  } catch {
    // It has ended already.
  }
}

/** createConnection makes a connection that is not open yet. */
export function createConnection(options: ConnectionOptions): Connection {
  const { address, deadlineMs } = options
  let current: RedisClientLike | undefined
  let lastError: unknown = storageFailed(`Redis at ${address} is not connected yet`)
  let failures = 0
  let isClosed = false
  let redialling: NodeJS.Timeout | undefined
  let beating: NodeJS.Timeout | undefined

  const drop = (client: RedisClientLike, error: unknown): void => {
    if (client !== current) return
    current = undefined
    clearInterval(beating)
    lastError = error
    end(client)
    options.onDown?.(error)
    redial()
  }

  // Full jitter: many gateways that lost the same server do not come back at the same moment.
  const redial = (): void => {
    if (isClosed) return
    const most = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures)
    redialling = setTimeout(() => dial().catch(() => redial()), Math.random() * most)
  }

  const askOf = (client: RedisClientLike, words: Word[], choices?: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const expire = (): void => {
        const late = storageFailed(`Redis at ${address} did not answer within ${deadlineMs} ms`)
        reject(late)
        drop(client, late)
      }
      // An answer that arrived while this process was busy is read before the deadline counts.
      const timer = setTimeout(() => {
        pending = setImmediate(expire)
      }, deadlineMs)
      let pending: NodeJS.Immediate | undefined
      const settle = (): void => {
        clearTimeout(timer)
        clearImmediate(pending)
      }
      client.sendCommand(words, choices).then(
        (reply) => {
          settle()
          resolve(reply)
        },
        (error) => {
          settle()
          reject(storageFailed(`Redis at ${address}: ${messageOf(error)}`, error))
          if (isNoPrimary(error)) drop(client, error)
        }
      )
    })

  const ask: Ask = (words, choices) => {
    if (isClosed) return Promise.reject(new CountersignError('ERR_CLOSED'))
    if (!current) return Promise.reject(storageFailed(`Redis at ${address} is not connected`, lastError))
    return askOf(current, words, choices)
  }

  const beat = (client: RedisClientLike): void => {
    options.beat((words, choices) => askOf(client, words, choices)).catch((error) => drop(client, error))
  }

  const dial = async (): Promise<void> => {
    failures += 1
    const client = options.make()
    let hasFailed: unknown
    client.on('error', (error) => {
      hasFailed ??= error
      drop(client, error)
    })
    try {
      await within(DIAL_MS, `Redis at ${address}`, async () => {
        await client.connect()
        await options.greet(client)
      })
      if (hasFailed) throw hasFailed
      if (isClosed) throw new CountersignError('ERR_CLOSED')
    } catch (error) {
      end(client)
      lastError = isCountersignError(error) ? error : storageFailed(`Redis at ${address}: ${messageOf(error)}`, error)
      throw lastError
    }
    failures = 0
    current = client
    beating = setInterval(beat, BEAT_MS, client)
    options.onUp?.()
  }

  return {
    ask,
    open: dial,
    renew(why) {
      if (current) drop(current, storageFailed(why))
    },
    get isUp() {
      return current !== undefined
    },
    close() {
      isClosed = true
      clearTimeout(redialling)
      clearInterval(beating)
      if (current) end(current)
      current = undefined
    }
  }
}
