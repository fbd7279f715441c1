// SPDX-License-Identifier: MIT
// What a client has of events before anybody listens: how the stream is doing, and the way to js/events/, which is loaded
// with the first event that is asked for.

import { decodeBase64Url } from '../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { badArgument, integerOf, optionsOf, textOf } from '../../core/args.ts'
import type { Kit } from '../../events/kit.ts'
import { encodeJson, signalOf } from '../call-options.ts'
import { pause } from '../limits.ts'
import { isApplicationResult } from '../transport/bindings/binding.ts'
import { frameBinding, splitFrame } from '../transport/bindings/frame.ts'
import { digest } from '../transport/digest.ts'
import { openAnswer, signRequest, takeTime } from '../transport/exchange.ts'
import { essence, readBody, send, unsignedAnswer } from '../transport/http.ts'
import { isRefusal, refusalOf } from '../transport/refusals.ts'
import type { Consumer } from './subscriber.ts'
import type { ClientEvent, ConnectionView, EventsOptions, Host } from './types.ts'

const kit: Kit = {
  decodeBase64Url,
  badArgument,
  integerOf,
  optionsOf,
  textOf,
  digest,
  CountersignError,
  isCountersignError,
  encodeJson,
  signalOf,
  isRefusal,
  refusalOf,
  isApplicationResult,
  openAnswer,
  signRequest,
  takeTime,
  frameBinding,
  splitFrame,
  essence,
  readBody,
  send,
  unsignedAnswer,
  pause
}

type Opener = { open(options: EventsOptions): Promise<Consumer> }

export class EventStreams {
  readonly #host: Host
  /** How the stream is doing, as told last. */
  connection: ConnectionView = Object.freeze({ state: 'idle', role: 'none', carrier: undefined, reason: undefined })
  #hub: Promise<Opener> | undefined

  constructor(host: Host) {
    this.#host = host
  }

  // A download that failed is tried again the next time.
  #load(): Promise<Opener> {
    this.#hub ??= import('./open.ts').then(
      ({ createHub }) => createHub(this.#host, kit),
      (cause) => {
        this.#hub = undefined
        throw new CountersignError('ERR_LOAD_FAILED', { cause, detail: 'events' })
      }
    )
    return this.#hub
  }

  /** listen gives an iterator that opens the stream when the first event is asked for. */
  listen(options: EventsOptions): AsyncIterableIterator<ClientEvent, undefined> {
    let consumer: Promise<Consumer> | undefined
    let isDone = false
    const open = (): Promise<Consumer> => {
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
