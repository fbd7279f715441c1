// SPDX-License-Identifier: MIT
// Token buckets, kept as one number a key: the time at which the bucket is full again (GCRA). A full bucket need not be
// kept, so memory is bounded by the keys seen within one burst, and by `capacity` in any case.

import { isIPv6 } from 'node:net'
import { badArgument, optionsOf } from '../../core/args.ts'
import type { Rate } from '../types.ts'

/** Buckets bounds events per key. */
export type Buckets = {
  /** Takes a token of `key`: gives 0, or the milliseconds until there is one. */
  take(key: string, nowMs: number): number
  readonly size: number
}

const SWEEP_EVERY_MS = 100

function partsOf(rate: Rate): { perSecond: number; burst: number } {
  const { perSecond, burst } =
    typeof rate === 'number' ? { perSecond: rate, burst: Math.max(1, rate) } : optionsOf(rate, 'rates: a rate')
  if (!(perSecond > 0) || !(burst >= 1)) {
    throw badArgument('rates: perSecond must be above 0 and burst at least 1')
  }
  return { perSecond, burst }
}

/** createBuckets makes the buckets of one rate; throws ERR_INVALID_ARGUMENT for a rate that is none. */
export function createBuckets(rate: Rate, capacity = 65_536): Buckets {
  const { perSecond, burst } = partsOf(rate)
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
        // Newcomers share one bucket rather than push a live one out: forgetting would be a way around the limit.
        if (fullAt.size >= capacity) name = ''
      }
      const at = Math.max(fullAt.get(name) ?? 0, nowMs) + interval
      const wait = at - nowMs - depth
      // Half a microsecond of slack: the sum of many intervals is not exact.
      if (wait > 0.0005) return Math.max(1, Math.ceil(wait))
      fullAt.set(name, at)
      return 0
    },
    get size() {
      return fullAt.size
    }
  }
}

/** sourceOf names the source of an address: IPv4 as it is, IPv6 by its /64, since one host has a whole one. */
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
