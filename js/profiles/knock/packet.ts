// SPDX-License-Identifier: MIT
// Packets before encryption, and after decryption.

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

/** The daemon's window, either way, in seconds; inclusive. */
export const WINDOW_SECONDS = 300

/** Makes the packet of fields that were read. */
export async function buildPacket(core: KnockCore, fields: CheckedFields, key: KnockKey): Promise<Bytes> {
  return core.packet(fields, await key.tag(core.digest(fields)))
}

/**
 * Makes the packet that sealKnock encrypts: 245 bytes in versions 1 and 2, the body in 3 and 4. It rejects with
 * ERR_INVALID_ARGUMENT for a field out of range and ERR_PAYLOAD_TOO_LARGE for a payload that the daemon's own client would cut.
 */
export async function knockPacket(fields: KnockFields, key: KnockKey): Promise<Bytes> {
  const read = checkFields(fields)
  return buildPacket(await loadKnockCore(), read, knockKeyOf(key))
}

function reasonOf(error: unknown): KnockReason {
  if (!isCountersignError(error) || error.category !== 'malformed') throw error
  return error.code === 'ERR_BAD_LENGTH' ? 'payload_len' : 'malformed'
}

/** Reads a packet, or gives the reason why it is none. */
export function parsePacket(core: KnockCore, version: KnockVersion | 0, packet: BytesLike): ParsedPacket | KnockReason {
  try {
    return core.read(version, packet)
  } catch (error) {
    return reasonOf(error)
  }
}

/** Tells whether a time lies in the window, both ends included. */
export function isTimely(timestamp: number, nowSeconds: number, windowSeconds: number): boolean {
  return Math.abs(timestamp - nowSeconds) <= windowSeconds
}

export type VerifyKnockOptions = {
  /** Unix seconds. */
  nowSeconds: number
  /** 300 unless told. */
  windowSeconds?: number
  /** Told by the datagram of a hybrid version; found out by the packet's form where absent. */
  version?: KnockVersion
}

/**
 * Checks a decrypted packet: its form, its tag (in constant time), then its time. It gives the knock, or the
 * first reason against it. That it is new, and that its user may do this, is for the caller: createKnockListener does both.
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
  const told = version === undefined ? 0 : checkVersion(version)
  const read = parsePacket(await loadKnockCore(), told, decryptedPacket)
  const mac = knockKeyOf(key)
  if (typeof read === 'string') return { ok: false, reason: read }
  if (!(await mac.isTag(read.digest, read.tag))) return { ok: false, reason: 'hmac' }
  if (!isTimely(read.knock.timestamp, now, window)) return { ok: false, reason: 'timestamp' }
  return { ok: true, knock: read.knock }
}
