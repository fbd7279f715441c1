// SPDX-License-Identifier: MIT
// The objects that only the whole core keeps between calls: trusted keys, clocks and the replay guard.

import { CountersignError } from '../common/errors.ts'
import { fillRandom, hasRandom } from '../common/platform.ts'
import type {
  BytesLike,
  ClockEstimate,
  ClockSource,
  CoreClock,
  ReplayGuard,
  ReserveVerdict,
  RoundTrip,
  TrustedKey
} from '../common/types.ts'
import { bytesOf, finiteOf, integerOf, lengthOf, optionsOf, sizedBytesOf, timeOf } from './args.ts'
import { Handle, SOURCES } from './client-core.ts'
import type { Wasm } from './wasm.ts'

/** A public key that is ready to verify many messages. */
export class Trusted extends Handle implements TrustedKey {
  constructor(wasm: Wasm, publicKey: BytesLike) {
    wasm.begin().put(sizedBytesOf(publicKey, 32, 'publicKey'))
    if (wasm.call.is_acceptable_ed25519_key() !== 1) throw new CountersignError('ERR_BAD_PUBLIC_KEY')
    super(wasm, wasm.call.trusted_key_new(), wasm.call.trusted_key_free)
  }

  verify(message: BytesLike, signature: BytesLike): boolean {
    const { wasm, handle } = this
    const [bytes, signed] = [bytesOf(message, 'message'), bytesOf(signature, 'signature')]
    if (lengthOf(signed) !== 64) return false
    return wasm.large(64 + lengthOf(bytes), false, () => {
      wasm.put(signed)
      return wasm.check(wasm.call.trusted_key_verify(handle, wasm.put(bytes))) === 1
    })
  }
}

/** The server's time by itself: the interval of R75 and R76, without what a client believes of it. */
export class Clock extends Handle implements CoreClock {
  constructor(wasm: Wasm) {
    super(wasm, wasm.call.clock_new(), wasm.call.clock_free)
  }

  addRoundTrip(sample: RoundTrip & { replace?: boolean }): boolean {
    const { sentMs, receivedMs, serverMs, replace = false } = optionsOf(sample, 'sample')
    const sent = finiteOf(sentMs, 'sentMs')
    const received = finiteOf(receivedMs, 'receivedMs')
    const server = timeOf(serverMs, 'serverMs')
    const { wasm, handle } = this
    return wasm.check(wasm.call.clock_add_round_trip(handle, sent, received, server, replace === true ? 1 : 0)) === 1
  }

  addEvent(sample: { receivedMs: number; serverMs: number }): boolean {
    const { receivedMs, serverMs } = optionsOf(sample, 'sample')
    const received = finiteOf(receivedMs, 'receivedMs')
    const server = timeOf(serverMs, 'serverMs')
    return this.wasm.check(this.wasm.call.clock_add_event(this.handle, received, server)) === 1
  }

  addStored(sample: { monotonicMs: number; serverMs: number; errorMs: number }): void {
    const { monotonicMs, serverMs, errorMs } = optionsOf(sample, 'sample')
    const monotonic = finiteOf(monotonicMs, 'monotonicMs')
    const server = finiteOf(serverMs, 'serverMs')
    const error = finiteOf(errorMs, 'errorMs')
    this.wasm.check(this.wasm.call.clock_start_stored(this.handle, monotonic, server, error))
  }

  noteWall(sample: { monotonicMs: number; wallMs: number }): boolean {
    const { monotonicMs, wallMs } = optionsOf(sample, 'sample')
    const monotonic = finiteOf(monotonicMs, 'monotonicMs')
    const wall = finiteOf(wallMs, 'wallMs')
    return this.wasm.check(this.wasm.call.clock_note_wall(this.handle, monotonic, wall)) === 1
  }

