// SPDX-License-Identifier: MIT
// Handles one sync: parse, verify, merge and check in one step of the store, call the hook, store the verdict.

import { CountersignError } from '../../../common/errors.ts'
import type { StatsLimits } from '../limits.ts'
import { phaseRules, type StatsPhase } from '../phases.ts'
import { askDistribution } from './distribution.ts'
import { checkEvents, type SyncEvidence } from './evidence.ts'
import { emptyUser, mergeSync } from './history.ts'
import { type ParsedSync, parseSync } from './read.ts'
import { brokenRules } from './rules.ts'
import { isRankedBy, trustOf, warningsOf } from './trust.ts'
import type {
  Claim,
  DeviceRecord,
  DistributionHook,
  StatsReason,
  StatsRecords,
  StatsStore,
  SyncOutcome,
  UserRecord
} from './types.ts'

/** How often a sync is verified again when the device's record changed meanwhile. */
const TRIES = 3

export type SyncReceiver = {
  store: StatsStore
  phase: StatsPhase
  limits: StatsLimits
  distribution: DistributionHook | undefined
}
type SyncSender = { userId: string; sessionId: string | undefined; nowMs: number }

/** The result of the store's step: refused, to be verified again, or counted. */
type SyncStep =
  | { refusal: readonly StatsReason[] }
  | { isOutdated: true }
  | { user: UserRecord; reasons: StatsReason[] }
type SyncChange = Partial<StatsRecords> & { result: SyncStep }

/** Changes the record of a known user. */
export function changeUser(
  store: StatsStore,
  { userId, deviceId }: { userId: string; deviceId: string },
  change: (user: UserRecord) => UserRecord
): Promise<void> {
  return store.update(userId, deviceId, ({ user }) => ({ ...(user ? { user: change(user) } : {}), result: undefined }))
}

function refuse(status: 400 | 403, reasons: readonly string[]): SyncOutcome {
  return {
    status,
    answer: { success: false, verified: false, trustLevel: trustOf(reasons), warnings: [...reasons] }
  }
}

/** Returns why this user may not send for the device; undefined when the user may. */
function deviceProblem(userId: string, deviceId: string, { user, device }: StatsRecords): StatsReason | undefined {
  if (device && device.userId !== userId) return 'device_of_another_user'
  return user && user.deviceId !== deviceId ? 'device_changed' : undefined
}

function isSameDevice(one: DeviceRecord | undefined, other: DeviceRecord | undefined): boolean {
  return (
    one?.userId === other?.userId &&
    one?.keyText === other?.keyText &&
    one?.sessionId === other?.sessionId &&
    one?.lowestMode === other?.lowestMode
  )
}

/**
 * Creates the store's change. It uses the store's present records, which may be newer than those of the verification.
 */
function takeSync(
  { phase, limits }: SyncReceiver,
  { userId, nowMs }: SyncSender,
  { totals, deviceId }: ParsedSync,
  evidence: SyncEvidence,
  verifiedWith: DeviceRecord | undefined
) {
  const claim: Claim = { ...totals, atMs: nowMs }
  return (records: StatsRecords): SyncChange => {
    const problem = deviceProblem(userId, deviceId, records)
    if (problem) return { result: { refusal: [problem] } }
    if (!isSameDevice(records.device, verifiedWith)) return { result: { isOutdated: true } }
    if (!evidence.isSigned && !phaseRules[phase].accepts) return { result: { refusal: evidence.reasons } }
    const before = records.user ?? emptyUser(userId, deviceId, nowMs)
    const merged = mergeSync(before, evidence.accepted, claim, deviceId, limits)
    const reasons = [...evidence.reasons, ...merged.reasons, ...brokenRules(before, merged, claim, limits)]
    const device: DeviceRecord = records.device ?? { deviceId, userId, lowestMode: 'compatible' }
    return { user: merged.user, device, result: { user: merged.user, reasons } }
  }
}

/**
 * Handles one sync.
 * Rejects with ERR_UNAVAILABLE when the device's record changes again and again, and as the store does.
 */
export async function receiveSync(
  receiver: SyncReceiver,
  sender: SyncSender,
  body: Uint8Array | string
): Promise<SyncOutcome> {
  const { store, phase, distribution } = receiver
  const { userId, sessionId, nowMs } = sender
  const sync = await parseSync(body)
  if (!sync) return refuse(400, ['malformed'])
  const { deviceId, events, totals } = sync
  for (let tries = 0; tries < TRIES; tries++) {
    const device = await store.device(deviceId)
    const evidence = await checkEvents(events, deviceId, device, sessionId)
    const step: SyncStep = await store.update(userId, deviceId, takeSync(receiver, sender, sync, evidence, device))
    if ('isOutdated' in step) continue
    if ('refusal' in step) return refuse(403, step.refusal)
    const unusual = await askDistribution(distribution, step.user, { ...totals, atMs: nowMs })
    const reasons = [...new Set<string>([...step.reasons, ...unusual])]
    const trustLevel = trustOf(reasons)
    const verdict = { trustLevel, reasons, isRanked: isRankedBy(phase, reasons), atMs: nowMs }
    await changeUser(store, step.user, (user) => ((user.verdict?.atMs ?? -1) > nowMs ? user : { ...user, verdict }))
    const answer = { success: true, verified: evidence.isSigned, trustLevel, warnings: warningsOf(phase, reasons) }
    return { status: 200, answer }
  }
  throw new CountersignError('ERR_UNAVAILABLE')
}
