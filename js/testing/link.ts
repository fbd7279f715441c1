// SPDX-License-Identifier: MIT
// One client's link to the gateway. It takes the client's fetch calls and applies the faults.

import { EVENT_STREAM_TYPE } from '../common/protocol.ts'
import type { Bytes, Core } from '../common/types.ts'
import type { TestClock } from './clock.ts'
import { delayOf, drawProxy, FaultPlan, type LinkFaults, type TestMessage, type WayFaults } from './faults.ts'
import { type Passage, typeOf } from './log.ts'
import type { InsecureRandom } from './random.ts'
import { carryStream } from './stream.ts'
import type { TestTime } from './time.ts'

/** A request and its answer. */
export type TestExchange = {
  readonly number: number
  readonly method: string
  readonly url: URL
  readonly type: string
}

/** The part of a network that a link uses. */
export type LinkHost = {
  readonly time: TestTime
  readonly core: Core
  begin(method: string, url: URL, type: string): TestExchange
  hand(request: Request, remoteAddress: string): Promise<Response>
  note(exchange: TestExchange, passage: Passage, message: TestMessage): void
}

// The error of fetch for a broken connection.
function broken(): TypeError {
  return new TypeError('fetch failed', { cause: new Error('the connection broke') })
}

function isStream({ headers, body }: Response): boolean {
  return body !== null && headers.get('content-type') === EVENT_STREAM_TYPE
}

async function bodyOf(response: Response): Promise<Bytes> {
  return new Uint8Array(await response.arrayBuffer())
}

function responseOf({ status = 200, headers, body }: TestMessage): Response {
  return new Response(body.length === 0 ? null : body, { status, headers })
}

/** One client's link to the gateway. Pass its `fetch` to connect. */
export class TestLink {
  /** The link's name in the log. */
  readonly name: string
  readonly clock: TestClock
  readonly #network: LinkHost
  readonly #random: InsecureRandom
  readonly #address: string
  readonly #faults = new FaultPlan()

  /** @internal */
  constructor(network: LinkHost, name: string, clock: TestClock, random: InsecureRandom, address: string) {
    this.#network = network
    this.name = name
    this.clock = clock
    this.#random = random
    this.#address = address
  }

  /**
   * Replaces the faults.
   * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for invalid faults.
   */
  set(faults: LinkFaults): void {
    this.#faults.set(faults)
  }

  /**
   * Adds faults for the next exchange, or the next `times`, whose message type passes `isMeant`.
   * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for invalid arguments.
   *
   * @example
   * ```ts
   * link.once({ down: { loss: 1 } })
   * ```
   */
  once(faults: LinkFaults, options: { times?: number; isMeant?: (type: string) => boolean } = {}): void {
    this.#faults.once(faults, options)
  }

  /** Disconnects the client from the gateway, in one direction or both, until heal. */
  cut(way: 'up' | 'down' | 'both' = 'both'): void {
    this.#faults.cut(way)
  }

  /** Ends what cut began. */
  heal(): void {
    this.#faults.heal()
  }

