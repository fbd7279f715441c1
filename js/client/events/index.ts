// SPDX-License-Identifier: MIT
// What a client has of events before anybody listens: how the stream is doing, and the way to js/events/, which is loaded
// with the first event that is asked for.

import { CountersignError } from '../../common/errors.ts'
import type { Subscriber } from './subscriber.ts'
import type { ClientEvent, ConnectionView, EventsHost, EventsOptions } from './types.ts'

type Opener = { open(options: EventsOptions): Promise<Subscriber> }

export class EventStreams {
  readonly #host: EventsHost
  /** How the stream is doing, as told last. */
  connection: ConnectionView = Object.freeze({ state: 'idle', role: 'none', carrier: undefined, reason: undefined })
  #hub: Promise<Opener> | undefined

  constructor(host: EventsHost) {
    this.#host = host
  }

  // A download that failed is tried again the next time.
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

  /** listen gives an iterator that opens the stream when the first event is asked for. */
  listen(options: EventsOptions): AsyncIterableIterator<ClientEvent, undefined> {
    let consumer: Promise<Subscriber> | undefined
    let isDone = false
    const open = (): Promise<Subscriber> => {
      consumer ??= this.#load().then((hub) => hub.open(options))
      return consumer
    }
    const end = { done: true, value: undefined } as const
    return {
      async next() {
        return isDone ? end : (await open()).next()
      },
      async return() {
        isDone = true
        ;(await consumer?.catch(() => undefined))?.end()
        return end
      },
      [Symbol.asyncIterator]() {
        return this
      }
    }
  }
}
