// SPDX-License-Identifier: MIT
// One stream for all tabs: the leader hands on what it is sent, frame by frame, and every tab verifies it for itself.

import type { Bytes } from '../../common/types.ts'
import { pause } from '../call-options.ts'
import type { TabMessage } from '../tabs.ts'
import { Backoff, isFinal } from './backoff.ts'
import { pollInto } from './catch-up.ts'
import { SILENCE_MS } from './connection.ts'
import type { EventHub } from './event-hub.ts'
import { childOf, untilAborted } from './signals.ts'
import { SilenceTimer } from './silence-timer.ts'
import type { Carrier, ConnectionState } from './types.ts'

/** Frames that have come and wait for an answer to `cs.poll`; more than this and the gateway is asked for them instead. */
const MAX_WAITING = 1000

const states: ReadonlySet<unknown> = new Set(['connecting', 'live', 'stale', 'offline'] satisfies ConnectionState[])

/** A tab that is fed by another: it asks the gateway where the stream is, and from there on takes what the leader hands on. */
class Follower {
  readonly #hub: EventHub
  readonly #signal: AbortSignal
  readonly #backoff: Backoff
  readonly #waiting: Bytes[] = []
  /** Whatever is not the next event is the gateway's to say, in an answer to a request of our own. */
  #isBehind = true
  #wake: () => void = () => {}
  readonly #onSynced: () => void

  /** `onSynced` is told when the gateway has said where the stream is. */
  constructor(hub: EventHub, signal: AbortSignal, onSynced: () => void) {
    this.#onSynced = onSynced
    this.#hub = hub
    this.#signal = signal
    this.#backoff = new Backoff(hub.host.settings)
  }

  /** hear takes a frame that the leader was sent. */
  hear(frame: Bytes): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(frame)
    else this.#isBehind = true
    this.#wake()
  }

  /** run takes what it hears, and asks for what it has not heard; rejects with the signal's reason or what is final. */
  async run(): Promise<never> {
    for (;;) {
      this.#signal.throwIfAborted()
      if (this.#isBehind || this.#hub.isFull) await this.#ask()
      const frame = this.#waiting.shift()
      if (frame) await this.#take(frame)
      else await untilAborted(this.#news(), this.#signal)
    }
  }

  #news(): Promise<void> {
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
        this.#backoff.reset()
        this.#onSynced()
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
      const verdict = await this.#hub.takeRelayed(await this.#hub.host.context(), frame)
      if (verdict === 'ahead') this.#isBehind = true
    } catch (error) {
      if (isFinal(error)) throw error
      this.#isBehind = true
    }
  }
}

/** What the leader says of its stream is true of this tab's from when it knows where that is. */
class Mirror {
  readonly #hub: EventHub
  #told: { state: ConnectionState; carrier: Carrier } | undefined
  #isSynced = false

  constructor(hub: EventHub) {
    this.#hub = hub
  }

  hear({ state, carrier }: TabMessage): void {
    if (!states.has(state)) return
    this.#told = { state: state as ConnectionState, carrier: carrier as Carrier }
    this.#show()
  }

  synced(): void {
    this.#isSynced = true
    this.#show()
  }

  #show(): void {
    if (this.#told && this.#isSynced) this.#hub.tell(this.#told.state, undefined, this.#told.carrier)
  }
}

/**
 * follow is fed by the tab that leads until the signal aborts, and rejects with its reason or with what is final; it resolves
 * when the leader has fallen silent.
 */
export function follow(hub: EventHub, sessionId: string, signal: AbortSignal): Promise<void> {
  const { settings, tabs } = hub.host
  const inner = childOf(signal)
  const mirror = new Mirror(hub)
  const follower = new Follower(hub, inner.signal, () => mirror.synced())
  hub.role = 'follower'
  hub.tell('connecting')
  return new Promise<void>((resolve, reject) => {
    const watch = new SilenceTimer(settings, SILENCE_MS, () => leave(resolve))
    const leave = (settle: () => void): void => {
      off()
      watch.stop()
      settle()
      inner.abort(signal.reason)
    }
    const fail = (error: unknown): void => leave(() => reject(error))
    const off = tabs.listen('events', (message) => {
      if (message.session !== sessionId) return
      watch.heard(SILENCE_MS)
      const { frame } = message
      if (frame instanceof Uint8Array) follower.hear(frame as Bytes)
      else mirror.hear(message)
    })
    inner.signal.addEventListener('abort', () => fail(inner.signal.reason))
    tabs.post({ about: 'events', session: sessionId, isNew: true })
    follower.run().catch(fail)
  })
}
