// SPDX-License-Identifier: MIT
// The gateway's relay. A signed request makes it send one datagram to a target of the operator's list, and return at
// most one reply.

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import { isText } from '../../../server/support/encoding.ts'
import type { Handler, HandlerResult } from '../../../server/types.ts'
import { createRateLimit, type KnockRate } from '../node/memory.ts'
import { exchangeUdp } from '../node/udp.ts'
import { isForbidden } from './addresses.ts'

/** The destination of a target's datagrams. */
export type RelayTarget = {
  /** An address, or a name, which is resolved for each datagram. */
  host: string
  port: number
  /**
   * Allows a target on a private network or on this machine. Only for addresses: the owner of a name may change its
   * address. Default: false.
   */
  allowPrivate?: boolean
}

export type KnockRelayOptions = {
  /** The targets by the id that clients send. Clients never send an address. */
  targets: { readonly [id: string]: RelayTarget }
  /** The longest wait for a reply; 0 for no replies. Default: 5000 ms. */
  maxReplyMs?: number
  /**
   * The datagrams of a session and to a target. Default: 1 a second with bursts of 5, and 5 a second with bursts of
   * 20.
   */
  rates?: { session?: KnockRate; target?: KnockRate }
  /** Resolves a name. Concurrent requests for a name share one answer. Default: the system's resolver. */
  resolve?: (host: string) => Promise<string>
  now?: () => number
}

/** Returns whether a knock can have this size: a block of 2048, 3072 or 4096 bits, or a hybrid datagram. */
function isKnockSize(size: number): boolean {
  return size === 256 || size === 384 || size === 512 || (size >= 346 && size <= 575)
}

function refusal(resultCode: string): HandlerResult {
  return { resultCode }
}

type RelayRequest = { target: string; replyWithinMs: number; datagram: Uint8Array }

function parseRelayRequest(payload: Uint8Array): RelayRequest | undefined {
  const [size = 0] = payload
  if (size === 0 || size > 128 || payload.length < size + 3) return undefined
  const target = Buffer.from(payload.subarray(1, 1 + size)).toString('utf8')
  if (!isText(target)) return undefined
  const replyWithinMs = ((payload[1 + size] as number) << 8) | (payload[2 + size] as number)
  return { target, replyWithinMs, datagram: payload.slice(size + 3) }
}

function readTargets(targets: KnockRelayOptions['targets']): Map<string, RelayTarget> {
  return new Map(
    Object.entries(optionsOf(targets, 'targets')).map(([id, target]) => {
      const { host, port, allowPrivate = false } = optionsOf(target, 'a target')
      if (!isText(id) || !isText(host)) throw badArgument('targets: ids and hosts must be text')
      integerOf(port, 1, 65_535, 'a port of a target')
      if (typeof allowPrivate !== 'boolean') throw badArgument('allowPrivate must be true or false')
      if (allowPrivate && isIP(host) === 0) throw badArgument('allowPrivate needs an IP address as the host')
      if (!allowPrivate && isIP(host) !== 0 && isForbidden(host))
        throw badArgument(`target ${id}: the address is forbidden without allowPrivate`)
      return [id, { host, port, allowPrivate }]
    })
  )
}

function rateOf(rate: KnockRate, name: string): KnockRate {
  const { perSecond, burst } = optionsOf(rate, name)
  // A value that is not a number compares as false with everything, so it would be no limit at all.
  if (!(perSecond > 0 && burst >= 1)) throw badArgument(`${name}: perSecond must be above 0 and burst at least 1`)
  return { perSecond, burst }
}

/**
 * Creates a lookup with one query at a time for each name. A slow resolver then holds one of the system's few
 * threads, not all.
 */
function createLookup(resolve: (host: string) => Promise<string>) {
  const underWay = new Map<string, Promise<string>>()
  const ask = async (host: string): Promise<string> => {
    try {
      return await resolve(host)
    } finally {
      underWay.delete(host)
    }
  }
  return (host: string): Promise<string> => {
    const answer = underWay.get(host) ?? ask(host)
    underWay.set(host, answer)
    return answer
  }
}

/**
 * Creates the handler of the message type `knock.relay`. Result codes: `ok` (sent), `reply` with the reply as
 * payload, `invalid_payload`, `unknown_target`, `forbidden_address`, `too_many`, `unreachable`. The gateway has
 * verified the sender of the request; it cannot read the datagram.
 * @throws ERR_INVALID_ARGUMENT for invalid targets or options.
 *
 * @example
 * ```ts
 * const targets = { 'front-door': { host: 'door.example.com', port: 50000 } }
 * const routes = { 'knock.relay': knockRelay({ targets }) }
 * ```
 */
export function knockRelay(options: KnockRelayOptions): Handler {
  const { targets, maxReplyMs = 5000, rates = {}, now = Date.now } = optionsOf(options, 'knockRelay')
  const { resolve = async (host: string) => (await lookup(host)).address } = options
  const known = readTargets(targets)
  integerOf(maxReplyMs, 0, 10_000, 'maxReplyMs')
  const bySession = createRateLimit(rateOf(rates.session ?? { perSecond: 1, burst: 5 }, 'rates.session'))
  const byTarget = createRateLimit(rateOf(rates.target ?? { perSecond: 5, burst: 20 }, 'rates.target'))
  const find = createLookup(resolve)

  /** Returns the address to send to. A name is resolved now, its address is checked, and that same address is used. */
  const addressOf = async ({ host, allowPrivate }: RelayTarget): Promise<string | undefined> => {
    const address = isIP(host) === 0 ? await find(host) : host
    return allowPrivate || !isForbidden(address) ? address : undefined
  }

  return async ({ session, payload, signal }) => {
    const request = parseRelayRequest(payload)
    if (!request || !isKnockSize(request.datagram.length)) return refusal('invalid_payload')
    const target = known.get(request.target)
    if (!target) return refusal('unknown_target')
    const nowMs = now()
    // A session over its own limit must not use up the target's.
    if (!bySession.take(session.id, nowMs) || !byTarget.take(request.target, nowMs)) return refusal('too_many')
    const { datagram } = request
    const replyWithinMs = Math.min(request.replyWithinMs, maxReplyMs)
    try {
      const address = await addressOf(target)
      if (address === undefined) return refusal('forbidden_address')
      const reply = await exchangeUdp({ address, port: target.port, datagram, replyWithinMs, signal })
      return reply ? { resultCode: 'reply', payload: reply } : {}
    } catch {
      return refusal('unreachable')
    }
  }
}
