// SPDX-License-Identifier: MIT
// The server of signed statistics: the binding of devices to users, the verdict on a sync, the leaderboard.

import { badArgument, optionsOf } from '../../../core/args.ts'
import { functionOf, partOf } from '../../../server/support/checks.ts'
import { importDeviceKey } from '../keys.ts'
import { type StatsLimits, statsLimits } from '../limits.ts'
import { phaseOf, type StatsPhase } from '../phases.ts'
import { modeOf } from '../sign.ts'
import type { EventMode } from '../types.ts'
import { bindDevice, type DeviceOffer } from './devices.ts'
import { changeUser, receiveSync } from './receive.ts'
import type { EnrolOutcome, Standing, StatsOptions, SyncOutcome, SyncRequest } from './types.ts'

/** Receives statistics and checks them. createStats creates one. */
export interface Stats {
  /**
   * Enrols the key of a user's device. The text is the secret itself, so take it over TLS and only once. The owner of
   * the key wins over a user who has only named the device. A change of the device needs a user verified since
   * (`verifiedMs`). A mode below the device's present one is ignored.
   * Rejects with ERR_INVALID_ARGUMENT for a key that is too weak.
   */
  enrol(offer: {
    userId: string
    key: string
    /** The lowest mode that its events may use. Default: `covered`. */
    lowestMode?: EventMode
    verifiedMs?: number
  }): Promise<EnrolOutcome>
  /** Lets an exchange session stand for a device's key. A body that this session signed needs no other signature. */
  enrolSession(offer: {
    userId: string
    deviceId: string
    sessionId: string
    verifiedMs?: number
  }): Promise<EnrolOutcome>
  /**
   * Handles the body of a sync from an authenticated user. Rejects with ERR_INVALID_ARGUMENT, and as the store does.
   */
  sync(request: SyncRequest): Promise<SyncOutcome>
  /** Returns the verdict on the user's last sync; undefined without one. */
  standing(userId: string): Promise<Standing | undefined>
  /** Ends a review in the user's favour: the statistics so far are not checked again. */
  approve(userId: string): Promise<void>
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '' || value.length > 512)
    throw badArgument(`${name} must be a string of 1 to 512 characters`)
  return value
}

function limitsOf(given: Partial<StatsLimits> = {}): StatsLimits {
  const limits = { ...statsLimits, ...optionsOf(given, 'limits') }
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isFinite(value) || value < 0) throw badArgument(`limits.${name} must be a number of at least 0`)
  }
  return limits
}

/**
 * Creates the server's side over a store.
 * @throws ERR_INVALID_ARGUMENT for invalid options.
 *
 * @example
 * ```ts
 * const stats = createStats({ store: memoryStatsStore(), phase: 3 })
 * const { status, answer } = await stats.sync({ userId, body: await request.text() })
 * ```
 */
export function createStats(options: StatsOptions): Stats {
  const { store, phase: wanted = 2, limits: given, distribution, now = Date.now } = optionsOf(options, 'createStats')
  partOf(store, ['update', 'user', 'device', 'close'], 'createStats: pass a store; memoryStatsStore makes one')
  functionOf(distribution, 'createStats: distribution')
  functionOf(now, 'createStats: now')
  const phase: StatsPhase = phaseOf(wanted)
  const limits = limitsOf(given)

  const enrolDevice = (offer: Omit<DeviceOffer, 'nowMs'>): Promise<EnrolOutcome> =>
    store.update(offer.userId, offer.deviceId, (records) => bindDevice(records, { ...offer, nowMs: now() }))

  return {
    async sync(request) {
      const { userId, sessionId, body } = optionsOf(request, 'sync')
      const sender = { userId: textOf(userId, 'userId'), sessionId, nowMs: now() }
      return receiveSync({ store, phase, limits, distribution }, sender, body)
    },
    async enrol(offer) {
      const { userId, key: text, lowestMode = 'covered', verifiedMs } = optionsOf(offer, 'enrol')
      const [mode, keyText] = [modeOf(lowestMode), textOf(text, 'key').trim()]
      const key = await importDeviceKey(keyText)
      if (mode !== 'compatible' && !key.isStrong) {
        throw badArgument('key must be at least 32 bytes, except for compatible mode')
      }
      return enrolDevice({
        userId: textOf(userId, 'userId'),
        deviceId: key.deviceId,
        proof: { keyText, lowestMode: mode },
        verifiedMs
      })
    },
    async enrolSession(offer) {
      const { userId, deviceId, sessionId, verifiedMs } = optionsOf(offer, 'enrolSession')
      if (!/^[0-9a-f]{16}$/.test(textOf(deviceId, 'deviceId')))
        throw badArgument('deviceId must be 16 hexadecimal digits')
      const proof = { sessionId: textOf(sessionId, 'sessionId') }
      return enrolDevice({ userId: textOf(userId, 'userId'), deviceId, proof, verifiedMs })
    },
    standing: async (userId) => (await store.user(textOf(userId, 'userId')))?.verdict,
    async approve(userId) {
      const reviewedMs = now()
      const known = await store.user(textOf(userId, 'userId'))
      if (known) await changeUser(store, known, (user) => ({ ...user, reviewedMs }))
    }
  }
}
