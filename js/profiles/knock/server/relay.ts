// SPDX-License-Identifier: MIT
// The gateway's relay: a signed request in, one datagram out to a target of the operator's list, at most one reply back.

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import { isText } from '../../../server/support/encoding.ts'
import type { Handler, HandlerResult } from '../../../server/types.ts'
import { createRateLimit } from '../node/memory.ts'
import { exchangeUdp } from '../node/udp.ts'
import { isForbidden } from './addresses.ts'

/** Where a target's datagrams go. */
export type RelayTarget = {
  /** A name, looked up for each datagram, or an address. */
  host: string
  port: number
  /** Lets the target be on a private network or this machine; only for addresses, never for names, which others may change. */
  allowPrivate?: boolean
}

export type KnockRelayOptions = {
  /** By the id that clients name; they never say an address. */
  targets: { readonly [id: string]: RelayTarget }
  /** The longest a reply is waited for, in milliseconds; 5000 unless told, 0 for no replies. */
  maxReplyMs?: number
  /** Datagrams a session and a target may have sent: 1 a second with bursts of 5, 5 and 20 unless told. */
  rates?: { session?: KnockRate; target?: KnockRate }
  /** Looks a name up; the system's resolver unless told. Requests that come meanwhile wait for the same answer. */
  resolve?: (host: string) => Promise<string>
  now?: () => number
}

/** The sizes a knock has: a block of 2048, 3072 or 4096 bits, or a hybrid datagram. */
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

type KnockRate = { perSecond: number; burst: number }

function rateOf(rate: KnockRate, name: string): KnockRate {
  const { perSecond, burst } = optionsOf(rate, name)
  // What is no number compares as false with everything, and would be no limit at all.
  if (!(perSecond > 0 && burst >= 1)) throw badArgument(`${name}: perSecond must be above 0 and burst at least 1`)
  return { perSecond, burst }
}

/** createLookup has one question under way for a name: a resolver that is slow holds one of the system's few threads, not all. */
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
 * Makes the handler of the message type `knock.relay`. Result codes: `ok` (sent), `reply` with the reply as
 * payload, `invalid_payload`, `unknown_target`, `forbidden_address`, `too_many`, `unreachable`. The gateway has verified who
 * asks; what the datagram says it cannot read. It throws ERR_INVALID_ARGUMENT for targets that cannot be used.
 *
 * @example
 * ```ts
 * const routes = { 'knock.relay': knockRelay({ targets: { 'front-door': { host: 'door.example.com', port: 50000 } } }) }
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

  /** The address a datagram may go to; a name is judged by what it stands for now, and that very address is used. */
  const addressOf = async ({ host, allowPrivate }: RelayTarget): Promise<string | undefined> => {
    const address = isIP(host) === 0 ? await find(host) : host
    return allowPrivate || !isForbidden(address) ? address : undefined
  }

  return async ({ session, payload, signal }) => {
    const asked = parseRelayRequest(payload)
    if (!asked || !isKnockSize(asked.datagram.length)) return refusal('invalid_payload')
    const target = known.get(asked.target)
    if (!target) return refusal('unknown_target')
    const nowMs = now()
    // A session that has used its own up takes nothing of the target's.
    if (!bySession.mayTry(session.id, nowMs) || !byTarget.mayTry(asked.target, nowMs)) return refusal('too_many')
    const { datagram } = asked
    const replyWithinMs = Math.min(asked.replyWithinMs, maxReplyMs)
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
