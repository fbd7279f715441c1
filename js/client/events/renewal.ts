// SPDX-License-Identifier: MIT
// Opens the next connection while the present one is still there (R105). A gateway ends each stream after a while. The
// next one goes on behind the last event, so nothing is lost, nothing comes twice, and the state stays as it is.

import { CountersignError } from '../../common/errors.ts'
import type { CarrierItem } from './carriers/carrier.ts'
import type { EventHub } from './event-hub.ts'
import { childOf, untilAborted } from './signals.ts'

/** An open connection: its frames, and the controller that ends it. */
export type OpenConnection = { readonly items: AsyncGenerator<CarrierItem>; readonly end: AbortController }

/** A gateway ends a stream after 15 minutes. Clients that connected at the same time do not come back together. */
const RENEW_FROM_MS = 600_000
const RENEW_WITHIN_MS = 240_000
/** The pause before another try, after one that failed: a twentieth of the first wait. */
const AGAIN_SHARE = 1 / 20

/** Opens a connection over the chosen carrier. It goes on behind the hub's last event. */
export function openConnection(hub: EventHub, signal: AbortSignal): OpenConnection {
  const end = childOf(signal)
  return { end, items: hub.choice.read({ host: hub.host, signal: end.signal, asked: () => hub.place.asked }) }
}

/** Ends a connection. What it still brings is dropped. */
export function closeConnection({ items, end }: OpenConnection): void {
  end.abort(new CountersignError('ERR_ABORTED'))
  items.return(undefined).catch(() => {})
}

/**
 * Opens the next connection and takes the answer to its subscription, within `withinMs` milliseconds. Returns undefined
 * where that fails; the present connection then goes on. Its reader must take no event meanwhile.
 */
export async function renewConnection(
  hub: EventHub,
  signal: AbortSignal,
  withinMs: number
): Promise<OpenConnection | undefined> {
  const next = openConnection(hub, signal)
  const cancel = hub.host.settings.schedule(() => next.end.abort(new CountersignError('ERR_TIMEOUT')), withinMs)
  try {
    const { done, value: item } = await untilAborted(next.items.next(), next.end.signal)
    if (!done && item.requestId !== undefined) {
      await hub.begin(item)
      return next
    }
  } catch {
    // A refusal or a lost network says nothing about the present connection.
  } finally {
    cancel()
  }
  closeConnection(next)
  return undefined
}

/** Says when a connection is to be renewed, and ends a wait then. */
export class RenewalTimer {
  isDue = false
  readonly #hub: EventHub
  #cancel: (() => void) | undefined
  #wake: (() => void) | undefined

  constructor(hub: EventHub) {
    this.#hub = hub
  }

  /** Starts the wait, unless it runs. A poll ends by itself, so it needs no renewal. */
  start(share = 1): void {
    const { settings } = this.#hub.host
    if (this.#cancel || this.#hub.choice.carrier === 'poll') return
    const afterMs = share * (RENEW_FROM_MS + settings.random.fraction() * RENEW_WITHIN_MS)
    this.#cancel = settings.schedule(() => {
      this.isDue = true
      this.#wake?.()
    }, afterMs)
  }

  /** Begins again after a renewal, sooner after one that failed. */
  restart(isRenewed: boolean): void {
    this.stop()
    this.start(isRenewed ? 1 : AGAIN_SHARE)
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.isDue = false
  }

  /** Settles as the promise does, or resolves to undefined when the renewal is due. */
  until<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined)
      if (this.isDue) resolve(undefined)
      promise.then(resolve, reject)
    })
  }
}
