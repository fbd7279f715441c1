// SPDX-License-Identifier: MIT
// Packets before encryption and after decryption.

import { isCountersignError } from '../../common/errors.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { integerOf, optionsOf } from '../../core/args.ts'
import {
  type CheckedFields,
  checkFields,
  checkVersion,
  type KnockCore,
  loadKnockCore,
  type ParsedPacket
} from './core.ts'
import { type KnockKey, knockKeyOf } from './keys.ts'
import type { KnockFields, KnockReason, KnockVerdict, KnockVersion } from './types.ts'

/** The daemon's window in seconds, before and after its time, both ends included. */
export const WINDOW_SECONDS = 300

/** Builds the packet of checked fields. */
export async function buildPacket(core: KnockCore, fields: CheckedFields, key: KnockKey): Promise<Bytes> {
  return core.packet(fields, await key.tag(core.digest(fields)))
}

/**
 * Builds the packet that sealKnock encrypts: 245 bytes in versions 1 and 2, the body in versions 3 and 4.
 * Rejects with ERR_INVALID_ARGUMENT for a field out of range, and with ERR_PAYLOAD_TOO_LARGE for a payload that the
 * daemon's own client would cut.
 */
export async function knockPacket(fields: KnockFields, key: KnockKey): Promise<Bytes> {
  const checked = checkFields(fields)
  return buildPacket(await loadKnockCore(), checked, knockKeyOf(key))
}

function reasonOf(error: unknown): KnockReason {
  if (!isCountersignError(error) || error.category !== 'malformed') throw error
  return error.code === 'ERR_BAD_LENGTH' ? 'payload_len' : 'malformed'
}

/** Parses a packet. Returns the reason when it is malformed. */
export function parsePacket(core: KnockCore, version: KnockVersion | 0, packet: BytesLike): ParsedPacket | KnockReason {
  try {
    return core.read(version, packet)
  } catch (error) {
    return reasonOf(error)
  }
}

/** Returns whether a time lies in the window, both ends included. */
export function isTimely(timestamp: number, nowSeconds: number, windowSeconds: number): boolean {
  return Math.abs(timestamp - nowSeconds) <= windowSeconds
}

export type VerifyKnockOptions = {
  /** The present time, in Unix seconds. */
  nowSeconds: number
  /** Default: 300 s. */
  windowSeconds?: number
  /** The version that the datagram of a hybrid version states. Default: detected from the packet. */
  version?: KnockVersion
}

/**
 * Verifies a decrypted packet: its form, its tag (in constant time), then its time. Resolves to the knock, or to the
 * first failed check. The caller checks whether the knock is new and its user may do the action; createKnockListener
 * checks both.
 * Rejects with ERR_INVALID_ARGUMENT for invalid options.
 *
 * @example
 * const verdict = await verifyKnock(packet, key, { nowSeconds: Math.floor(Date.now() / 1000) })
 */
export async function verifyKnock(
  decryptedPacket: BytesLike,
  key: KnockKey,
  options: VerifyKnockOptions
): Promise<KnockVerdict> {
  const { nowSeconds, windowSeconds = WINDOW_SECONDS, version } = optionsOf(options, 'options')
  const now = integerOf(nowSeconds, 0, Number.MAX_SAFE_INTEGER, 'nowSeconds')
  const window = integerOf(windowSeconds, 0, 2 ** 32 - 1, 'windowSeconds')
  const stated = version === undefined ? 0 : checkVersion(version)
  const parsed = parsePacket(await loadKnockCore(), stated, decryptedPacket)
  const mac = knockKeyOf(key)
  if (typeof parsed === 'string') return { ok: false, reason: parsed }
  if (!(await mac.isTag(parsed.digest, parsed.tag))) return { ok: false, reason: 'hmac' }
  if (!isTimely(parsed.knock.timestamp, now, window)) return { ok: false, reason: 'timestamp' }
  return { ok: true, knock: parsed.knock }
}
