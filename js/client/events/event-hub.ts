// SPDX-License-Identifier: MIT
// The centre of a client's events. One stream comes in, from the gateway or from the tab that leads. Every listener
// gets each event once.

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { listStages, type StageEvent } from '../../common/stage-events.ts'
import type { Bytes, Stage } from '../../common/types.ts'
import type { EventTurn } from '../../core/event-check.ts'
import { isApplicationResult } from '../transport/bindings/binding.ts'
import { splitFrame } from '../transport/bindings/frame.ts'
import { openAnswer } from '../transport/exchange.ts'
import { isRefusal, refusalOf } from '../transport/refusals.ts'
import type { CallContext } from '../transport/types.ts'
import { CarrierChoice } from './carrier-choice.ts'
import type { CarrierItem } from './carriers/carrier.ts'
import { type ConnectionEvent, connectionTransitions } from './connection-state.ts'
import { Changes } from './signals.ts'
import { StreamPosition } from './stream-position.ts'
import { Subscriber } from './subscriber.ts'
import type { Carrier, ClientEvent, ConnectionView, EventCursor, EventsHost, StreamRole } from './types.ts'

type Received = Pick<CarrierItem, 'context' | 'frame'>

/** The checked options of a listener. */
export type Wanted = {
  readonly after: Partial<EventCursor> | undefined
  readonly types: readonly string[] | undefined
  readonly carrier: Carrier | undefined
}

/** Where events come from. Each rejects with the error that ends it for good, or with the signal's reason. */
export type Sources = {
  /** Brings the stream to a hub until the signal aborts. */
  run(hub: EventHub, signal: AbortSignal): Promise<void>
  /** Brings a listener to where the hub is, and joins it. */
  catchUp(hub: EventHub, consumer: Subscriber, signal: AbortSignal): Promise<void>
}

export class EventHub {
  readonly host: EventsHost
  /** Where this client is in its stream. */
  place = new StreamPosition()
  choice = new CarrierChoice(undefined)
  role: StreamRole = 'none'
  /** The state of the stream, as reported last. */
  view: ConnectionView = Object.freeze({ state: 'idle', role: 'none', carrier: undefined, reason: undefined })
  /** Called with each new view while this tab leads: it reports to the tabs that follow. */
  onView: ((view: ConnectionView) => void) | undefined
  readonly #sources: Sources
  readonly #consumers = new Set<Subscriber>()
  #running: AbortController | undefined
  readonly #changes = new Changes()

  constructor(host: EventsHost, sources: Sources) {
    this.host = host
    this.#sources = sources
  }

