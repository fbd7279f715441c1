// SPDX-License-Identifier: MIT
// The part of events that every client has: the state of the stream, and the door to the rest of js/client/events.
// That is loaded when the application asks for its first event.

import { CountersignError } from '../../common/errors.ts'
import type { Subscriber } from './subscriber.ts'
import type { ClientEvent, ConnectionView, EventsHost, EventsOptions } from './types.ts'

type Opener = { open(options: EventsOptions): Promise<Subscriber> }

export class EventStreams {
  readonly #host: EventsHost
  /** The state of the stream, as reported last. */
  connection: ConnectionView = Object.freeze({ state: 'idle', role: 'none', carrier: undefined, reason: undefined })
  #hub: Promise<Opener> | undefined

  constructor(host: EventsHost) {
    this.#host = host
  }

  // After a failed download the next call tries again.
  #load(): Promise<Opener> {
    this.#hub ??= import('./open.ts').then(
      ({ createHub }) => createHub(this.#host),
      (cause) => {
        this.#hub = undefined
        throw new CountersignError('ERR_LOAD_FAILED', { cause, detail: 'events' })
      }
    )
    return this.#hub
  }

  /** Returns an iterator that opens the stream when the application asks for its first event. */
  listen(options: EventsOptions): AsyncIterableIterator<ClientEvent, undefined> {
    let subscriber: Promise<Subscriber> | undefined
    let isDone = false
    const open = (): Promise<Subscriber> => {
      subscriber ??= this.#load().then((hub) => hub.open(options))
      return subscriber
    }
    const end = { done: true, value: undefined } as const
    return {
      async next() {
        return isDone ? end : (await open()).next()
      },
      async return() {
        isDone = true
        ;(await subscriber?.catch(() => undefined))?.end()
        return end
      },
      [Symbol.asyncIterator]() {
        return this
      }
    }
  }
}
