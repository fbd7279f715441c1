// SPDX-License-Identifier: MIT
// Keeps a connection to the gateway: when one ends, the next one follows. The end of a stream has no other meaning.

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { isSigned } from '../transport/refusals.ts'
import { Backoff, isFinal, isOffline } from './backoff.ts'
import type { CarrierItem } from './carriers/carrier.ts'
import type { EventHub } from './event-hub.ts'
import { closeConnection, openConnection, RenewalTimer, renewConnection } from './renewal.ts'
import { childOf, untilAborted } from './signals.ts'
import { SilenceTimer } from './silence-timer.ts'

/** After this silence, two and a half heartbeats, a proxy or the network has given up the open connection. */
export const SILENCE_MS = 25_000
// A proxy that holds a stream back until it ends would hold it for ever.
const FIRST_ANSWER_MS = 12_000

// The gateway got the request without the headers or the payload of a subscription: a proxy has changed it.
const isChangedRequest = (error: unknown): boolean =>
  isCountersignError(error) && error.resultCode === 'invalid_payload'

/** How a connection went. */
type ConnectionOutcome = {
  error: unknown
  /** Whether the answer to the subscription was verified. */
  hasBegun: boolean
  /** Whether an event after that answer was verified. */
  wasGood: boolean
  /** Whether it was refused for a key that another tab has replaced. The new key then signs the next request. */
  isRenewed: boolean
}

/** Opens one connection and takes its events until it ends; resolves in any case. */
async function runConnection(
  hub: EventHub,
  signal: AbortSignal,
  onFrame: (item: CarrierItem) => void
): Promise<ConnectionOutcome> {
  const { settings } = hub.host
  const outcome: ConnectionOutcome = { error: undefined, hasBegun: false, wasGood: false, isRenewed: false }
  const inner = childOf(signal)
  const silenceTimer = new SilenceTimer(settings, FIRST_ANSWER_MS, () => {
    const silence = new CountersignError('ERR_TIMEOUT', { detail: 'the stream is silent' })
    hub.apply('silent', silence)
    inner.abort(silence)
  })
  const goOffline = (): void => inner.abort(new CountersignError('ERR_NETWORK', { detail: 'the device went offline' }))
  globalThis.addEventListener?.('offline', goOffline)
  const renewal = new RenewalTimer(hub)
  let connection = openConnection(hub, inner.signal)
  let next = connection.items.next()
  let context: CarrierItem['context'] | undefined
  try {
    for (;;) {
      const taken = await untilAborted(renewal.until(next), inner.signal)
      if (!taken) {
        const renewed = await renewConnection(hub, inner.signal, FIRST_ANSWER_MS)
        renewal.restart(renewed !== undefined)
        if (!renewed) continue
        // What the old connection still brings, the new one brings too.
        next.catch(() => {})
        closeConnection(connection)
        connection = renewed
        next = connection.items.next()
        silenceTimer.restart(SILENCE_MS)
        continue
      }
      const { done, value: item } = taken
      if (done) break
      context = item.context
      if (item.requestId !== undefined) {
        await hub.begin(item)
        // A connection that was given up while its answer was verified must not change the state.
        inner.signal.throwIfAborted()
        // Of a later answer, as to each poll, the table makes nothing.
        hub.apply('begun')
        outcome.hasBegun = true
        hub.choice.works()
        renewal.start()
      } else {
        await hub.take(item)
        outcome.wasGood = true
        onFrame(item)
      }
      silenceTimer.restart(SILENCE_MS)
      if (hub.isFull) {
        silenceTimer.hold()
        while (hub.isFull && !inner.signal.aborted) await hub.changed(inner.signal)
        silenceTimer.restart(SILENCE_MS)
      }
      next = connection.items.next()
    }
  } catch (error) {
    outcome.error = error
    context?.learn(error)
    if (isSigned(error, 'cs.unauthenticated'))
      outcome.isRenewed = (await context?.renew?.().catch(() => undefined)) !== undefined
  } finally {
    globalThis.removeEventListener?.('offline', goOffline)
    silenceTimer.stop()
    renewal.stop()
    inner.abort(new CountersignError('ERR_ABORTED'))
    closeConnection(connection)
  }
  return outcome
}

/** Waits `ms` milliseconds, or until the device says that it is online again; rejects when the signal aborts. */
function pauseOrOnline(hub: EventHub, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      cancel()
      globalThis.removeEventListener?.('online', done)
      signal.removeEventListener('abort', stop)
    }
    const done = (): void => {
      leave()
      resolve()
    }
    const stop = (): void => {
      leave()
      reject(signal.reason)
    }
    const cancel = hub.host.settings.schedule(done, ms)
    if (signal.aborted) return stop()
    globalThis.addEventListener?.('online', done)
    signal.addEventListener('abort', stop)
  })
}

// A redirect, or a WebSocket that does not open, points to a proxy, not to a lost network.
const isNetwork = (error: unknown): boolean =>
  isCountersignError(error) && error.code === 'ERR_NETWORK' && error.retry !== 'never'

/**
 * Keeps a connection to the gateway for a hub until the signal aborts, and calls `onFrame` for each event that it
 * takes. Rejects with the signal's reason, or with an error that no later try can change.
 */
export async function keepConnection(
  hub: EventHub,
  signal: AbortSignal,
  onFrame: (item: CarrierItem) => void
): Promise<never> {
  const backoff = new Backoff(hub.host.settings)
  let isResigned = false
  let reason: CountersignError | undefined
  for (;;) {
    signal.throwIfAborted()
    hub.apply(isOffline() ? 'attempted-offline' : 'attempted', reason)
    const { error, hasBegun, wasGood, isRenewed } = await runConnection(hub, signal, onFrame)
    signal.throwIfAborted()
    if ((isRenewed || isSigned(error, 'cs.stale')) && !isResigned) {
      isResigned = true
      continue
    }
    isResigned = false
    if (wasGood) backoff.reset()
    const isBlocked = isChangedRequest(error)
    if (error !== undefined && isFinal(error) && !isBlocked) throw error
    reason = error as CountersignError | undefined
    // A verified answer, or a refusal for some time only, shows that the carrier works.
    const isCarrierFault = !hasBegun && (isBlocked || reason?.resultCode === undefined)
    if (isCarrierFault && hub.choice.fails(!isNetwork(error))) continue
    hub.apply(isOffline() || isNetwork(error) ? 'unreachable' : 'ended', reason)
    await pauseOrOnline(hub, backoff.after(isBlocked ? undefined : error), signal)
  }
}
