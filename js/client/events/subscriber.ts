// SPDX-License-Identifier: MIT
// One listener: a bounded queue of verified events, between the stream and an application that may be slow.

import type { CountersignError } from '../../common/errors.ts'
import type { StreamPosition } from './stream-position.ts'
import type { ClientEvent } from './types.ts'

/** A listener with this many waiting events is full. The client stops reading when every listener is full. */
export const MAX_QUEUED = 1000

type WaitingEvent = { resolve(result: IteratorResult<ClientEvent>): void; reject(error: unknown): void }

const DONE: IteratorResult<ClientEvent> = { done: true, value: undefined }

export class Subscriber {
  /** The place after the event that this listener was handed last. */
  readonly place: StreamPosition
  /** Whether it takes events as they come; otherwise it is catching up. */
  isJoined = false
  readonly #types: ReadonlySet<string> | undefined
  readonly #onChange: () => void
  readonly #queue: ClientEvent[] = []
  readonly #waiting: WaitingEvent[] = []
  #end: { error?: CountersignError } | undefined

  /** Calls `onChange` when there is room again, and when the listening has ended. */
  constructor(place: StreamPosition, types: readonly string[] | undefined, onChange: () => void) {
    this.place = place
    this.#types = types && new Set(types)
    this.#onChange = onChange
  }

  get isFull(): boolean {
    return this.#queue.length >= MAX_QUEUED
  }

  get isEnded(): boolean {
    return this.#end !== undefined
  }

  /**
   * Hands over an event once. It skips events up to the listener's place, unless the stream has gone back (`isBack`).
   */
  push(event: ClientEvent, isBack: boolean): void {
    if (this.#end || (!isBack && this.place.hasReached(event.cursor))) return
    this.place.moveTo(event.cursor)
    if (this.#types && !this.#types.has(event.type) && event.type !== 'cs.gap') return
    const waiting = this.#waiting.shift()
    if (waiting) waiting.resolve({ done: false, value: event })
    else this.#queue.push(event)
  }

  /** Resolves to the next event. After the last one it rejects once with the error that ended the listening. */
  next(): Promise<IteratorResult<ClientEvent>> {
    const event = this.#queue.shift()
    if (event) {
      if (this.#queue.length === MAX_QUEUED >> 1) this.#onChange()
      return Promise.resolve({ done: false, value: event })
    }
    if (!this.#end) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
    const { error } = this.#end
    this.#end = {}
    return error ? Promise.reject(error) : Promise.resolve(DONE)
  }

  /** Ends the listening, with an error or because the application has left. */
  end(error?: CountersignError): void {
    if (this.#end) return
    this.#end = error ? { error } : {}
    if (!error) this.#queue.length = 0
    const [first, ...others] = this.#waiting.splice(0)
    if (first && error) {
      this.#end = {}
      first.reject(error)
    } else first?.resolve(DONE)
    for (const { resolve } of others) resolve(DONE)
    this.#onChange()
  }
}
