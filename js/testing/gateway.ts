// SPDX-License-Identifier: MIT
// The real gateway over stores in memory, with keys made from a seed and devices enrolled without a mail.

import { encodeBase64 } from '../base64.ts'
import { memoryStore } from '../key-store.ts'
import { enrollment, type Mail } from '../server/enrollment.ts'
import { createGateway } from '../server/gateway.ts'
import { memoryReplayStore, memorySessionStore } from '../server/store-memory.ts'
import type { Gateway, GatewayOptions, ReplayStore, SessionStore } from '../server/types.ts'
import type { KeyStore, TrustedServerKey } from '../types.ts'
import { type InsecureRandom, insecureKey } from './random.ts'

/** What createGateway takes, without what a test world brings itself; given, its stores take the place of those in memory. */
export type TestGatewayOptions = Partial<Omit<GatewayOptions, 'now' | 'signer' | 'enrollment'>>

/** A device that has been enrolled: its session, and the store that a client opens it from. */
export type TestDevice = { readonly sessionId: string; readonly userId: string; readonly store: KeyStore }

/** A gateway of a test, with the stores behind it. */
export type TestGateway = {
  readonly gateway: Gateway
  readonly label: string
  readonly sessions: SessionStore
  readonly replay: ReplayStore
  /** What clients trust. */
  readonly serverKeys: readonly TrustedServerKey[]
  /** The mails with codes that enrolment has sent, the latest last. */
  readonly mails: readonly Mail[]
  /** enrol registers a new device of a user at once, without a mail. */
  enrol(userId: string, recordName?: string): Promise<TestDevice>
  /** sibling makes another gateway over the same stores, with a clock of its own, as on another machine. */
  sibling(now: () => number): Gateway
  close(): Promise<void>
}

const CAPACITY = 16_384

/** createTestGateway makes a gateway whose clock is `now`; throws as createGateway does. */
export const createTestGateway = (
  now: () => number,
  random: InsecureRandom,
  options: TestGatewayOptions
): TestGateway => {
  const {
    label = 'test',
    sessions = memorySessionStore(),
    // A session of a test may send as much as it likes.
    replay = memoryReplayStore({ capacity: CAPACITY, sessionQuota: CAPACITY }),
    routes = { 'demo.echo': ({ payload }) => ({ payload }) }
  } = options
  const key = insecureKey(random.fork('server key'))
  const signer = { keyId: 'test-1', ...key }
  const mails: Mail[] = []
  const enrolling = enrollment({ label, signer, sessions, now, mailer: (mail) => mails.push(mail) })
  const shared = { ...options, label, signer, sessions, replay, routes, enrollment: enrolling }
  const gateway = createGateway({ ...shared, now })
  const siblings: Gateway[] = []
  const devices = random.fork('devices')
  return {
    gateway,
    label,
    sessions,
    replay,
    serverKeys: [{ id: signer.keyId, publicKey: encodeBase64(key.publicKey) }],
    mails,
    async enrol(userId, recordName = label) {
      const deviceKey = insecureKey(devices)
      const sessionId = devices.id()
      const { publicKey } = deviceKey
      const common = { algorithm: 'ed25519', publicKey } as const
      const nowMs = now()
      await sessions.create({ ...common, id: sessionId, userId, status: 'active', createdMs: nowMs, lastSeenMs: nowMs })
      const store = memoryStore()
      // As an enrolment leaves it: the configured server keys are fresh.
      const serverKeys = { askedMs: nowMs }
      await store.put(recordName, {
        ...common,
        key: { sign: async (bytes) => deviceKey.sign(bytes) },
        sessionId,
        serverKeys
      })
      return { sessionId, userId, store }
    },
    sibling(otherNow) {
      const other = createGateway({ ...shared, now: otherNow })
      siblings.push(other)
      return other
    },
    async close() {
      await Promise.all([gateway, ...siblings].map((one) => one.close({ drainMs: 0 })))
      await replay.close()
    }
  }
}
