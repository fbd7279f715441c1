// SPDX-License-Identifier: MIT
// A world in memory: time, randomness, a gateway, a network and its clients.

import { type Client, connect } from '../client/client.ts'
import { memoryStore } from '../client/keys/key-store.ts'
import type { ConnectOptions } from '../client/options.ts'
import { CountersignError } from '../common/errors.ts'
import { badArgument, optionsOf } from '../core/args.ts'
import { loadCore } from '../core/index.ts'
import type { TestClock, TestClockOptions } from './clock.ts'
import { checkFaults, type LinkFaults } from './faults.ts'
import { createTestGateway, type TestDevice, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import type { TestLink } from './link.ts'
import { TestNetwork } from './network.ts'
import { type InsecureRandom, insecureRandom, type Seed } from './random.ts'
import { createTestTime, type TestTime, type TestTimeOptions } from './time.ts'

/** The options of createTestWorld. Those of createGateway go to its gateway. */
export type TestWorldOptions = TestGatewayOptions &
  TestTimeOptions & {
    /** Two worlds with the same seed run the same way. Default: 1. */
    seed?: Seed
    /** The errors of the gateway's clock. */
    server?: TestClockOptions
  }

/** The options of a world's client. Those of connect go to it. */
export type TestClientOptions = TestClockOptions &
  Partial<ConnectOptions> & {
    /** The client's name in the log. Default: client-1, client-2 and so on. */
    name?: string
    /** The user of its session. Default: the client's name at example.com. */
    userId?: string
    /** The faults of its link from the start. */
    faults?: LinkFaults
    /** A device that was enrolled before; the client is another visit of it. False: the client enrols itself. */
    device?: TestDevice | false
    /** The clock of an earlier visit of the device. */
    clock?: TestClock
  }

/** A client of a world, with its surroundings. */
export type TestClient = {
  readonly client: Client
  /** The device's clocks. */
  readonly clock: TestClock
  /** Its link to the gateway. */
  readonly link: TestLink
  /** Its session and store, for another visit. Undefined when it enrols itself. */
  readonly device: TestDevice | undefined
}

const ORIGIN = 'https://gateway.test'

/** A test world; createTestWorld creates one. */
export class TestWorld {
  readonly time: TestTime
  readonly random: InsecureRandom
  readonly network: TestNetwork
  /** The gateway with its stores. */
  readonly server: TestGateway
  /** The gateway's clock. */
  readonly serverClock: TestClock
  readonly #clients: Client[] = []
  #isClosed = false

  /** @internal */
  constructor(parts: Pick<TestWorld, 'time' | 'random' | 'network' | 'server' | 'serverClock'>) {
    this.time = parts.time
    this.random = parts.random
    this.network = parts.network
    this.server = parts.server
    this.serverClock = parts.serverClock
  }

  /**
   * Creates a client with a device, a clock and a link of its own.
   * Rejects as connect does, and with ERR_CLOSED after close.
   */
  async connect(options: TestClientOptions = {}): Promise<TestClient> {
    const {
      name = `client-${this.#clients.length + 1}`,
      userId,
      faults,
      skewMs,
      driftPpm,
      ...rest
    } = optionsOf(options, 'options')
    const { device: given, clock = this.time.createClock({ skewMs, driftPpm } as TestClockOptions), ...more } = rest
    if (this.#isClosed) throw new CountersignError('ERR_CLOSED')
    if (faults) checkFaults(faults)
    const { server } = this
    const link = this.network.link(name, clock)
    const device = given === false ? undefined : (given ?? (await server.enrol(userId ?? `${name}@example.com`)))
    const client = await connect({
      url: ORIGIN,
      label: server.label,
      serverKeys: server.serverKeys,
      fetch: link.fetch,
      now: clock.now,
      monotonicNow: clock.monotonicNow,
      schedule: clock.schedule,
      random: this.random.fork(`client ${name}`).fill,
      store: device?.store ?? memoryStore(),
      namespace: device?.namespace ?? server.namespace(),
      ...more
    })
    if (faults) link.set(faults)
    this.#clients.push(client)
    return { client, clock, link, device }
  }

  /** Moves time on by `ms`, as TestTime.advance does. */
  advance(ms: number): Promise<void> {
    return this.time.advance(ms)
  }

  /** Moves time on until the promise settles, as TestTime.run does. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.time.run(promise)
  }

  /** Closes its clients, its gateway and its stores. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.all(this.#clients.map((client) => client.close()))
    await this.server.close()
  }
}

/**
 * Creates a gateway, a network and a course of time in memory. An application's tests run on it the same way every
 * time. `world.connect()` creates clients, and `world.run(promise)` lets time pass. Node only, and not for
 * production.
 * Rejects with ERR_INVALID_ARGUMENT when NODE_ENV is `production`, and for options that createGateway refuses.
 *
 * @example
 * ```ts
 * import { createTestWorld } from 'countersign/testing'
 *
 * const world = await createTestWorld({ seed: 7, routes: { 'cart.add': ({ payload }) => ({ payload }) } })
 * const { client, link } = await world.connect({ name: 'ada', skewMs: -7 * 3600_000 })
 * link.set({ up: { delayMs: [20, 400] }, down: { delayMs: 50, loss: 0.2 } })
 * const { timings } = await world.run(client.request('cart.add', '{"sku":4711}', { idempotencyKey: 'cart-1' }))
 * console.log(timings.tries, client.clock.offsetMs, world.network.transcript())
 * await world.close()
 * ```
 */
export async function createTestWorld(options: TestWorldOptions = {}): Promise<TestWorld> {
  const { seed = 1, startMs, patienceMs, server: clockOptions, ...gatewayOptions } = optionsOf(options, 'options')
  if ('now' in gatewayOptions) throw badArgument('do not pass now; the world has its own serverClock')
  const random = insecureRandom(seed)
  const time = createTestTime({
    ...(startMs === undefined ? {} : { startMs }),
    ...(patienceMs === undefined ? {} : { patienceMs })
  })
  const serverClock = time.createClock(clockOptions)
  // Lazy parts of the client load in real time, which no test can repeat. So load them now.
  const [core] = await Promise.all([
    loadCore(),
    import('../client/trust/delivered-keys.ts'),
    import('../client/events/open.ts'),
    import('../client/lazy-parts.ts'),
    import('../client/transport/bindings/header.ts'),
    import('../client/transport/bindings/json.ts')
  ])
  const server = createTestGateway(serverClock, random.fork('gateway'), gatewayOptions)
  await server.gateway.ready()
  const handle = server.gateway.handle
  const network = new TestNetwork({ time, core, random: random.fork('network'), handle })
  return new TestWorld({ time, random, network, server, serverClock })
}