  estimate(monotonicMs: number): ClockEstimate {
    const { wasm } = this
    const source = wasm.check(wasm.call.clock_estimate(this.handle, finiteOf(monotonicMs, 'monotonicMs')))
    wasm.begin()
    return {
      offsetMs: wasm.number(0),
      errorMs: wasm.number(1),
      ageMs: wasm.number(2),
      source: SOURCES[source] as ClockSource
    }
  }

  stamp(monotonicMs: number): number {
    const { wasm } = this
    wasm.check(wasm.call.clock_stamp(this.handle, finiteOf(monotonicMs, 'monotonicMs')))
    return wasm.begin().number(0)
  }

  reset(): void {
    this.wasm.check(this.wasm.call.clock_reset(this.handle))
  }
}

const VERDICTS: readonly ReserveVerdict[] = ['reserved', 'used', 'too-old', 'full']
const LIMITED = 4
const MAX_SESSION_SIZE = 1024
const MAX_CAPACITY = 2 ** 24

const timesOf = (timestampMs: number, expiresMs: number, nowMs: number) =>
  [timeOf(timestampMs, 'timestampMs'), timeOf(expiresMs, 'expiresMs'), timeOf(nowMs, 'nowMs')] as const

/** The replay guard in memory. */
export class Guard extends Handle implements ReplayGuard {
  constructor(wasm: Wasm, options: { capacity: number; sessionQuota?: number; floorMs?: number }) {
    const { capacity, sessionQuota, floorMs = 0 } = optionsOf(options, 'options')
    const room = integerOf(capacity, 1, MAX_CAPACITY, 'capacity')
    const quota = sessionQuota === undefined ? 0 : integerOf(sessionQuota, 1, MAX_CAPACITY, 'sessionQuota')
    const floor = timeOf(floorMs, 'floorMs')
    super(wasm, wasm.call.guard_new(room, quota, floor, seed()), wasm.call.guard_free)
  }

  reserve(
    key32: BytesLike,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    sessionKey?: BytesLike
  ): ReserveVerdict {
    const times = timesOf(timestampMs, expiresMs, nowMs)
    const size = this.#put(key32, sessionKey)
    return this.#verdict(this.wasm.call.guard_reserve(this.handle, ...times, size))
  }

  limit(
    key32: BytesLike,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    sessionKey: BytesLike,
    isReserved: boolean
  ): ReserveVerdict {
    const times = timesOf(timestampMs, expiresMs, nowMs)
    const size = this.#put(key32, sessionKey)
    return this.#verdict(this.wasm.call.guard_limit(this.handle, ...times, size, isReserved ? 1 : 0))
  }

  // Passes an id and its session. Returns the size of the session's name.
  #put(key32: BytesLike, sessionKey: BytesLike | undefined): number {
    const key = sizedBytesOf(key32, 32, 'key32')
    const session = sessionKey === undefined ? undefined : bytesOf(sessionKey, 'sessionKey')
    if (session && lengthOf(session) > MAX_SESSION_SIZE)
      throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'sessionKey must be at most 1024 bytes' })
    this.wasm.begin().put(key)
    return session ? this.wasm.put(session) : 0
  }

  #verdict(value: number): ReserveVerdict {
    const verdict = this.wasm.check(value)
    return verdict === LIMITED
      ? { verdict: 'limited', retryAfterMs: this.wasm.number(0) }
      : (VERDICTS[verdict] as ReserveVerdict)
  }

  #state(index: number): number {
    const { wasm } = this
    wasm.check(wasm.call.guard_state(this.handle))
    return wasm.begin().number(index)
  }

  get size(): number {
    return this.#state(0)
  }

  get floorMs(): number {
    return this.#state(1)
  }
}

// 53 random bits. They keep an attacker from choosing ids that share a bucket.
const seed = (): number => {
  if (!hasRandom) throw new CountersignError('ERR_NO_CRYPTO')
  const bytes = new Uint8Array(8)
  fillRandom(bytes)
  return Number(new DataView(bytes.buffer).getBigUint64(0) >> 11n)
}
