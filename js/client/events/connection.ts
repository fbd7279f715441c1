// SPDX-License-Identifier: MIT
// The connection to the gateway, and the next one when it ends: the end of a stream means nothing but that.

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { isSigned } from '../transport/refusals.ts'
import { Backoff, isFinal, isOffline } from './backoff.ts'

import type { CarrierItem } from './carriers/carrier.ts'
import type { EventHub } from './event-hub.ts'
import { childOf, untilAborted } from './signals.ts'
import { SilenceTimer } from './silence-timer.ts'

/** Longer than this and an open connection has been given up by something in between: two and a half heartbeats. */
export const SILENCE_MS = 25_000
// Something that holds a stream back until it ends would hold it for ever.
const FIRST_WORD_MS = 12_000

// A request that reached the gateway without what makes it a stream: something in between has changed it.
const isChangedRequest = (error: unknown): boolean =>
  isCountersignError(error) && error.resultCode === 'invalid_payload'

/** What a connection came to. */
type ConnectionOutcome = {
  error: unknown
  /** The answer to the subscription was verified. */
  hasBegun: boolean
  /** And so was something after it. */
  wasGood: boolean
  /** It was refused for a key that another tab has replaced: the next one is signed with the new key. */
  isRenewed: boolean
}

const runConnection = async (
  hub: EventHub,
  signal: AbortSignal,
  onFrame: (item: CarrierItem) => void
): Promise<ConnectionOutcome> => {
  const { settings } = hub.host
  const outcome: ConnectionOutcome = { error: undefined, hasBegun: false, wasGood: false, isRenewed: false }
  const inner = childOf(signal)
  const watch = new SilenceTimer(settings, FIRST_WORD_MS, () => {
    // What was heard once and is silent now is told apart from what was never heard.
    const silence = new CountersignError('ERR_TIMEOUT', { detail: 'the stream is silent' })
    if (outcome.hasBegun) hub.tell('stale', silence)
    inner.abort(silence)
  })
  const goOffline = (): void => inner.abort(new CountersignError('ERR_NETWORK', { detail: 'the device went offline' }))
  globalThis.addEventListener?.('offline', goOffline)
  const route = { host: hub.host, signal: inner.signal, asked: () => hub.place.asked }
  const items = hub.choice.read(route)
  let context: CarrierItem['context'] | undefined
  try {
    for (;;) {
      const { done, value: item } = await untilAborted(items.next(), inner.signal)
      if (done) break
      context = item.context
      if (item.requestId !== undefined) {
        await hub.begin(item)
        // Given up while it was verified: what is told next is of another connection, or of none.
        inner.signal.throwIfAborted()
        if (!outcome.hasBegun) hub.tell('live')
        outcome.hasBegun = true
        hub.choice.works()
      } else {
        await hub.take(item)
        outcome.wasGood = true
        onFrame(item)
      }
      watch.heard(SILENCE_MS)
      if (!hub.isFull) continue
      watch.hold()
      while (hub.isFull && !inner.signal.aborted) await hub.changed(inner.signal)
      watch.heard(SILENCE_MS)
    }
  } catch (error) {
    outcome.error = error
    context?.learn(error)
    if (isSigned(error, 'cs.unauthenticated'))
      outcome.isRenewed = (await context?.renew?.().catch(() => undefined)) !== undefined
  } finally {
    globalThis.removeEventListener?.('offline', goOffline)
    watch.stop()
    inner.abort(new CountersignError('ERR_ABORTED'))
    items.return(undefined).catch(() => {})
  }
  return outcome
}

/** pauseOrOnline waits, but not when the device says that it is online again. */
const pauseOrOnline = (hub: EventHub, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
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

// A redirect, or a WebSocket that does not open, is the doing of something in between.
const isNetwork = (error: unknown): boolean =>
  isCountersignError(error) && error.code === 'ERR_NETWORK' && error.retry !== 'never'

/**
 * runLink keeps a connection to the gateway for a hub until the signal aborts; `onFrame` is told each event that was taken.
 * It rejects with the signal's reason, or with what is final.
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
    hub.tell(isOffline() ? 'offline' : 'connecting', reason)
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
    // Behind an answer that was verified, and a refusal that passes, there is nothing wrong with the carrier.
    const isCarriers = !hasBegun && (isBlocked || reason?.resultCode === undefined)
    if (isCarriers && hub.choice.fails(!isNetwork(error))) continue
    hub.tell(isOffline() || isNetwork(error) ? 'offline' : 'connecting', reason)
    await pauseOrOnline(hub, backoff.after(isBlocked ? undefined : error), signal)
  }
}
