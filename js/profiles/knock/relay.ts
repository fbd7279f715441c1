// SPDX-License-Identifier: MIT
// A browser cannot send UDP, so the gateway sends the datagram (docs/profiles/knock.md says what that reveals and
// allows).

import { CountersignError } from '../../common/errors.ts'
import { encodeText } from '../../common/text.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, copyOf, integerOf, optionsOf, textOf } from '../../core/args.ts'
import { randomBytes } from '../common/bytes.ts'

/** The part of a `Client` that the relay uses. */
export type RelayClient = {
  readonly clock: { now(): number }
  request(
    type: string,
    payload?: BytesLike | string,
    options?: { idempotencyKey?: string; timeoutMs?: number; signal?: AbortSignal }
  ): Promise<{ resultCode: string; payload: Uint8Array }>
}

/** The message type of the relay. The gateway may use another. */
export const RELAY_TYPE = 'knock.relay'

/** Returns the server's time in Unix seconds, as the client estimates it. */
export function knockTime(client: Pick<RelayClient, 'clock'>): number {
  return Math.floor(client.clock.now() / 1000)
}

/** Returns 32 random bits. Among 77,000 challenges of one user, two are probably equal. */
export function randomChallenge(): number {
  return new DataView(randomBytes(4).buffer).getUint32(0)
}

/** The result of a relayed datagram: the daemon's answer, still encrypted, or null when none came. */
export type Relayed = { reply: Bytes | null }

/**
 * Asks the gateway to send a datagram to a target. The gateway knows the target by this name.
 * Rejects with ERR_RELAY_REFUSED, with the gateway's reason as `resultCode`, and as `client.request` does.
 *
 * @example
 * const { reply } = await relayKnock(client, { target: 'front-door', datagram: await sealKnock(fields, key, pem) })
 */
export async function relayKnock(
  client: RelayClient,
  options: { target: string; datagram: BytesLike; replyWithinMs?: number; type?: string; signal?: AbortSignal }
): Promise<Relayed> {
  const { target, datagram, replyWithinMs = 0, type = RELAY_TYPE, signal } = optionsOf(options, 'options')
  const name = encodeText(textOf(target, 'target'))
  const waitMs = integerOf(replyWithinMs, 0, 10_000, 'replyWithinMs')
  const bytes = copyOf(datagram, 'datagram')
  if (typeof client?.request !== 'function') throw badArgument('client must be a Client')
  // One byte for the length of the name, the name, two bytes for the milliseconds to wait, the datagram.
  const payload = new Uint8Array(1 + name.length + 2 + bytes.length)
  payload.set([name.length, ...name, waitMs >> 8, waitMs & 0xff])
  payload.set(bytes, name.length + 3)
  const answer = await client.request(type, payload, signal ? { signal } : {}).catch((cause) => {
    // A gateway without a relay does not know the type.
    const { code, resultCode } = cause ?? {}
    throw code === 'ERR_UNKNOWN_TYPE' ? new CountersignError('ERR_RELAY_REFUSED', { resultCode, cause }) : cause
  })
  const { resultCode } = answer
  if (resultCode === 'ok') return { reply: null }
  if (resultCode === 'reply') return { reply: new Uint8Array(answer.payload) }
  throw new CountersignError('ERR_RELAY_REFUSED', { resultCode })
}
