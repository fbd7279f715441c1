// SPDX-License-Identifier: MIT

import { CountersignError } from '../common/errors.ts'
import type { Core } from '../common/types.ts'
import { badArgument, copyOf, optionsOf } from '../core/args.ts'
import type { TestClock } from './clock.ts'
import type { TestMessage } from './faults.ts'
import { type TestExchange, TestLink } from './link.ts'
import { type LogEntry, lineOf, type Passage } from './log.ts'
import type { InsecureRandom } from './random.ts'
import type { TestTime } from './time.ts'

/** What a network leads to. */
export type NetworkHandler = (request: Request, from: { remoteAddress: string }) => Promise<Response>

/** Joins clients with a gateway in memory, logs what passes, and can send what it logged once more. */
export class TestNetwork {
  readonly time: TestTime
  /** @internal */
  readonly core: Core
  /** Everything that passed, in its order. */
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

  /** Makes a client's link; throws ERR_INVALID_ARGUMENT where the name is taken. */
  link(name: string, clock: TestClock): TestLink {
    if (typeof name !== 'string' || name === '') throw badArgument('a link must have a name')
    if (this.#links.has(name)) throw badArgument(`a link with the name ${name} exists already`)
    const address = `192.0.2.${(this.#links.size % 250) + 1}`
    const link = new TestLink(this, name, clock, this.#random.fork(name), address)
    this.#links.set(name, link)
    return link
  }

  /** lead has the network lead to another gateway from now on. */
  lead(handle: NetworkHandler): void {
    if (typeof handle !== 'function') throw badArgument('lead: pass a function of a Request')
    this.#handle = handle
  }

  /** Sends a request of the log once more, as whoever captured it would; gives the gateway's answer. */
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

  /** Gives the log as lines: the same seed and the same test give the same lines. */
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
  note({ number, method, url }: TestExchange, what: Passage, message: TestMessage): void {
    const { client, type, headers, body, status } = message
    const atMs = this.time.nowMs - this.time.startMs
    this.log.push(
      Object.freeze({
        atMs,
        client,
        exchange: number,
        what,
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