  /** Adds a listener and calls `onEnd` when it has left. The first listener opens the stream. */
  open({ after, types, carrier }: Wanted, onEnd: () => void): Subscriber {
    const changed = (): void => {
      if (consumer.isEnded) onEnd()
      this.#consumerChanged(consumer)
    }
    const consumer: Subscriber = new Subscriber(new StreamPosition(after), types, changed)
    this.#consumers.add(consumer)
    this.#changes.notify()
    if (!this.#running) this.#start(after, carrier)
    if (after === undefined || this.#consumers.size === 1) this.#join(consumer)
    else this.#catchUp(consumer)
    return consumer
  }

  #start(after: Partial<EventCursor> | undefined, carrier: Carrier | undefined): void {
    const running = new AbortController()
    this.#running = running
    this.place = new StreamPosition(after)
    // The client first tries the carrier that worked last, unless the listener names one.
    if (carrier !== this.choice.given) this.choice = new CarrierChoice(carrier)
    const { host } = this
    const end = (error: unknown): void => this.#stop(running, error)
    const offUnready = host.onUnready(end)
    host.ends.add(end)
    running.signal.addEventListener('abort', () => {
      offUnready()
      host.ends.delete(end)
    })
    this.#sources.run(this, running.signal).catch(end)
  }

  // The last listener has left, or an error has ended the stream for good.
  #stop(running: AbortController, error?: unknown): void {
    if (running !== this.#running) return
    this.#running = undefined
    running.abort(error)
    this.role = 'none'
    const reason =
      error === undefined || isCountersignError(error) ? error : new CountersignError('ERR_INTERNAL', { cause: error })
    this.apply(reason?.resultCode === undefined ? 'closed' : 'refused', reason)
    for (const consumer of [...this.#consumers]) consumer.end(reason)
  }

  #consumerChanged(consumer: Subscriber): void {
    if (consumer.isEnded) this.#consumers.delete(consumer)
    this.#changes.notify()
    if (this.#consumers.size === 0 && this.#running) this.#stop(this.#running)
  }

  /** Resolves when a listener has come, left or made room, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#changes.next(signal)
  }

  #join(consumer: Subscriber): void {
    const { cursor } = this.place
    if (cursor) consumer.place.moveTo(cursor)
    consumer.isJoined = true
  }

  #catchUp(consumer: Subscriber): void {
    consumer.isJoined = false
    const { signal } = this.#running as AbortController
    this.#sources.catchUp(this, consumer, signal).catch((error) => {
      if (!signal.aborted) consumer.end(error)
    })
  }

  /** Whether no listener has room for another event. */
  get isFull(): boolean {
    for (const { isFull } of this.#consumers) if (!isFull) return false
    return this.#consumers.size > 0
  }

  /** Makes the transition that an event leads to, and reports the view where it differs from the one before. */
  apply(event: ConnectionEvent, reason?: CountersignError, carrier = this.choice.carrier): void {
    const { to: state, from } = connectionTransitions[event]
    if (from && !from.includes(this.view.state)) return
    const isOpen = state !== 'idle' && state !== 'refused'
    const view: ConnectionView = { state, role: this.role, carrier: isOpen ? carrier : undefined, reason }
    if ((Object.keys(view) as (keyof ConnectionView)[]).every((name) => view[name] === this.view[name])) return
    this.view = Object.freeze(view)
    this.host.connectionChanged(view)
    this.onView?.(view)
  }

  /**
   * Opens the answer to a subscription and takes the position that it names. Rejects with a refusal or a failed check.
   */
  async begin({ context, frame, requestId, sentMs }: CarrierItem, place = this.place): Promise<void> {
    const { clock } = context
    const receivedMs = clock.monotonic()
    const raw = splitFrame(frame)
    const { resultCode, timestampMs } = await openAnswer(context, requestId as string, raw, isApplicationResult)
    const replace = resultCode === 'cs.stale'
    if (sentMs !== undefined) clock.sample({ sentMs, receivedMs, serverMs: timestampMs, replace })
    if (isRefusal(resultCode)) throw refusalOf(resultCode, raw.payload)
    if (resultCode !== 'ok') throw new CountersignError('ERR_UNKNOWN_RESULT', { resultCode })
    // The answer to a poll brings its events: it is signed for this request, and they may be older than it.
    place.begin(context.core, raw.payload, sentMs === undefined ? 0 : timestampMs)
  }

  /** Checks an event that the gateway sent to this tab, and hands it on. Rejects with the error of the failed check. */
  async take(item: CarrierItem, place = this.place, to?: Subscriber): Promise<void> {
    try {
      await this.#accept(item, place, false, to)
    } catch (error) {
      this.#report('', error)
      throw error
    }
  }

  /**
   * Checks an event that the gateway sent to another tab, and takes it if it is the next one. Rejects as `take` does.
   */
  takeRelayed(context: CallContext, frame: Bytes): Promise<EventTurn> {
    return this.#accept({ context, frame }, this.place, true)
  }

  async #accept({ context, frame }: Received, place: StreamPosition, isRelayed: boolean, to?: Subscriber) {
    const { clock, session } = context
    const receivedMs = clock.monotonic()
    const opened = await place.open(context, frame)
    const { turn, event } = place.take(opened, isRelayed)
    if (turn === 'known' || turn === 'ahead') return turn
    clock.event(receivedMs, opened.timestampMs)
    this.#report(opened.eventId)
    if (opened.eventType === 'cs.revoked') this.host.revoked(session)
    const isBack = turn === 'back'
    if (event && to) to.push(event, isBack)
    // The listeners that began while the event was verified have a place of their own, and get the event there.
    else if (event && place === this.place) this.#hand(event, isBack)
    return turn
  }

  // Reports the checks of an event as those of an answer.
  #report(requestId: string, failure?: unknown): void {
    const { tellStage } = this.host
    if (tellStage) for (const event of stagesOfEvent(requestId, failure)) tellStage(event)
  }

  #hand(event: ClientEvent, isBack: boolean): void {
    for (const consumer of this.#consumers) {
      if (!consumer.isJoined) continue
      // A full listener gets the rest when it has room again. The others do not wait for it.
      if (consumer.isFull) this.#catchUp(consumer)
      else consumer.push(event, isBack)
    }
  }
}

/**
 * The client's checks of an event, in their order (R107). `sequence` checks the named stream, and later the place in
 * it.
 */
const eventChecks: readonly Stage[] = ['parse', 'signature', 'session', 'payload_hash', 'sequence']

/** Lists the checks that an event went through: all of them, or those up to the one that failed. */
function stagesOfEvent(requestId: string, failure?: unknown): StageEvent[] {
  const refusing = isCountersignError(failure) ? failure.stage : undefined
  // A fault of the client says nothing about the event.
  if (failure !== undefined && refusing === undefined) return []
  // The client checks the stream before the payload, and the place in it afterwards.
  const isStream = isCountersignError(failure) && failure.code === 'ERR_WRONG_STREAM'
  const passed = isStream ? eventChecks.filter((stage) => stage !== 'payload_hash') : eventChecks
  return listStages(requestId, passed, refusing, failure)
}
