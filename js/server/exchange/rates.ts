// SPDX-License-Identifier: MIT
// Token buckets. Each key has one number: the time at which its bucket is full again (GCRA). A full bucket is not kept.
// So the keys of one burst bound the memory, and `capacity` bounds it in any case.

import { isIPv4, isIPv6 } from 'node:net'
import { badArgument, optionsOf } from '../../core/args.ts'
import type { Rate, Rates, SessionRecord } from '../types.ts'

/** Bounds the rate of events per key. */
export type Buckets = {
  /** Takes a token of `key`. Returns 0, or the milliseconds until there is one. */
  take(key: string, nowMs: number): number
  readonly size: number
}

const SWEEP_EVERY_MS = 100

function checkRate(rate: Rate): { perSecond: number; burst: number } {
  const { perSecond, burst } =
    typeof rate === 'number' ? { perSecond: rate, burst: Math.max(1, rate) } : optionsOf(rate, 'rates: a rate')
  if (!(perSecond > 0) || !(burst >= 1)) {
    throw badArgument('rates: perSecond must be above 0 and burst at least 1')
  }
  return { perSecond, burst }
}

/** Returns the buckets of one rate. Throws ERR_INVALID_ARGUMENT when the rate is not valid. */
export function createBuckets(rate: Rate, capacity = 65_536): Buckets {
  const { perSecond, burst } = checkRate(rate)
  const interval = 1000 / perSecond
  const depth = interval * burst
  const fullAt = new Map<string, number>()
  let sweptMs = Number.NEGATIVE_INFINITY

  const sweep = (nowMs: number): void => {
    if (nowMs - sweptMs < SWEEP_EVERY_MS) return
    sweptMs = nowMs
    for (const [key, at] of fullAt) if (at <= nowMs) fullAt.delete(key)
  }

  return {
    take(key, nowMs) {
      let name = key
      if (!fullAt.has(name) && fullAt.size >= capacity) {
        sweep(nowMs)
        // New keys share one bucket. If they pushed a live one out, a flood of keys would be a way around the limit.
        if (fullAt.size >= capacity) name = ''
      }
      const at = Math.max(fullAt.get(name) ?? 0, nowMs) + interval
      const wait = at - nowMs - depth
      // Half a microsecond of tolerance: the sum of many intervals is not exact.
      if (wait > 0.0005) return Math.max(1, Math.ceil(wait))
      fullAt.set(name, at)
      return 0
    },
    get size() {
      return fullAt.size
    }
  }
}

/**
 * Takes one request of a session from its rates (stage 8). Returns 0, or the milliseconds until the request may come.
 */
export type RequestLimiter = (session: SessionRecord, route: string, nowMs: number) => number

/** Returns the limiter of sessions, users and routes. Throws ERR_INVALID_ARGUMENT when a rate is not valid. */
export function createRequestLimiter({ perSession, perUser, perType }: Rates & { perSession: Rate }): RequestLimiter {
  const bySession = createBuckets(perSession)
  const byUser = perUser === undefined ? undefined : createBuckets(perUser)
  const byType = new Map(Object.entries(perType ?? {}).map(([route, rate]) => [route, createBuckets(rate)]))
  return (session, route, nowMs) =>
    bySession.take(session.id, nowMs) ||
    (byUser?.take(session.userId, nowMs) ?? 0) ||
    (byType.get(route)?.take(session.userId, nowMs) ?? 0)
}

/** Returns the source of an address: IPv4 as it is, IPv6 by its /64, because one host has a whole /64. */
export function sourceOf(remoteAddress: string): string {
  const address = remoteAddress.replace(/%.*$/, '').toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)
  if (mapped) return mapped[1] as string
  if (!isIPv6(address)) return remoteAddress.slice(0, 64)
  const [head = '', tail = ''] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  // A dotted tail stands for two groups.
  const missing = 8 - before.length - after.length - (address.includes('.') ? 1 : 0)
  const groups = address.includes('::') ? [...before, ...Array(missing).fill('0'), ...after] : before
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** Returns the network around a source: the /48 of an IPv6 /64, the /24 of an IPv4 address, and any other text as it is. */
export function networkOf(source: string): string {
  if (isIPv4(source)) return `${source.split('.').slice(0, 3).join('.')}.0/24`
  const [, before] = /^([0-9a-f]+:[0-9a-f]+:[0-9a-f]+):[0-9a-f]+::\/64$/.exec(source) ?? []
  return before === undefined ? source : `${before}::/48`
}
