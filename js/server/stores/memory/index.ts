// SPDX-License-Identifier: MIT
// Stores in memory: for tests, and for a gateway of one process that may forget its sessions at a restart.

import cluster from 'node:cluster'
import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import type { Core, ReplayGuard, ReserveVerdict } from '../../../common/types.ts'
import { integerOf } from '../../../core/args.ts'
import { loadCore } from '../../../core/index.ts'
import { isSameBytes } from '../../support/encoding.ts'
import { gatewayOptionsOf } from '../../support/option-names.ts'
import type { AnswerStore, CodeStore, ReplayStore, SessionRecord, SessionStore } from '../../types.ts'
import { createAnswerStore } from '../answers.ts'
import { createCodeStore } from '../codes.ts'
import {
  copySession,
  encodeBytes,
  GUEST,
  IDLE,
  pruningOf,
  quotaOf,
  REPLACED,
  REPLAY_CAPACITY,
  replacedBy,
  replacedKeysAfter
} from '../common.ts'
import { createMemoryTable } from '../record-table.ts'
import { createWatchers } from '../watchers.ts'
import { createShareLedger } from './shares.ts'

/**
 * Creates a SessionStore that lasts as long as the process.
 *
 * @example
 * ```ts
 * const sessions = memorySessionStore()
 * ```
 */