  /** Sends a request over this link. It takes the client's arguments, and fails as the platform's fetch does. */
  fetch = async (input: string, init: RequestInit): Promise<Response> => {
    const { signal } = init
    signal?.throwIfAborted()
    const passing = this.#pass(input, init)
    if (!signal) return passing
    passing.catch(() => {})
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      const leave = (): void => signal.removeEventListener('abort', abort)
      passing.finally(leave).then(resolve, reject)
    })
  }

  async #pass(input: string, init: RequestInit): Promise<Response> {
    const url = new URL(input)
    const request = new Request(url, { ...init, signal: null })
    const body = new Uint8Array(await request.arrayBuffer())
    const method = request.method
    const headers = Object.fromEntries(request.headers)
    const type = typeOf(this.#network.core, method, url.pathname + url.search, { headers, body })
    const exchange = this.#network.begin(method, url, type)
    const faults = this.#faults.take(type)
    const sent: TestMessage = { client: this.name, way: 'up', type, headers, body }
    this.#log(exchange, 'sent', sent)
    const proxied = drawProxy(faults, this.#random)
    if (!proxied || faults.proxy?.passesOn) {
      const arrived = await this.#carry(exchange, sent, faults.up ?? {})
      const response = await this.#deliver(exchange, arrived, faults)
      if (!proxied && isStream(response)) return this.#follow(exchange, response, init.signal)
      const answer = await this.#messageOf(exchange, response)
      this.#log(exchange, 'answered', answer)
      if (!proxied) return responseOf(await this.#carry(exchange, answer, faults.down ?? {}))
    }
    const page = await this.#messageOf(exchange, proxied)
    this.#log(exchange, 'proxy', page)
    await this.#wait(delayOf(faults.down ?? {}, this.#random))
    return responseOf(page)
  }

  async #deliver(exchange: TestExchange, message: TestMessage, { up = {} }: LinkFaults): Promise<Response> {
    if (up.duplicate && this.#random.chance(up.duplicate)) {
      this.#network.time.schedule(
        () => {
          this.#log(exchange, 'repeated', message)
          this.#hand(exchange, message).catch(() => {})
        },
        delayOf(up, this.#random)
      )
    }
    this.#log(exchange, 'arrived', message)
    return this.#hand(exchange, message)
  }

  #follow(exchange: TestExchange, response: Response, signal: AbortSignal | null | undefined): Response {
    const headers = Object.fromEntries(response.headers)
    const { status } = response
    const itemOf = (body: Bytes): TestMessage => ({
      client: this.name,
      way: 'down',
      type: 'event',
      status,
      headers,
      body
    })
    this.#log(exchange, 'answered', { ...itemOf(new Uint8Array(0)), type: exchange.type })
    const body = carryStream(
      response.body as ReadableStream<Uint8Array>,
      {
        random: this.#random,
        faults: () => this.#faults.take('event').down ?? {},
        wait: (ms) => this.#wait(ms, true),
        pass: (item, { tamper }) => {
          const message = itemOf(item)
          const changed = tamper?.(message) ?? message
          if (tamper) this.#log(exchange, 'changed', changed)
          this.#log(exchange, 'delivered', changed)
          return changed.body
        },
        lost: (passage, item) => this.#log(exchange, passage, itemOf(item)),
        broken
      },
      signal
    )
    return new Response(body, { status, headers })
  }

  #hand({ method, url }: TestExchange, { headers, body }: TestMessage): Promise<Response> {
    const hasBody = method !== 'GET' && method !== 'HEAD'
    const request = new Request(url, { method, headers, ...(hasBody && body.length > 0 ? { body } : {}) })
    return this.#network.hand(request, this.#address)
  }

  async #messageOf({ type }: TestExchange, response: Response): Promise<TestMessage> {
    const { status } = response
    const headers = Object.fromEntries(response.headers)
    return { client: this.name, way: 'down', type, status, headers, body: await bodyOf(response) }
  }

  async #carry(exchange: TestExchange, message: TestMessage, faults: WayFaults): Promise<TestMessage> {
    const { loss = 0, tamper } = faults
    const isLost = loss > 0 && this.#random.chance(loss)
    await this.#wait(delayOf(faults, this.#random), message.way === 'down')
    // A cut also stops messages that are already on their way.
    if (faults.cut || this.#faults.isCut(message.way)) {
      this.#log(exchange, 'cut', message)
      return new Promise(() => {})
    }
    if (isLost) {
      this.#log(exchange, 'lost', message)
      throw broken()
    }
    const changed = tamper?.(message) ?? message
    if (tamper) this.#log(exchange, 'changed', changed)
    if (message.way === 'down') this.#log(exchange, 'delivered', changed)
    return changed
  }

  // A delay of 0 ms needs no timer: a test without delays need not move time at all.
  #wait(ms: number, isForDevice = false): Promise<void> | undefined {
    const owner = isForDevice ? this.clock : undefined
    if (ms === 0 && owner?.wakesMs === undefined) return undefined
    return new Promise((resolve) => this.#network.time.add(resolve, ms, owner, 'arrival'))
  }

  #log(exchange: TestExchange, passage: Passage, message: TestMessage): void {
    this.#network.note(exchange, passage, message)
  }
}
