// SPDX-License-Identifier: MIT
// The real gateway over stores in memory, with keys made from a seed and devices enrolled without a mail.

import { memoryStore } from '../client/keys/key-store.ts'
import { encodeBase64 } from '../common/base64.ts'
import type { KeyStore, TrustedServerKey } from '../common/types.ts'
import { enrollment, type Mail } from '../server/enrollment/endpoints.ts'
import { createGateway } from '../server/gateway.ts'
import { memoryEventStore } from '../server/stores/memory/events.ts'
import { memoryReplayStore, memorySessionStore } from '../server/stores/memory/index.ts'
import type { EventStore, Gateway, GatewayOptions, ReplayStore, SessionStore } from '../server/types.ts'
import type { TestClock } from './clock.ts'
import { type InsecureRandom, insecureKey } from './random.ts'

/** What createGateway takes, without what a test world brings itself; given, its stores take the place of those in memory. */
export type TestGatewayOptions = Partial<Omit<GatewayOptions, 'now' | 'schedule' | 'signer' | 'enrollment'>>

/** A device that has been enrolled: its session, and the store that a client opens it from. */
export type TestDevice = {
  readonly sessionId: string
  readonly userId: string
  readonly store: KeyStore
  /** What connect needs to find it in its store; its own, so that two devices of a test are not two tabs of one browser. */
  readonly namespace: string
}

/** A gateway of a test, with the stores behind it. */
export type TestGateway = {
  readonly gateway: Gateway
  readonly label: string
  readonly sessions: SessionStore
  readonly replay: ReplayStore
  readonly events: EventStore
  /** What clients trust. */
  readonly serverKeys: readonly TrustedServerKey[]
  /** The mails with codes that enrolment has sent, the latest last. */
  readonly mails: readonly Mail[]
  /** Registers a new device of a user at once, without a mail. */
  enrol(userId: string): Promise<TestDevice>
  /** @internal A namespace that no other device has. */
  namespace(): string
  /** Makes another gateway over the same stores, with a clock of its own, as on another machine. */
  sibling(clock: TestClock): Gateway
  close(): Promise<void>
}

const CAPACITY = 16_384

// Tabs find each other by the name of their record, across all worlds of a process.
let places = 0

// Streams are named at random by their store; a test names them by its seed.
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

/** Makes a gateway that goes by `clock`; throws as createGateway does. */
export function createTestGateway(clock: TestClock, random: InsecureRandom, options: TestGatewayOptions): TestGateway {
  const {
    label = 'test',
    sessions = memorySessionStore(),
    // A session of a test may send as much as it likes.
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
  places += 1
  const place = places
  return {
    gateway,
    label,
    sessions,
    replay,
    events,
    serverKeys: [{ id: signer.keyId, publicKey: encodeBase64(key.publicKey) }],
    mails,
    namespace: () => `${place}.${devices.id()}`,
    async enrol(userId) {
      const deviceKey = insecureKey(devices)
      const sessionId = devices.id()
      const { publicKey } = deviceKey
      const common = { algorithm: 'ed25519', publicKey } as const
      const nowMs = now()
      await sessions.create({ ...common, id: sessionId, userId, status: 'active', createdMs: nowMs, lastSeenMs: nowMs })
      const store = memoryStore()
      // As an enrolment leaves it: the configured server keys are fresh.
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