export function memorySessionStore(): SessionStore {
  const sessions = new Map<string, SessionRecord>()
  const byUser = new Map<string, Set<string>>()
  /** The ids of the guests' active sessions, and apart from them of those whose pages have no origin. */
  const guests = new Set<string>()
  const opaqueGuests = new Set<string>()
  const watchers = createWatchers()
  const ofUser = (userId: string): SessionRecord[] =>
    [...(byUser.get(userId) ?? [])].map((id) => sessions.get(id) as SessionRecord)
  const revoke = (id: string, reason: string, atMs: number): boolean => {
    const session = sessions.get(id)
    if (session?.status === 'active') {
      sessions.set(id, { ...session, status: 'revoked', revokedReason: reason, revokedMs: atMs })
      guests.delete(id)
      opaqueGuests.delete(id)
      watchers.notify(id)
    }
    return session !== undefined
  }
  const remove = (id: string): void => {
    const { userId = '' } = sessions.get(id) ?? {}
    sessions.delete(id)
    guests.delete(id)
    opaqueGuests.delete(id)
    byUser.get(userId)?.delete(id)
    if (byUser.get(userId)?.size === 0) byUser.delete(userId)
  }
  let walk = sessions.keys()
  return {
    volatile: true,
    guests: true,
    async get(id) {
      const session = sessions.get(id)
      return session ? copySession(session) : null
    },
    async create(session, { maxLive, maxGuests, maxOpaqueGuests, ends } = {}) {
      if (sessions.has(session.id)) return false
      if (ends && sessions.get(ends.id)?.status !== 'active') return 'gone'
      const isGuest = session.status === 'active' && session.userId.startsWith(GUEST)
      const pool = maxOpaqueGuests === undefined ? guests : opaqueGuests
      if (isGuest && pool.size >= (maxOpaqueGuests ?? maxGuests ?? Number.POSITIVE_INFINITY)) return 'full'
      if (ends) revoke(ends.id, ends.reason, session.createdMs)
      const replaced = replacedBy(ofUser(session.userId), maxLive).map(({ id }) => id)
      sessions.set(session.id, copySession(session))
      const ids = byUser.get(session.userId) ?? new Set()
      byUser.set(session.userId, ids.add(session.id))
      if (isGuest) pool.add(session.id)
      for (const id of replaced) revoke(id, REPLACED, session.createdMs)
      if (maxLive === undefined && !ends) return true
      return ends ? [...replaced, ends.id] : replaced
    },
    revoke: async (id, reason, atMs = Date.now()) => revoke(id, reason, atMs),
    listByUser: async (userId) => ofUser(userId).map(copySession),
    async replaceKey(id, expectedKey, { atMs, ...next }) {
      const session = sessions.get(id)
      if (session?.status !== 'active' || !isSameBytes(session.publicKey, expectedKey)) return false
      const { previous: before, ...rest } = session
      const { algorithm, publicKey } = session
      const texts = {
        ...rest,
        publicKey: encodeBytes(publicKey),
        ...(before ? { previous: { publicKey: encodeBytes(before.publicKey) } } : {})
      }
      const replacedKeys = replacedKeysAfter(texts, encodeBytes(next.publicKey))
      if (!replacedKeys) return false
      const previous = atMs === undefined ? {} : { previous: { algorithm, publicKey, replacedMs: atMs } }
      sessions.set(id, copySession({ ...rest, ...next, ...previous, replacedKeys }))
      watchers.notify(id)
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
    watch: watchers.watch,
    async prune(bounds) {
      const removed: string[] = []
      for (let count = 0; count < bounds.limit; count++) {
        const { done, value: id } = walk.next()
        if (done) {
          walk = sessions.keys()
          break
        }
        const session = sessions.get(id) as SessionRecord
        const pruning = pruningOf(session, bounds)
        if (pruning === 'revoke') revoke(id, IDLE, bounds.nowMs)
        if (pruning === 'remove') removed.push(id)
      }
      for (const id of removed) remove(id)
      return removed
    },
    async forgetUser(userId) {
      const removed = ofUser(userId).map(({ id }) => id)
      for (const id of removed) {
        remove(id)
        watchers.notify(id)
      }
      return removed
    },
    isEmpty: async () => sessions.size === 0
  }
}

const MAX_CAPACITY = 2 ** 24

/**
 * Creates a ReplayStore that lasts as long as the process. It keeps ids in the core's bounded guard: about 80 bytes
 * each, taken as they come and kept. A process that ends forgets them, so a gateway over lasting sessions starts with a fence of
 * `futureMs`.
 *
 * @throws ERR_INVALID_ARGUMENT when an option is out of range, and in a worker of node:cluster without `allowCluster`.
 * Several processes would each accept a request once.
 *
 * @example
 * ```ts
 * const replay = memoryReplayStore({ capacity: 2 ** 18 })
 * ```
 */
export function memoryReplayStore(
  options: {
    /** The most live ids. Default: 1048576 (2^20). */
    capacity?: number
    /** The most live ids of one session. Default: a 64th of `capacity`. */
    sessionQuota?: number
    /** Allows the store in a cluster worker: each session then reaches one worker only. Default: `false`. */
    allowCluster?: boolean
    /** The core. Default: `loadCore()`. */
    core?: Core | Promise<Core>
  } = {}
): ReplayStore {
  const { capacity = REPLAY_CAPACITY, allowCluster = false } = gatewayOptionsOf(options, 'memoryReplayStore')
  integerOf(capacity, 1, MAX_CAPACITY, 'memoryReplayStore: capacity')
  const { sessionQuota = quotaOf(capacity) } = options
  integerOf(sessionQuota, 1, MAX_CAPACITY, 'memoryReplayStore: sessionQuota')
  if (cluster.isWorker && !allowCluster) {
    throw new CountersignError('ERR_INVALID_ARGUMENT', {
      detail: 'memoryReplayStore in a cluster worker: each worker would accept a request once; use lmdbStores'
    })
  }
  let guard: ReplayGuard | undefined
  let ledger = createShareLedger(capacity)
  let floorMs = 0
  let isFresh = true
  let hasLost = false
  let isClosed = false

  const openGuard = async (): Promise<ReplayGuard> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    const core = await (options.core ?? loadCore())
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    guard ??= core.createReplayGuard({ capacity, sessionQuota, floorMs })
    return guard
  }
  // A core that stopped has lost its ids: the gateway must set a fence before the store reserves again.
  const abandon = (): void => {
    guard = undefined
    ledger = createShareLedger(capacity)
    isFresh = true
    hasLost = true
  }
  const floor = (): number => Math.max(floorMs, guard?.floorMs ?? 0)

  const ask = async (work: (opened: ReplayGuard) => ReserveVerdict): Promise<ReserveVerdict> => {
    if (hasLost) throw new CountersignError('ERR_STORAGE_FAILED', { detail: 'the store in memory lost its ids' })
    const opened = guard ?? (await openGuard())
    try {
      return work(opened)
    } catch (error) {
      if (isCountersignError(error) && error.code === 'ERR_CORE_TRAPPED') abandon()
      throw error
    }
  }

  return {
    // The key is copied before the first wait: the caller may change its own.
    shares: true,
    async reserve(key32, timestampMs, expiresMs, nowMs, session, shares = []) {
      const key = key32.slice()
      const owner = session === undefined ? [] : [Buffer.from(session)]
      return ask((opened) => {
        if (timestampMs <= floorMs) return 'too-old'
        if (!ledger.hasRoom('ids', shares, nowMs)) return timestampMs <= floor() ? 'too-old' : 'full'
        const verdict = opened.reserve(key, timestampMs, expiresMs, nowMs, ...owner)
        if (verdict === 'reserved') ledger.addId(shares, expiresMs)
        return verdict
      })
    },
    async limit({ key32, timestampMs, expiresMs, nowMs, session, isReserved, shares = [] }) {
      const key = key32.slice()
      return ask((opened) => {
        const hasRoom = isReserved || ledger.hasRoom('most', shares, nowMs) || ledger.hasFloor(session)
        if (!hasRoom) return 'full'
        const verdict = opened.limit(key, timestampMs, expiresMs, nowMs, Buffer.from(session), isReserved)
        if (typeof verdict === 'object' && shares.length > 0) ledger.addFloor(session, shares, expiresMs, isReserved)
        return verdict
      })
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
 * Creates a CodeStore that lasts as long as the process. It holds `capacity` challenges and counters. Default: 65536.
 *
 * @throws ERR_INVALID_ARGUMENT when `capacity` is out of range.
 *
 * @example
 * ```ts
 * const codes = memoryCodeStore()
 * ```
 */
export function memoryCodeStore(options: { capacity?: number } = {}): CodeStore {
  const { capacity = 65_536 } = gatewayOptionsOf(options, 'memoryCodeStore')
  integerOf(capacity, 1, MAX_CAPACITY, 'memoryCodeStore: capacity')
  return { volatile: true, ...createCodeStore(createMemoryTable(capacity)) }
}

/**
 * Creates an AnswerStore that lasts as long as the process. It holds `capacity` records, two for a key. Default: 16384.
 * When the process ends, it forgets the requests that had begun, and a client's next try runs them again. Use LMDB or
 * Redis where that matters.
 *
 * @throws ERR_INVALID_ARGUMENT when `capacity` is out of range.
 *
 * @example
 * ```ts
 * const answers = memoryAnswerStore()
 * ```
 */
export function memoryAnswerStore(options: { capacity?: number } = {}): AnswerStore {
  const { capacity = 16_384 } = gatewayOptionsOf(options, 'memoryAnswerStore')
  integerOf(capacity, 2, MAX_CAPACITY, 'memoryAnswerStore: capacity')
  return createAnswerStore(createMemoryTable(capacity))
}
