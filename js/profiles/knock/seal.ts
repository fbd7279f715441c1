// SPDX-License-Identifier: MIT
// Datagrams: the encryption around a packet, and its undoing.

import { CountersignError } from '../../common/errors.ts'
import { fillRandom, hasRandom } from '../../common/platform.ts'
import type { Bytes } from '../../common/types.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { openAesGcm, sealAesGcm } from '../common/aes-gcm.ts'
import { checkFields, type KnockCore, loadKnockCore, randomBytesOf } from './core.ts'
import { derOfPem, type KnockKey, knockKeyOf } from './keys.ts'
import { buildPacket } from './packet.ts'
import type { KnockFields, KnockVersion } from './types.ts'

const PACKET = 245
const CONTENT_KEY = 32
const NONCE = 12
const MARKS = 3
const HYBRID_BLOCK = 256

/** Gives as many random bytes. */
export type RandomBytes = (size: number) => Uint8Array

const platformRandom: RandomBytes = (size) => {
  if (!hasRandom) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random' })
  return fillRandom(new Uint8Array(size))
}

/** Makes random bytes without a zero: zeros are drawn again. */
function paddingOf(random: RandomBytes, size: number): Bytes {
  const padding = randomBytesOf(random(size), size)
  for (let at = 0; at < size; at++) {
    // A generator that gives nothing but zeros must not hang a page.
    for (let tries = 0; padding[at] === 0; tries++) {
      if (tries === 64) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random returns only zeros' })
      padding[at] = randomBytesOf(random(1), 1)[0] as number
    }
  }
  return padding
}

function encryptRsa(core: KnockCore, der: Bytes, message: Bytes, random: RandomBytes): Bytes {
  const size = core.publicKeySize(der)
  return core.encrypt(der, message, paddingOf(random, size - MARKS - message.length))
}

async function sealHybrid(
  core: KnockCore,
  version: KnockVersion,
  body: Bytes,
  der: Bytes,
  random: RandomBytes
): Promise<Bytes> {
  // The hybrid versions say nothing of other sizes, and the daemon takes none.
  if (core.publicKeySize(der) !== HYBRID_BLOCK) {
    throw new CountersignError('ERR_BAD_RSA_KEY', { detail: 'versions 3 and 4 need 2048 bits' })
  }
  const contentKey = randomBytesOf(random(CONTENT_KEY), CONTENT_KEY)
  const nonce = randomBytesOf(random(NONCE), NONCE)
  const wrapped = encryptRsa(core, der, contentKey, random)
  const header = core.header(version, nonce, body.length)
  const sealed = await sealAesGcm(contentKey, nonce, header, body)
  contentKey.fill(0)
  return concat(header, wrapped, sealed)
}

function concat(...parts: Bytes[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Encrypts a packet for whoever has the private key. */
export function sealPacket(
  core: KnockCore,
  version: KnockVersion,
  packet: Bytes,
  der: Bytes,
  random: RandomBytes = platformRandom
): Promise<Bytes> {
  return version >= 3
    ? sealHybrid(core, version, packet, der, random)
    : Promise.resolve(encryptRsa(core, der, packet, random))
}

/**
 * Makes the datagram of a knock for the daemon that has the private key of `serverPublicKeyPem` (RSA, 2048 to 4096
 * bits; 2048 in versions 3 and 4). `random` replaces all randomness, for tests. It rejects as knockPacket does, and with
 * ERR_BAD_RSA_KEY.
 *
 * @example
 * const fields = { timestamp: knockTime(client), userId: 7, actionId: 1, challenge: randomChallenge(), payload: '203.0.113.9' }
 * const datagram = await sealKnock(fields, key, serverPublicKeyPem)
 */
export async function sealKnock(
  fields: KnockFields,
  key: KnockKey,
  serverPublicKeyPem: string,
  options: { random?: RandomBytes } = {}
): Promise<Bytes> {
  const read = checkFields(fields)
  const mac = knockKeyOf(key)
  const der = derOfPem(serverPublicKeyPem, 'PUBLIC KEY')
  const { random = platformRandom } = optionsOf(options, 'options')
  if (typeof random !== 'function') throw badArgument('random must be a function')
  const core = await loadKnockCore()
  return sealPacket(core, read.version, await buildPacket(core, read, mac), der, random)
}

/** A datagram's packet, whether the encryption was right or not, and the version where the datagram tells it. */
export type DecryptedDatagram = { isGood: boolean; version: KnockVersion | 0; packet: Bytes }

/**
 * Decrypts a datagram. What a wrong block gives is not looked at apart: everything after it is done all the same
 * with bytes that are nobody's packet. Throws a malformed error for a datagram that no sender makes.
 */
export async function decryptDatagram(core: KnockCore, datagram: Bytes, privateKey: Bytes): Promise<DecryptedDatagram> {
  if (datagram.length === core.privateKeySize(privateKey)) {
    const { isGood, message } = core.decrypt(privateKey, datagram, PACKET)
    return { isGood, version: 0, packet: message }
  }
  const { version, nonce, additionalData, wrapped, sealed } = core.datagram(datagram)
  const { isGood, message } = core.decrypt(privateKey, wrapped, CONTENT_KEY)
  const packet = await openAesGcm(message, nonce, additionalData, sealed)
  message.fill(0)
  return { isGood: isGood && packet !== undefined, version, packet: packet ?? new Uint8Array(0) }
}
