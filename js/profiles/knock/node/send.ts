// SPDX-License-Identifier: MIT
// Sends a knock from Node, without a gateway.

import { lookup } from 'node:dns/promises'
import { CountersignError } from '../../../common/errors.ts'
import { badArgument, integerOf, optionsOf, textOf } from '../../../core/args.ts'
import { derOfPem, type KnockKey } from '../keys.ts'
import { openKnockReplyDatagram } from '../reply.ts'
import { sealKnock } from '../seal.ts'
import type { KnockFields, KnockReply } from '../types.ts'
import { exchangeUdp } from './udp.ts'

export type SendKnockOptions = {
  /** The daemon's name or address, and its port. */
  host: string
  port: number
  key: KnockKey
  /** The daemon's RSA key, PEM. */
  serverPublicKeyPem: string
  /** The user's own RSA key (PKCS#8 PEM), which decrypts the reply. Without it the call does not wait for a reply. */
  userPrivateKeyPem?: string
  /** Default: 2000 ms. */
  replyWithinMs?: number
  signal?: AbortSignal
}

async function resolveHost(host: string): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw new CountersignError('ERR_NETWORK', { cause, detail: 'the host name does not resolve' })
  }
}

/**
 * Sends one datagram over UDP. Resolves to the daemon's reply, or to null when none came: the knock was refused or
 * lost, or there is no key to decrypt a reply.
 * Rejects as sealKnock and openKnockReply do, with ERR_NETWORK when the datagram cannot be sent, and with
 * ERR_ABORTED.
 *
 * @example
 * const fields = { timestamp: Math.floor(Date.now() / 1000), userId: 7, actionId: 1, challenge: randomChallenge() }
 * const daemon = { host: 'door.example', port: 50000, serverPublicKeyPem }
 * const reply = await sendKnock(fields, { ...daemon, key, userPrivateKeyPem })
 */
export async function sendKnock(fields: KnockFields, options: SendKnockOptions): Promise<KnockReply | null> {
  const {
    host,
    port,
    key,
    serverPublicKeyPem,
    userPrivateKeyPem,
    replyWithinMs = 2000,
    signal
  } = optionsOf(options, 'options')
  textOf(host, 'host')
  integerOf(port, 1, 65_535, 'port')
  integerOf(replyWithinMs, 1, 60_000, 'replyWithinMs')
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw badArgument('signal must be an AbortSignal')
  const { userId, actionId, challenge, timestamp } = fields
  const own = userPrivateKeyPem === undefined ? undefined : derOfPem(userPrivateKeyPem, 'PRIVATE KEY')
  const datagram = await sealKnock(fields, key, serverPublicKeyPem)
  const address = await resolveHost(host)
  const waitMs = own ? replyWithinMs : 0
  const reply = await exchangeUdp({ address, port, datagram, replyWithinMs: waitMs, signal })
  if (!reply || !own) return null
  const expected = { userId, actionId, challenge, nowSeconds: timestamp }
  return openKnockReplyDatagram(new Uint8Array(reply), userPrivateKeyPem as string, key, expected)
}
