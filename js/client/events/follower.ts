// SPDX-License-Identifier: MIT
// Gets the stream from the tab that leads. The leader hands on each frame, and every tab verifies it for itself
// (R114).

import type { Bytes } from '../../common/types.ts'
import { pause } from '../call-options.ts'
import type { TabMessage } from '../tabs.ts'
import { Backoff, isFinal } from './backoff.ts'
import { pollInto } from './catch-up.ts'
import { SILENCE_MS } from './connection.ts'
import type { ConnectionEvent } from './connection-state.ts'
import type { EventHub } from './event-hub.ts'
import { childOf, untilAborted } from './signals.ts'
import { SilenceTimer } from './silence-timer.ts'
import type { Carrier } from './types.ts'

/**
 * A follower queues this many frames while it waits for an answer to `cs.poll`. It then asks the gateway for the rest.
 */
const MAX_WAITING = 1000

/** The event behind each state that a leader may report. */
const eventsByState: ReadonlyMap<unknown, ConnectionEvent> = new Map([
  ['connecting', 'leader-connecting'],
  ['live', 'leader-live'],
  ['stale', 'leader-stale'],
  ['offline', 'leader-offline']
])

/** Asks the gateway for the position of the stream, and takes the leader's frames from there on. */
class Follower {
  readonly #hub: EventHub
  readonly #signal: AbortSignal
  readonly #backoff: Backoff
  readonly #waiting: Bytes[] = []
  /** After a frame that is not the next event, only the gateway's answer to this tab's own request counts. */
  #isBehind = true
  #wake: () => void = () => {}
  readonly #onPosition: () => void

  /** Calls `onPosition` when the gateway has named the position of the stream. */
  constructor(hub: EventHub, signal: AbortSignal, onPosition: () => void) {
    this.#onPosition = onPosition
    this.#hub = hub
    this.#signal = signal
    this.#backoff = new Backoff(hub.host.settings)
  }

  /** Queues a frame of the leader. */
  put(frame: Bytes): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(frame)
    else this.#isBehind = true
    this.#wake()
  }

  /** Takes queued frames, and asks for missing events. Rejects with the signal's reason or a final error. */
  async run(): Promise<never> {
    for (;;) {
      this.#signal.throwIfAborted()
      if (this.#isBehind || this.#hub.isFull) await this.#ask()
      const frame = this.#waiting.shift()
      if (frame) await this.#take(frame)
      else await untilAborted(this.#nextPut(), this.#signal)
    }
  }

  #nextPut(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  async #ask(): Promise<void> {
    const hub = this.#hub
    for (;;) {
      while (hub.isFull) await untilAborted(hub.changed(this.#signal), this.#signal)
      this.#isBehind = false
      try {
        await pollInto(hub, hub.place, this.#signal)
        // An answer that comes after the end of this run must not change the state of the next one.
        this.#signal.throwIfAborted()
        this.#backoff.reset()
        this.#onPosition()
        if (!hub.place.hasMore) return
      } catch (error) {
        this.#signal.throwIfAborted()
        this.#isBehind = true
        await pause(hub.host.settings.schedule, this.#backoff.after(error), this.#signal)
      }
    }
  }

  async #take(frame: Bytes): Promise<void> {
    try {
      const located = await this.#hub.takeRelayed(await this.#hub.host.context(), frame)
      if (located === 'ahead') this.#isBehind = true
    } catch (error) {
      if (isFinal(error)) throw error
      this.#isBehind = true
    }
  }
}

/** Shows the state that the leader reports, as soon as this tab knows the position of the stream. */
class LeaderReports {
  readonly #hub: EventHub
  #latest: { event: ConnectionEvent; carrier: Carrier } | undefined
  #hasPosition = false

  constructor(hub: EventHub) {
    this.#hub = hub
  }

  receive({ state, carrier }: TabMessage): void {
    const event = eventsByState.get(state)
    if (!event) return
    this.#latest = { event, carrier: carrier as Carrier }
    this.#show()
  }

  positionKnown(): void {
    this.#hasPosition = true
    this.#show()
  }

  #show(): void {
    if (this.#latest && this.#hasPosition) this.#hub.apply(this.#latest.event, undefined, this.#latest.carrier)
  }
}

/**
 * Gets the events from the tab that leads until the signal aborts. Rejects with the signal's reason or a final error;
 * resolves when the leader has fallen silent.
 */
export function follow(hub: EventHub, sessionId: string, signal: AbortSignal): Promise<void> {
  const { settings, tabs } = hub.host
  const inner = childOf(signal)
  const reports = new LeaderReports(hub)
  const follower = new Follower(hub, inner.signal, () => reports.positionKnown())
  hub.role = 'follower'
  hub.apply('following')
  return new Promise<void>((resolve, reject) => {
    const silenceTimer = new SilenceTimer(settings, SILENCE_MS, () => leave(resolve))
    const leave = (settle: () => void): void => {
      off()
      silenceTimer.stop()
      settle()
      inner.abort(signal.reason)
    }
    const fail = (error: unknown): void => leave(() => reject(error))
    const off = tabs.listen('events', (message) => {
      if (message.session !== sessionId) return
      silenceTimer.restart(SILENCE_MS)
      const { frame } = message
      if (frame instanceof Uint8Array) follower.put(frame as Bytes)
      else reports.receive(message)
    })
    inner.signal.addEventListener('abort', () => fail(inner.signal.reason))
    tabs.post({ about: 'events', session: sessionId, isNew: true })
    follower.run().catch(fail)
  })
}
