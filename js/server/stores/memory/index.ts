// SPDX-License-Identifier: MIT
// Stores in memory: for tests, and for a gateway of one process that may forget its sessions at a restart.

import cluster from 'node:cluster'
import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import type { Core, ReplayGuard } from '../../../common/types.ts'
import { integerOf, optionsOf } from '../../../core/args.ts'
import { loadCore } from '../../../core/index.ts'
import { isSameBytes } from '../../support/encoding.ts'
import type { CodeStore, ReplayStore, SessionRecord, SessionStore } from '../../types.ts'
import { createCodeStore } from '../codes.ts'
import { memoryRecords } from '../record-table.ts'
import { createTellers } from '../watchers.ts'

const previousOf = (
  { algorithm, publicKey }: SessionRecord,
  replacedMs: number
): NonNullable<SessionRecord['previous']> => ({
  algorithm,
  publicKey,
  replacedMs
})

/**
 * memorySessionStore keeps sessions for the life of the process.
 *
 * @example
 * ```ts
 * const sessions = memorySessionStore()
 * ```
 */
export function memorySessionStore(): SessionStore {
  const sessions = new Map<string, SessionRecord>()
  const byUser = new Map<string, Set<string>>()
  const tellers = createTellers()
  const copy = (session: SessionRecord): SessionRecord => {
    const { previous, publicKey } = session
    const copied = { ...session, publicKey: publicKey.slice() }
    return previous ? { ...copied, previous: { ...previous, publicKey: previous.publicKey.slice() } } : copied
  }
  return {
    volatile: true,
    async get(id) {
      const session = sessions.get(id)
      return session ? copy(session) : null
    },
    async create(session) {
      if (sessions.has(session.id)) return false
      sessions.set(session.id, copy(session))
      const ids = byUser.get(session.userId) ?? new Set()
      byUser.set(session.userId, ids.add(session.id))
      return true
    },
    async revoke(id, reason, atMs = Date.now()) {
      const session = sessions.get(id)
      if (session?.status === 'active') {
        sessions.set(id, { ...session, status: 'revoked', revokedReason: reason, revokedMs: atMs })
        tellers.tell(id)
      }
      return session !== undefined
    },
    listByUser: async (userId) => [...(byUser.get(userId) ?? [])].map((id) => copy(sessions.get(id) as SessionRecord)),
    async replaceKey(id, expectedKey, { atMs, ...next }) {
      const session = sessions.get(id)
      if (session?.status !== 'active' || !isSameBytes(session.publicKey, expectedKey)) return false
      const { previous: _, ...rest } = session
      sessions.set(
        id,
        copy({ ...rest, ...next, ...(atMs === undefined ? {} : { previous: previousOf(session, atMs) }) })
      )
      tellers.tell(id)
      return true
    },
    async rename(id, name) {
      const session = sessions.get(id)
      if (session) sessions.set(id, { ...session, name })
      return session !== undefined
    },
    async touch(id, ms) {
      const session = sessions.get(id)
      if (session && ms > session.lastSeenMs) sessions.set(id, { ...session, lastSeenMs: ms })
    },
    watch: tellers.listen,
    isEmpty: async () => sessions.size === 0
  }
}

const DEFAULT_CAPACITY = 131_072
const MAX_CAPACITY = 2 ** 24

/**
 * memoryReplayStore remembers ids in the core's bounded guard, about 100 bytes each, allocated at once. It forgets them when
 * the process ends, so a gateway over lasting sessions fences itself off for `futureMs` at its start. Several processes
 * would each accept an id once: it throws ERR_INVALID_ARGUMENT in a worker of node:cluster, unless `allowCluster` says that
 * every session reaches one worker only.
 *
 * @example
 * ```ts
 * const replay = memoryReplayStore({ capacity: 2 ** 18 })
 * ```
 */
export function memoryReplayStore(
  options: { capacity?: number; sessionQuota?: number; allowCluster?: boolean; core?: Core | Promise<Core> } = {}
): ReplayStore {
  const { capacity = DEFAULT_CAPACITY, allowCluster = false } = optionsOf(options, 'memoryReplayStore')
  integerOf(capacity, 1, MAX_CAPACITY, 'memoryReplayStore: capacity')
  const { sessionQuota = Math.max(1, Math.floor(capacity / 64)) } = options
  integerOf(sessionQuota, 1, MAX_CAPACITY, 'memoryReplayStore: sessionQuota')
  if (cluster.isWorker && !allowCluster) {
    throw new CountersignError('ERR_INVALID_ARGUMENT', {
      detail: 'memoryReplayStore in a cluster worker: each worker would accept a request once; use lmdbStores'
    })
  }
  let guard: ReplayGuard | undefined
  let floorMs = 0
  let isFresh = true
  let hasLost = false
  let isClosed = false

  const open = async (): Promise<ReplayGuard> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const core = await (options.core ?? loadCore())
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    guard ??= core.createReplayGuard({ capacity, sessionQuota, floorMs })
    return guard
  }
  // A core that stopped took its ids with it: nothing is reserved before the gateway has fenced them off.
  const abandon = (): void => {
    guard = undefined
    isFresh = true
    hasLost = true
  }
  const floor = (): number => Math.max(floorMs, guard?.floorMs ?? 0)

  return {
    async reserve(key32, timestampMs, expiresMs, nowMs, session) {
      if (hasLost) throw new CountersignError('ERR_STORAGE_FAILED', { detail: 'the store in memory lost its ids' })
      const key = key32.slice()
      const opened = guard ?? (await open())
      if (timestampMs <= floorMs) return 'too-old'
      try {
        const owner = session === undefined ? [] : [Buffer.from(session)]
        return opened.reserve(key, timestampMs, expiresMs, nowMs, ...owner)
      } catch (error) {
        if (isCountersignError(error) && error.code === 'ERR_CORE_TRAPPED') abandon()
        throw error
      }
    },
    floorMs: floor,
    storedFloorMs: () => 0,
    get mayHaveForgotten() {
      return isFresh
    },
    async fence(ms) {
      isFresh = false
      hasLost = false
      floorMs = Math.max(floorMs, ms)
    },
    size: () => guard?.size ?? 0,
    close() {
      isClosed = true
      guard?.free()
      guard = undefined
    }
  }
}

/**
 * memoryCodeStore keeps challenges and counters for the life of the process, `capacity` of them at most.
 *
 * @example
 * ```ts
 * const codes = memoryCodeStore()
 * ```
 */
export function memoryCodeStore(options: { capacity?: number } = {}): CodeStore {
  const { capacity = 65_536 } = optionsOf(options, 'memoryCodeStore')
  integerOf(capacity, 1, MAX_CAPACITY, 'memoryCodeStore: capacity')
  return createCodeStore(memoryRecords(capacity))
}
