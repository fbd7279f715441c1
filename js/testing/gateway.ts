// SPDX-License-Identifier: MIT
// The real gateway over stores in memory, with keys from a seed. Devices are enrolled without a mail.

import { randomUUID } from 'node:crypto'
import { memoryStore } from '../client/keys/key-store.ts'
import { encodeBase64 } from '../common/base64.ts'
import type { KeyStore, TrustedServerKey } from '../common/types.ts'
import { enrollment } from '../server/enrollment/endpoints.ts'
import type { Mail } from '../server/enrollment/mails.ts'
import { createGateway } from '../server/gateway.ts'
import { memoryEventStore } from '../server/stores/memory/events.ts'
import { memoryReplayStore, memorySessionStore } from '../server/stores/memory/index.ts'
import type { EventStore, Gateway, GatewayOptions, ReplayStore, SessionStore } from '../server/types.ts'
import type { TestClock } from './clock.ts'
import { type InsecureRandom, insecureKey } from './random.ts'

/**
 * The options of createGateway, without those that a test world sets itself. Stores given here replace those in
 * memory.
 */
export type TestGatewayOptions = Partial<Omit<GatewayOptions, 'now' | 'schedule' | 'signer' | 'enrollment'>>

/** An enrolled device: its session, and the store from which a client opens it. */
export type TestDevice = {
  readonly sessionId: string
  readonly userId: string
  readonly store: KeyStore
  /**
   * The namespace of its record, to pass to connect. Each device has one of its own, so two devices are not two tabs
   * of one browser.
   */
  readonly namespace: string
}

/** The gateway of a test, with its stores. */
export type TestGateway = {
  readonly gateway: Gateway
  readonly label: string
  readonly sessions: SessionStore
  readonly replay: ReplayStore
  readonly events: EventStore
  /** The server keys that clients trust. */
  readonly serverKeys: readonly TrustedServerKey[]
  /** The mails with codes that the enrolment has sent, the latest last. */
  readonly mails: readonly Mail[]
  /** Registers a new device of a user at once, without a mail. */
  enrol(userId: string): Promise<TestDevice>
  /** @internal Returns a namespace that no other device has. */
  namespace(): string
  /** Creates another gateway over the same stores, with a clock of its own, as on another machine. */
  sibling(clock: TestClock): Gateway
  close(): Promise<void>
}

const CAPACITY = 16_384

// A store names its streams at random. In a test the names come from the seed.
function seededStreams(store: EventStore, random: InsecureRandom): EventStore {
  const names = new Map<string, string>()
  const nameOf = (stream: string): string => {
    const name = names.get(stream) ?? random.id()
    names.set(stream, name)
    return name
  }
  return {
    async append(sessionId, event) {
      const { stream, sequence } = await store.append(sessionId, event)
      return { stream: nameOf(stream), sequence }
    },
    async read(sessionId, after, limit) {
      const page = await store.read(sessionId, after, limit)
      return { ...page, stream: nameOf(page.stream) }
    },
    drop: (sessionId) => store.drop(sessionId),
    watch: (listener) => store.watch(listener),
    close: () => store.close()
  }
}

/**
 * Creates a gateway that uses `clock`.
 * @throws as createGateway does.
 */
export function createTestGateway(clock: TestClock, random: InsecureRandom, options: TestGatewayOptions): TestGateway {
  const {
    label = 'test',
    sessions = memorySessionStore(),
    // A test must not run into the limits of a session.
    replay = memoryReplayStore({ capacity: CAPACITY, sessionQuota: CAPACITY }),
    events = seededStreams(memoryEventStore(), random.fork('streams')),
    routes = { 'demo.echo': ({ payload }) => ({ payload }) }
  } = options
  const { now } = clock
  const key = insecureKey(random.fork('server key'))
  const signer = { keyId: 'test-1', ...key }
  const mails: Mail[] = []
  const enrolling = enrollment({ label, signer, sessions, now, mailer: (mail) => mails.push(mail) })
  const shared = { ...options, label, signer, sessions, replay, events, routes, enrollment: enrolling }
  const gateway = createGateway({ ...shared, now, schedule: clock.schedule })
  const siblings: Gateway[] = []
  const devices = random.fork('devices')
  // Tabs find each other by the namespace of their record, across all worlds of a process.
  const worldId = randomUUID()
  return {
    gateway,
    label,
    sessions,
    replay,
    events,
    serverKeys: [{ id: signer.keyId, publicKey: encodeBase64(key.publicKey) }],
    mails,
    namespace: () => `${worldId}.${devices.id()}`,
    async enrol(userId) {
      const deviceKey = insecureKey(devices)
      const sessionId = devices.id()
      const { publicKey } = deviceKey
      const common = { algorithm: 'ed25519', publicKey } as const
      const nowMs = now()
      await sessions.create({ ...common, id: sessionId, userId, status: 'active', createdMs: nowMs, lastSeenMs: nowMs })
      const store = memoryStore()
      // The state after an enrolment: the configured server keys are fresh.
      const serverKeys = { askedMs: nowMs }
      const namespace = this.namespace()
      await store.put(`${label}/${namespace}`, {
        ...common,
        key: { sign: async (bytes) => deviceKey.sign(bytes) },
        sessionId,
        serverKeys
      })
      return { sessionId, userId, store, namespace }
    },
    sibling({ now: otherNow, schedule }) {
      const other = createGateway({ ...shared, now: otherNow, schedule })
      siblings.push(other)
      return other
    },
    async close() {
      await Promise.all([gateway, ...siblings].map((one) => one.close({ drainMs: 0 })))
      await Promise.all([replay.close(), events.close()])
    }
  }
}
