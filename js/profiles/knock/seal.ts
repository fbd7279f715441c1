// SPDX-License-Identifier: MIT
// Encrypts packets to datagrams, and decrypts them.

import { CountersignError } from '../../common/errors.ts'

import type { Bytes } from '../../common/types.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { openAesGcm, sealAesGcm } from '../common/aes-gcm.ts'
import { randomBytes } from '../common/bytes.ts'
import { checkFields, type KnockCore, loadKnockCore, randomBytesOf } from './core.ts'
import { derOfPem, type KnockKey, knockKeyOf } from './keys.ts'
import { buildPacket } from './packet.ts'
import type { KnockFields, KnockVersion } from './types.ts'

const PACKET = 245
const CONTENT_KEY = 32
const NONCE = 12
/** The bytes 0, 2 and 0 around the padding (RFC 8017, RSAES-PKCS1-v1_5). */
const PADDING_MARKS = 3
const HYBRID_BLOCK = 256

/** Returns `size` random bytes. */
export type RandomBytes = (size: number) => Uint8Array

/** Returns random bytes without a zero. It draws each zero again. */
function paddingOf(random: RandomBytes, size: number): Bytes {
  const padding = randomBytesOf(random(size), size)
  for (let at = 0; at < size; at++) {
    // A generator that returns only zeros must not hang a page.
    for (let tries = 0; padding[at] === 0; tries++) {
      if (tries === 64) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random returns only zeros' })
      padding[at] = randomBytesOf(random(1), 1)[0] as number
    }
  }
  return padding
}

function encryptRsa(core: KnockCore, der: Bytes, message: Bytes, random: RandomBytes): Bytes {
  const size = core.publicKeySize(der)
  return core.encrypt(der, message, paddingOf(random, size - PADDING_MARKS - message.length))
}

async function sealHybrid(
  core: KnockCore,
  version: KnockVersion,
  body: Bytes,
  der: Bytes,
  random: RandomBytes
): Promise<Bytes> {
  // The hybrid versions define no other size, and the daemon accepts none.
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

/** Encrypts a packet to the owner of the private key. */
export function sealPacket(
  core: KnockCore,
  version: KnockVersion,
  packet: Bytes,
  der: Bytes,
  random: RandomBytes = randomBytes
): Promise<Bytes> {
  return version >= 3
    ? sealHybrid(core, version, packet, der, random)
    : Promise.resolve(encryptRsa(core, der, packet, random))
}

/**
 * Creates the datagram of a knock, encrypted to the daemon's key `serverPublicKeyPem`. The key is RSA of 2048 to 4096
 * bits; versions 3 and 4 need 2048. `random` replaces all randomness, in tests.
 * Rejects as knockPacket does, and with ERR_BAD_RSA_KEY.
 *
 * @example
 * const fields = { timestamp: knockTime(client), userId: 7, actionId: 1, challenge: randomChallenge() }
 * const datagram = await sealKnock({ ...fields, payload: '203.0.113.9' }, key, serverPublicKeyPem)
 */
export async function sealKnock(
  fields: KnockFields,
  key: KnockKey,
  serverPublicKeyPem: string,
  options: { random?: RandomBytes } = {}
): Promise<Bytes> {
  const checked = checkFields(fields)
  const mac = knockKeyOf(key)
  const der = derOfPem(serverPublicKeyPem, 'PUBLIC KEY')
  const { random = randomBytes } = optionsOf(options, 'options')
  if (typeof random !== 'function') throw badArgument('random must be a function')
  const core = await loadKnockCore()
  return sealPacket(core, checked.version, await buildPacket(core, checked, mac), der, random)
}

/** The packet of a datagram, whether its encryption was right, and the version when the datagram states it. */
export type DecryptedDatagram = { isGood: boolean; version: KnockVersion | 0; packet: Bytes }

/**
 * Decrypts a datagram. A wrong block is not handled apart: all later steps run in the same way, with bytes that are
 * not a valid packet.
 * Rejects with a malformed error for a datagram that no sender creates.
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
