// SPDX-License-Identifier: MIT
// Replies: packets of the same family, whose payload says what became of a knock. A refusal has none: it is silence.

import { CountersignError } from '../../common/errors.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { copyOf, integerOf, optionsOf } from '../../core/args.ts'
import { checkVersion, loadKnockCore } from './core.ts'
import { derOfPem, type KnockKey, knockKeyOf } from './keys.ts'
import { isTimely, parsePacket, WINDOW_SECONDS } from './packet.ts'
import { decryptDatagram } from './seal.ts'
import type { KnockReply, KnockVersion } from './types.ts'

/** What a reply has to echo: the knock it answers. */
export type ExpectedReply = {
  userId: number
  actionId: number
  challenge: number
  /** Unix seconds; the local clock unless told. */
  nowSeconds?: number
  /** 300 unless told. */
  windowSeconds?: number
  /** Found out by the packet's form unless told. */
  version?: KnockVersion
}

const TRUNCATED = 1

function wrong(detail: string): CountersignError {
  return new CountersignError('ERR_WRONG_REQUEST_ID', { detail })
}

function readText(bytes: Bytes): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/**
 * Checks a decrypted reply and reads it. In order: form, tag (ERR_BAD_SIGNATURE), user, challenge and action
 * (ERR_WRONG_REQUEST_ID), time (ERR_STALE). Its text is what the daemon wrote, bytes that are not UTF-8 replaced; show it as
 * text, never as markup.
 */
export async function openKnockReply(
  decryptedPacket: BytesLike,
  key: KnockKey,
  expected: ExpectedReply
): Promise<KnockReply> {
  const given = optionsOf(expected, 'expected')
  const { userId, actionId, challenge, windowSeconds = WINDOW_SECONDS, version } = given
  const { nowSeconds = Math.floor(Date.now() / 1000) } = given
  const now = integerOf(nowSeconds, 0, Number.MAX_SAFE_INTEGER, 'nowSeconds')
  const window = integerOf(windowSeconds, 0, 2 ** 32 - 1, 'windowSeconds')
  const mac = knockKeyOf(key)
  const core = await loadKnockCore()
  const read = parsePacket(core, version === undefined ? 0 : checkVersion(version), decryptedPacket)
  if (typeof read === 'string') throw new CountersignError('ERR_BAD_LENGTH', { detail: `a reply: ${read}` })
  if (!(await mac.isTag(read.digest, read.tag))) throw new CountersignError('ERR_BAD_SIGNATURE')
  const { knock } = read
  // The daemon's own action is 0: a knock that comes back as a reply is none.
  if (knock.actionId !== 0) throw wrong('action_id')
  if (knock.userId !== userId) throw wrong('user_id')
  if (knock.challenge !== challenge) throw wrong('challenge')
  const { status, action, flags, text } = core.reply(knock.payload)
  if (action !== actionId) throw wrong('request_action')
  if (!isTimely(knock.timestamp, now, window)) throw new CountersignError('ERR_STALE')
  return { status, action, truncated: (flags & TRUNCATED) !== 0, text: readText(text) }
}

/**
 * Decrypts a reply with the user's own RSA key (PKCS#8 PEM), then checks it as openKnockReply does. It
 * rejects with ERR_BAD_SIGNATURE where it is not encrypted to that key, and with ERR_BAD_RSA_KEY.
 *
 * @example
 * const { reply } = await relayKnock(client, { target: 'front-door', datagram, replyWithinMs: 2000 })
 * if (reply) console.log((await openKnockReplyDatagram(reply, privateKeyPem, key, fields)).text)
 */
export async function openKnockReplyDatagram(
  datagram: BytesLike,
  userPrivateKeyPem: string,
  key: KnockKey,
  expected: ExpectedReply
): Promise<KnockReply> {
  const der = derOfPem(userPrivateKeyPem, 'PRIVATE KEY')
  const { isGood, packet, version } = await decryptDatagram(await loadKnockCore(), copyOf(datagram, 'datagram'), der)
  if (!isGood) throw new CountersignError('ERR_BAD_SIGNATURE', { detail: 'the reply is not encrypted to this key' })
  return openKnockReply(packet, key, version === 0 ? expected : { ...expected, version })
}
