// SPDX-License-Identifier: MIT
// The middle of a client's events: one stream comes in, from the gateway or from the tab that holds it, and every listener
// gets what it has not had.

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { listStages, type StageEvent } from '../../common/stage-events.ts'
import type { Bytes, OpenedEvent, Stage } from '../../common/types.ts'
import { isApplicationResult } from '../transport/bindings/binding.ts'
import { splitFrame } from '../transport/bindings/frame.ts'
import { openAnswer } from '../transport/exchange.ts'
import { isRefusal, refusalOf } from '../transport/refusals.ts'
import type { CallContext } from '../transport/types.ts'
import { CarrierChoice } from './carrier-choice.ts'
import type { CarrierItem } from './carriers/carrier.ts'
import { type EventPlace, StreamPosition } from './stream-position.ts'
import { Subscriber } from './subscriber.ts'
import type {
  Carrier,
  ClientEvent,
  ConnectionState,
  ConnectionView,
  EventCursor,
  EventsHost,
  StreamRole
} from './types.ts'

/** What a listener asks for, checked. */
export type Wanted = {
  readonly after: Partial<EventCursor> | undefined
  readonly types: readonly string[] | undefined
  readonly carrier: Carrier | undefined
}

/** Where events come from; each rejects with what ends it for good, or with the signal's reason. */
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
  /** How the stream is doing, as told last. */
  view: ConnectionView = Object.freeze({ state: 'idle', role: 'none', carrier: undefined, reason: undefined })
  /** Told it as well, by whoever leads. */
  onTell: ((view: ConnectionView) => void) | undefined
  readonly #sources: Sources
  readonly #consumers = new Set<Subscriber>()
  #running: AbortController | undefined
  #changes: (() => void)[] = []

  constructor(host: EventsHost, sources: Sources) {
    this.host = host
    this.#sources = sources
  }

  /** open adds a listener, whose leaving is told to `onEnd`; the first one opens the stream. */
  open({ after, types, carrier }: Wanted, onEnd: () => void): Subscriber {
    const changed = (): void => {
      if (consumer.isEnded) onEnd()
      this.#consumerChanged(consumer)
    }
    const consumer: Subscriber = new Subscriber(new StreamPosition(after), types, changed)
    this.#consumers.add(consumer)
    this.#tellChange()
    if (!this.#running) this.#start(after, carrier)
    if (after === undefined || this.#consumers.size === 1) this.#join(consumer)
    else this.#catchUp(consumer)
    return consumer
  }

  #start(after: Partial<EventCursor> | undefined, carrier: Carrier | undefined): void {
    const running = new AbortController()
    this.#running = running
    this.place = new StreamPosition(after)
    // What has worked once is tried first, unless a carrier is asked for.
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

  // The last listener has left, or there will be no stream any more.
  #stop(running: AbortController, error?: unknown): void {
    if (running !== this.#running) return
    this.#running = undefined
    running.abort(error)
    this.role = 'none'
    const reason =
      error === undefined || isCountersignError(error) ? error : new CountersignError('ERR_INTERNAL', { cause: error })
    this.tell(reason?.resultCode === undefined ? 'idle' : 'refused', reason)
    for (const consumer of [...this.#consumers]) consumer.end(reason)
  }

  #consumerChanged(consumer: Subscriber): void {
    if (consumer.isEnded) this.#consumers.delete(consumer)
    this.#tellChange()
    if (this.#consumers.size === 0 && this.#running) this.#stop(this.#running)
  }

  #tellChange(): void {
    for (const wake of this.#changes.splice(0)) wake()
  }

  /** changed resolves when a listener has come, gone or made room, or the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake)
      if (signal.aborted) wake()
      else this.#changes.push(wake)
    })
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

  /** Whether nobody here has room for another event. */
  get isFull(): boolean {
    for (const { isFull } of this.#consumers) if (!isFull) return false
    return this.#consumers.size > 0
  }

  /** tell says how the stream is doing. */
  tell(state: ConnectionState, reason?: CountersignError, carrier = this.choice.carrier): void {
    const isOn = state !== 'idle' && state !== 'refused'
    const view: ConnectionView = { state, role: this.role, carrier: isOn ? carrier : undefined, reason }
    if ((Object.keys(view) as (keyof ConnectionView)[]).every((name) => view[name] === this.view[name])) return
    this.view = Object.freeze(view)
    this.host.tell(view)
    this.onTell?.(view)
  }

  /** begin checks the answer to a subscription and goes by what it says; throws the error of a refusal, or of a failed check. */
  async begin({ context, frame, requestId, sentMs }: CarrierItem, place = this.place): Promise<void> {
    const { clock } = context
    const receivedMs = clock.monotonic()
    const raw = splitFrame(frame)
    const { resultCode, timestampMs } = await openAnswer(context, requestId as string, raw, isApplicationResult)
    const replace = resultCode === 'cs.stale'
    if (sentMs !== undefined) clock.sample({ sentMs, receivedMs, serverMs: timestampMs, replace })
    if (isRefusal(resultCode)) throw refusalOf(resultCode, raw.payload)
    if (resultCode !== 'ok') throw new CountersignError('ERR_UNKNOWN_RESULT', { resultCode })
    // What came in the answer itself, as to a poll, was signed for this request whenever its parts were.
    place.begin(raw.payload, sentMs === undefined ? 0 : timestampMs)
  }

  /** take checks an event sent to us and hands it on; rejects with the error of the check that refuses it. */
  async take({ context, frame }: CarrierItem, place = this.place, to?: Subscriber): Promise<void> {
    const receivedMs = context.clock.monotonic()
    try {
      this.#taken(context, place, await place.open(context, frame, true), receivedMs, to)
    } catch (error) {
      this.#report('', error)
      throw error
    }
  }

  /** takeRelayed checks an event that another tab was sent, and takes it if it is the next; rejects as take does. */
  async takeRelayed(context: CallContext, frame: Bytes): Promise<EventPlace> {
    const { place } = this
    const receivedMs = context.clock.monotonic()
    const opened = await place.open(context, frame, false)
    const verdict = place.locate(opened)
    if (verdict === 'next') this.#taken(context, place, opened, receivedMs)
    return verdict
  }

  #taken(context: CallContext, place: StreamPosition, opened: OpenedEvent, receivedMs: number, to?: Subscriber): void {
    const { clock, session } = context
    const event = place.take(opened)
    clock.event(receivedMs, opened.timestampMs)
    this.#report(opened.eventId)
    if (opened.eventType === 'cs.revoked') this.host.revoked(session)
    if (!event) return
    if (to) to.push(event, place.isBack)
    // Whoever has begun to listen while it was verified has another place, and gets there by a connection of their own.
    else if (place === this.place) this.#hand(event, place.isBack)
  }

  // The checks of an event are told as those of an answer are.
  #report(requestId: string, failure?: unknown): void {
    const { tellStage } = this.host
    if (tellStage) for (const event of stagesOfEvent(requestId, failure)) tellStage(event)
  }

  #hand(event: ClientEvent, isBack: boolean): void {
    for (const consumer of this.#consumers) {
      if (!consumer.isJoined) continue
      // It is handed the rest when it has room again; the others do not wait for it.
      if (consumer.isFull) this.#catchUp(consumer)
      else consumer.push(event, isBack)
    }
  }
}

/** The client's checks of an event, in their order (R107): `sequence` is the stream it names, and then its place there. */
const eventChecks: readonly Stage[] = ['parse', 'signature', 'session', 'payload_hash', 'sequence']

/** stagesOfEvent lists the checks an event went through: all passed without a failure, up to the refusing one with it. */
function stagesOfEvent(requestId: string, failure?: unknown): StageEvent[] {
  const refusing = isCountersignError(failure) ? failure.stage : undefined
  // A fault of this side is no verdict on the event.
  if (failure !== undefined && refusing === undefined) return []
  // The stream is checked before the payload, the place in it after.
  const isStream = isCountersignError(failure) && failure.code === 'ERR_WRONG_STREAM'
  const passed = isStream ? eventChecks.filter((stage) => stage !== 'payload_hash') : eventChecks
  return listStages(requestId, passed, refusing, failure)
}
