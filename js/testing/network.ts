// SPDX-License-Identifier: MIT
// The network of a test: its links, its log, and the gateway behind it.

import { CountersignError } from '../common/errors.ts'
import type { Core } from '../common/types.ts'
import { badArgument, copyOf, optionsOf } from '../core/args.ts'
import type { TestClock } from './clock.ts'
import type { TestMessage } from './faults.ts'
import { type TestExchange, TestLink } from './link.ts'
import { type LogEntry, lineOf, type Passage } from './log.ts'
import type { InsecureRandom } from './random.ts'
import type { TestTime } from './time.ts'

/** The handler at the end of a network, such as a gateway's `handle`. */
export type NetworkHandler = (request: Request, from: { remoteAddress: string }) => Promise<Response>

/** Connects clients with a gateway in memory. It logs the messages, and can replay a logged request. */
export class TestNetwork {
  readonly time: TestTime
  /** @internal */
  readonly core: Core
  /** All messages, in order. */
  readonly log: LogEntry[] = []
  readonly #random: InsecureRandom
  readonly #links = new Map<string, TestLink>()
  #handle: NetworkHandler
  #exchanges = 0

  /** @internal */
  constructor(options: { time: TestTime; core: Core; random: InsecureRandom; handle: NetworkHandler }) {
    this.time = options.time
    this.core = options.core
    this.#random = options.random
    this.#handle = options.handle
  }

  /**
   * Creates a client's link.
   * @throws ERR_INVALID_ARGUMENT when the name is empty or taken.
   */
  link(name: string, clock: TestClock): TestLink {
    if (typeof name !== 'string' || name === '') throw badArgument('a link must have a name')
    if (this.#links.has(name)) throw badArgument(`a link with the name ${name} exists already`)
    const address = `192.0.2.${(this.#links.size % 250) + 1}`
    const link = new TestLink(this, name, clock, this.#random.fork(name), address)
    this.#links.set(name, link)
    return link
  }

  /**
   * Connects the network to another gateway from now on.
   * @throws ERR_INVALID_ARGUMENT when the handler is not a function.
   */
  lead(handle: NetworkHandler): void {
    if (typeof handle !== 'function') throw badArgument('lead: pass a function of a Request')
    this.#handle = handle
  }

  /**
   * Sends a logged request again, as an attacker who captured it would. Resolves to the gateway's answer.
   * Rejects with ERR_INVALID_ARGUMENT when the entry is not a request.
   */
  async replay(entry: LogEntry): Promise<Response> {
    const { method, target, headers, body } = optionsOf(entry, 'entry')
    if (entry.status !== undefined)
      throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'the log entry is not a request' })
    const copy = copyOf(body, 'body')
    const request = new Request(new URL(target, 'https://gateway.test'), {
      method,
      headers,
      ...(copy.length > 0 && method !== 'GET' && method !== 'HEAD' ? { body: copy } : {})
    })
    return this.hand(request, '203.0.113.66')
  }

  /** Returns the log as lines. The same seed and the same test give the same lines. */
  transcript(): string[] {
    return this.log.map(lineOf)
  }

  /** @internal */
  begin(method: string, url: URL, type: string): TestExchange {
    this.#exchanges += 1
    return { number: this.#exchanges, method, url, type }
  }

  /** @internal */
  hand(request: Request, remoteAddress: string): Promise<Response> {
    return this.time.watch(this.#handle(request, { remoteAddress }))
  }

  /** @internal */
  note({ number, method, url }: TestExchange, passage: Passage, message: TestMessage): void {
    const { client, type, headers, body, status } = message
    const atMs = this.time.nowMs - this.time.startMs
    this.log.push(
      Object.freeze({
        atMs,
        client,
        exchange: number,
        what: passage,
        type,
        method,
        target: url.pathname + url.search,
        headers: { ...headers },
        body: body.slice(),
        ...(status === undefined ? {} : { status })
      })
    )
  }
}
