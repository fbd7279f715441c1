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
  /** Returns what `take` would, and takes nothing. */
  wait(key: string, nowMs: number): number
  /** Takes `count` tokens of `key` even where there are none: later ones wait for longer, by one burst at most. */
  spend(key: string, nowMs: number, count?: number): void
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

  // New keys share one bucket when there is no room. If they pushed a live one out, a flood of keys would be a way
  // around the limit.
  const nameOf = (key: string, nowMs: number): string => {
    if (fullAt.has(key) || fullAt.size < capacity) return key
    sweep(nowMs)
    return fullAt.size < capacity ? key : ''
  }
  // Unix times have four digits behind the point. Thousands of intervals added to one would be a visible error.
  let originMs: number | undefined
  const since = (nowMs: number): number => {
    originMs ??= nowMs
    return nowMs - originMs
  }
  const waitOf = (name: string, nowMs: number): number => {
    const wait = Math.max(fullAt.get(name) ?? nowMs, nowMs) + interval - nowMs - depth
    // Half a microsecond of tolerance: the sum of many intervals is not exact.
    return wait > 0.0005 ? Math.max(1, Math.ceil(wait)) : 0
  }
  const add = (name: string, nowMs: number, ms: number): void =>
    void fullAt.set(name, Math.min(Math.max(fullAt.get(name) ?? nowMs, nowMs) + ms, nowMs + 2 * depth))

  return {
    take(key, unixMs) {
      const nowMs = since(unixMs)
      const name = nameOf(key, nowMs)
      const wait = waitOf(name, nowMs)
      if (wait === 0) add(name, nowMs, interval)
      return wait
    },
    wait(key, unixMs) {
      const nowMs = since(unixMs)
      return waitOf(nameOf(key, nowMs), nowMs)
    },
    spend(key, unixMs, count = 1) {
      const nowMs = since(unixMs)
      add(nameOf(key, nowMs), nowMs, count * interval)
    },
    get size() {
      return fullAt.size
    }
  }
}

/** The rates of sessions, users and routes (stage 8). */
export type RequestLimiter = {
  /** Takes one request of a session. Returns 0, or the milliseconds until the request may come. */
  take(session: SessionRecord, route: string, nowMs: number): number
  /** Takes `count` more requests of a session afterwards, for an answer that costs as much. */
  charge(sessionId: string, nowMs: number, count: number): void
}

/** Returns the limiter of sessions, users and routes. Throws ERR_INVALID_ARGUMENT when a rate is not valid. */
export function createRequestLimiter({ perSession, perUser, perType }: Rates & { perSession: Rate }): RequestLimiter {
  const bySession = createBuckets(perSession)
  const byUser = perUser === undefined ? undefined : createBuckets(perUser)
  const byType = new Map(Object.entries(perType ?? {}).map(([route, rate]) => [route, createBuckets(rate)]))
  return {
    take: (session, route, nowMs) =>
      bySession.take(session.id, nowMs) ||
      (byUser?.take(session.userId, nowMs) ?? 0) ||
      (byType.get(route)?.take(session.userId, nowMs) ?? 0),
    charge: (sessionId, nowMs, count) => bySession.spend(sessionId, nowMs, count)
  }
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
