// SPDX-License-Identifier: MIT
// One connection that is made anew whenever it is lost. A late reply refuses its own command only: others may be in
// time, and replies come in the order of their commands, so a late one is taken for no other (R138). The connection is
// given up when nothing at all has come for a second. Commands must not pile up behind a server that has stopped, so
// there is a bound on those without a reply, and beyond it they are refused at once.

import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import { within } from '../../support/deadline.ts'
import { type CommandWord, destroy, type RedisClientLike, storageFailed } from './client.ts'

const CONNECT_MS = 5000
const BEAT_MS = 1000
const FIRST_DELAY_MS = 20
const LONGEST_DELAY_MS = 1000
/** A connection on which commands wait, and no reply has come for so long, is dead. */
const SILENT_MS = 1000
/** The most commands without a reply. A Redis that answers at all answers so many within the deadline. */
const MAX_PENDING = 1024

export type RedisConnectionOptions = {
  /** Names the server in messages. */
  address: string
  /** The longest that a command may take, in milliseconds. */
  deadlineMs: number
  /** Makes a client that does not reconnect by itself. */
  make(): RedisClientLike
  /** Checks a new connection before it counts. A rejection gives it up. */
  greet(client: RedisClientLike): Promise<void>
  /** Checks the connection each second. A rejection gives it up, except for a reply that is late. */
  beat(send: SendCommand): Promise<void>
  onUp?(): void
  onDown?(error: unknown): void
}

/** Sends one command. Rejects with ERR_STORAGE_FAILED when there is no connection, or when the reply is late. */
export type SendCommand = (words: CommandWord[], options?: object) => Promise<unknown>

/** A connection that is up, or being made. */
type RedisConnection = {
  send: SendCommand
  /** Makes the first connection. Rejects when that fails. */
  open(): Promise<void>
  /** Gives the present connection up and makes another. */
  renew(reason: string): void
  close(): void
}

// When every address of one name refuses, Node's error has no message of its own.
const messageOf = (error: unknown): string => {
  const { message, errors } = error as AggregateError
  return message || (errors ?? []).map((one) => one.message).join(', ') || String(error)
}

/** Errors by which a server says that it takes no writes. */
const isNoPrimary = (error: unknown): boolean =>
  /^(READONLY|LOADING|MASTERDOWN)/.test(String((error as Error)?.message))

/** Creates a connection that is not open yet. */
export function createConnection(options: RedisConnectionOptions): RedisConnection {
  const { address, deadlineMs } = options
  let current: RedisClientLike | undefined
  let lastError: unknown = storageFailed(`Redis at ${address} is not connected yet`)
  let failures = 0
  let isClosed = false
  let reconnecting: NodeJS.Timeout | undefined
  let beating: NodeJS.Timeout | undefined

  // Commands without a reply on the present connection, and since when none has had one.
  let pending = 0
  let silentSince = 0
  const lateErrors = new WeakSet<object>()

  const drop = (client: RedisClientLike, error: unknown): void => {
    if (client !== current) return
    current = undefined
    clearInterval(beating)
    lastError = error
    destroy(client)
    options.onDown?.(error)
    reconnect()
  }

  // Full jitter keeps many gateways that lost the same server from coming back at the same moment.
  const reconnect = (): void => {
    if (isClosed) return
    const longestMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures)
    reconnecting = setTimeout(() => connect().catch(() => reconnect()), Math.random() * longestMs)
  }

  const hear = (client: RedisClientLike): void => {
    if (client !== current) return
    pending -= 1
    silentSince = performance.now()
  }

  const sendTo = (client: RedisClientLike, words: CommandWord[], choices?: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const expire = (): void => {
        const late = storageFailed(`Redis at ${address} did not answer within ${deadlineMs} ms`)
        lateErrors.add(late)
        reject(late)
        if (performance.now() - silentSince >= SILENT_MS) drop(client, late)
      }
      // A reply that arrived while this process was busy is read before the deadline counts.
      const timer = setTimeout(() => {
        expiring = setImmediate(expire)
      }, deadlineMs)
      let expiring: NodeJS.Immediate | undefined
      const settle = (): void => {
        clearTimeout(timer)
        clearImmediate(expiring)
        hear(client)
      }
      if (pending === 0) silentSince = performance.now()
      pending += 1
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

  const send: SendCommand = (words, choices) => {
    if (isClosed) return Promise.reject(new CountersignError('ERR_CLOSED'))
    if (!current) return Promise.reject(storageFailed(`Redis at ${address} is not connected`, lastError))
    if (pending >= MAX_PENDING)
      return Promise.reject(storageFailed(`Redis at ${address} has ${pending} commands to answer`))
    return sendTo(current, words, choices)
  }

  const beat = (client: RedisClientLike): void => {
    options
      .beat((words, choices) => sendTo(client, words, choices))
      .catch((error) => {
        if (!lateErrors.has(error)) drop(client, error)
      })
  }

  const connect = async (): Promise<void> => {
    failures += 1
    const client = options.make()
    let failure: unknown
    client.on('error', (error) => {
      failure ??= error
      drop(client, error)
    })
    try {
      await within(CONNECT_MS, `Redis at ${address}`, async () => {
        await client.connect()
        await options.greet(client)
      })
      if (failure) throw failure
      if (isClosed) throw new CountersignError('ERR_CLOSED')
    } catch (error) {
      destroy(client)
      lastError = isCountersignError(error) ? error : storageFailed(`Redis at ${address}: ${messageOf(error)}`, error)
      throw lastError
    }
    failures = 0
    pending = 0
    current = client
    beating = setInterval(beat, BEAT_MS, client)
    options.onUp?.()
  }

  return {
    send,
    open: connect,
    renew(reason) {
      if (current) drop(current, storageFailed(reason))
    },
    close() {
      isClosed = true
      clearTimeout(reconnecting)
      clearInterval(beating)
      if (current) destroy(current)
      current = undefined
    }
  }
}
