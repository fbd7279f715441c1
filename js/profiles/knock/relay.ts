// SPDX-License-Identifier: MIT
// A browser has no UDP: the gateway sends the datagram for it (docs/profiles/knock.md says what that reveals and allows).

import { CountersignError } from '../../common/errors.ts'
import { fillRandom, hasRandom } from '../../common/platform.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, integerOf, optionsOf, textOf } from '../../core/args.ts'
import { randomBytesOf } from './core.ts'

/** What the relay needs of a client of the exchange. */
export type RelayClient = {
  readonly clock: { now(): number }
  request(
    type: string,
    payload?: BytesLike | string,
    options?: { idempotencyKey?: string; timeoutMs?: number; signal?: AbortSignal }
  ): Promise<{ resultCode: string; payload: Uint8Array }>
}

/** The message type of the relay, unless the gateway names another. */
export const RELAY_TYPE = 'knock.relay'

/** Gives the server's time in Unix seconds, as a client of the exchange knows it. */
export function knockTime(client: Pick<RelayClient, 'clock'>): number {
  return Math.floor(client.clock.now() / 1000)
}

/** Gives 32 random bits; of 77,000 of one user two are likely to be the same. */
export function randomChallenge(): number {
  if (!hasRandom) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random' })
  return new DataView(fillRandom(new Uint8Array(4)).buffer).getUint32(0)
}

/** What became of a datagram: the daemon's answer, still encrypted, or null where none came. */
export type Relayed = { reply: Bytes | null }

/**
 * relayKnock has the gateway send a datagram to a target that the gateway knows by this name. It rejects with
 * ERR_RELAY_REFUSED, the gateway's reason as `resultCode`, and as `client.request` does.
 *
 * @example
 * const { reply } = await relayKnock(client, { target: 'front-door', datagram: await sealKnock(fields, key, pem) })
 */
export async function relayKnock(
  client: RelayClient,
  options: { target: string; datagram: BytesLike; replyWithinMs?: number; type?: string; signal?: AbortSignal }
): Promise<Relayed> {
  const { target, datagram, replyWithinMs = 0, type = RELAY_TYPE, signal } = optionsOf(options, 'options')
  const name = new TextEncoder().encode(textOf(target, 'target'))
  const waitMs = integerOf(replyWithinMs, 0, 10_000, 'replyWithinMs')
  const bytes = randomBytesOf(datagram, (datagram as Uint8Array)?.byteLength)
  if (typeof client?.request !== 'function') throw badArgument('client must be a Client')
  // One byte of the name's length, the name, two bytes of patience, the datagram.
  const payload = new Uint8Array(1 + name.length + 2 + bytes.length)
  payload.set([name.length, ...name, waitMs >> 8, waitMs & 0xff])
  payload.set(bytes, name.length + 3)
  const answer = await client.request(type, payload, signal ? { signal } : {})
  const { resultCode } = answer
  if (resultCode === 'ok') return { reply: null }
  if (resultCode === 'reply') return { reply: new Uint8Array(answer.payload) }
  throw new CountersignError('ERR_RELAY_REFUSED', { resultCode })
}
