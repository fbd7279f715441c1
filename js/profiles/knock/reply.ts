// SPDX-License-Identifier: MIT
// Replies are packets of the same form. Their payload is the result of a knock. A refused knock gets no reply.

import { CountersignError } from '../../common/errors.ts'
import { decodeLenientText } from '../../common/text.ts'
import type { BytesLike } from '../../common/types.ts'
import { copyOf, integerOf, optionsOf } from '../../core/args.ts'
import { checkVersion, loadKnockCore } from './core.ts'
import { derOfPem, type KnockKey, knockKeyOf } from './keys.ts'
import { isTimely, parsePacket, WINDOW_SECONDS } from './packet.ts'
import { decryptDatagram } from './seal.ts'
import type { KnockReply, KnockVersion } from './types.ts'

/** The knock that a reply must echo. */
export type ExpectedReply = {
  userId: number
  actionId: number
  challenge: number
  /** The present time, in Unix seconds. Default: the local clock. */
  nowSeconds?: number
  /** Default: 300 s. */
  windowSeconds?: number
  /** Default: detected from the packet. */
  version?: KnockVersion
}

const TRUNCATED = 1

function wrong(detail: string): CountersignError {
  return new CountersignError('ERR_WRONG_REQUEST_ID', { detail })
}

/**
 * Opens a decrypted reply. It checks the form, the tag (ERR_BAD_SIGNATURE), user, challenge and action
 * (ERR_WRONG_REQUEST_ID), then the time (ERR_STALE). The text is the daemon's, with malformed UTF-8 replaced. Show it
 * as text, never as markup.
 * Rejects with the code of the first failed check.
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
  const parsed = parsePacket(core, version === undefined ? 0 : checkVersion(version), decryptedPacket)
  if (typeof parsed === 'string') throw new CountersignError('ERR_BAD_LENGTH', { detail: `a reply: ${parsed}` })
  if (!(await mac.isTag(parsed.digest, parsed.tag))) throw new CountersignError('ERR_BAD_SIGNATURE')
  const { knock } = parsed
  // The daemon's own action is 0, so a knock that is sent back is not a reply.
  if (knock.actionId !== 0) throw wrong('action_id')
  if (knock.userId !== userId) throw wrong('user_id')
  if (knock.challenge !== challenge) throw wrong('challenge')
  const { status, action, flags, text } = core.reply(knock.payload)
  if (action !== actionId) throw wrong('request_action')
  if (!isTimely(knock.timestamp, now, window)) throw new CountersignError('ERR_STALE')
  return { status, action, truncated: (flags & TRUNCATED) !== 0, text: decodeLenientText(text) }
}

/**
 * Decrypts a reply with the user's own RSA key (PKCS#8 PEM), then opens it as openKnockReply does.
 * Rejects with ERR_BAD_SIGNATURE when it is not encrypted to that key, and with ERR_BAD_RSA_KEY.
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
