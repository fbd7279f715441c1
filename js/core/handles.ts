// SPDX-License-Identifier: MIT
// What lives in the core longer than a call: small integers there, objects with free() here.

import { CountersignError } from '../common/errors.ts'
import { fillRandom, hasRandom } from '../common/platform.ts'
import type {
  Bytes,
  BytesLike,
  ClockEstimate,
  ClockSource,
  CoreClock,
  ReplayGuard,
  ReserveVerdict,
  RoundTrip,
  Sha256Stream,
  TrustedKey
} from '../common/types.ts'
import { bytesOf, finiteOf, integerOf, lengthOf, optionsOf, partOf, sizedBytesOf, timeOf } from './args.ts'
import { PIECE, type Wasm } from './wasm.ts'

/** Handle names an object of the core; use after free() throws ERR_FREED, a second free() does nothing. */
export class Handle {
  protected readonly w: Wasm
  #handle: number
  readonly #release: (handle: number) => number

  constructor(w: Wasm, handle: number, release: (handle: number) => number) {
    this.w = w
    this.#handle = handle
    this.#release = release
    w.watch(this, () => release(handle))
  }

  protected get handle(): number {
    if (this.#handle < 0) throw new CountersignError('ERR_FREED')
    return this.#handle
  }

  free(): void {
    if (this.#handle < 0) return
    const handle = this.#handle
    this.#handle = -1
    this.w.unwatch(this)
    if (!this.w.hasTrapped) this.#release(handle)
  }
}

/** A public key made ready to verify many messages. */
export class Trusted extends Handle implements TrustedKey {
  constructor(w: Wasm, publicKey: BytesLike) {
    w.begin().put(sizedBytesOf(publicKey, 32, 'publicKey'))
    if (w.call.is_acceptable_ed25519_key() !== 1) throw new CountersignError('ERR_BAD_PUBLIC_KEY')
    super(w, w.call.trusted_key_new(), w.call.trusted_key_free)
  }

  verify(message: BytesLike, signature: BytesLike): boolean {
    const { w, handle } = this
    const [bytes, signed] = [bytesOf(message, 'message'), bytesOf(signature, 'signature')]
    if (lengthOf(signed) !== 64) return false
    return w.large(64 + lengthOf(bytes), false, () => {
      w.put(signed)
      return w.check(w.call.trusted_key_verify(handle, w.put(bytes))) === 1
    })
  }
}

const SOURCES: readonly ClockSource[] = ['none', 'stored', 'event', 'round-trip']

/** The tracker of the server's time. */
export class Clock extends Handle implements CoreClock {
  constructor(w: Wasm) {
    super(w, w.call.clock_new(), w.call.clock_free)
  }

  addRoundTrip(sample: RoundTrip & { replace?: boolean }): boolean {
    const { sentMs, receivedMs, serverMs, replace = false } = optionsOf(sample, 'sample')
    const sent = finiteOf(sentMs, 'sentMs')
    const received = finiteOf(receivedMs, 'receivedMs')
    const server = timeOf(serverMs, 'serverMs')
    const { w, handle } = this
    return w.check(w.call.clock_add_round_trip(handle, sent, received, server, replace === true ? 1 : 0)) === 1
  }

  addEvent(sample: { receivedMs: number; serverMs: number }): boolean {
    const { receivedMs, serverMs } = optionsOf(sample, 'sample')
    const received = finiteOf(receivedMs, 'receivedMs')
    const server = timeOf(serverMs, 'serverMs')
    return this.w.check(this.w.call.clock_add_event(this.handle, received, server)) === 1
  }

  addStored(sample: { monotonicMs: number; serverMs: number; errorMs: number }): void {
    const { monotonicMs, serverMs, errorMs } = optionsOf(sample, 'sample')
    const monotonic = finiteOf(monotonicMs, 'monotonicMs')
    const server = finiteOf(serverMs, 'serverMs')
    const error = finiteOf(errorMs, 'errorMs')
    this.w.check(this.w.call.clock_start_stored(this.handle, monotonic, server, error))
  }

  noteWall(sample: { monotonicMs: number; wallMs: number }): boolean {
    const { monotonicMs, wallMs } = optionsOf(sample, 'sample')
    const monotonic = finiteOf(monotonicMs, 'monotonicMs')
    const wall = finiteOf(wallMs, 'wallMs')
    return this.w.check(this.w.call.clock_note_wall(this.handle, monotonic, wall)) === 1
  }

  estimate(monotonicMs: number): ClockEstimate {
    const { w } = this
    const source = w.check(w.call.clock_estimate(this.handle, finiteOf(monotonicMs, 'monotonicMs')))
    w.begin()
    return {
      offsetMs: w.number(0),
      errorMs: w.number(1),
      ageMs: w.number(2),
      source: SOURCES[source] as ClockSource
    }
  }

  stamp(monotonicMs: number): number {
    const { w } = this
    w.check(w.call.clock_stamp(this.handle, finiteOf(monotonicMs, 'monotonicMs')))
    return w.begin().number(0)
  }

  reset(): void {
    this.w.check(this.w.call.clock_reset(this.handle))
  }
}

const VERDICTS: readonly ReserveVerdict[] = ['reserved', 'used', 'too-old', 'full']
const MAX_CAPACITY = 2 ** 24

/** The replay guard in memory. */
export class Guard extends Handle implements ReplayGuard {
  constructor(w: Wasm, options: { capacity: number; sessionQuota?: number; floorMs?: number }) {
    const { capacity, sessionQuota, floorMs = 0 } = optionsOf(options, 'options')
    const room = integerOf(capacity, 1, MAX_CAPACITY, 'capacity')
    const quota = sessionQuota === undefined ? 0 : integerOf(sessionQuota, 1, MAX_CAPACITY, 'sessionQuota')
    const floor = timeOf(floorMs, 'floorMs')
    super(w, w.check(w.call.guard_new(room, quota, floor, seed())), w.call.guard_free)
  }

  reserve(
    key32: BytesLike,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    sessionKey?: BytesLike
  ): ReserveVerdict {
    const key = sizedBytesOf(key32, 32, 'key32')
    const session = sessionKey === undefined ? undefined : bytesOf(sessionKey, 'sessionKey')
    if (session && lengthOf(session) > 1024)
      throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'sessionKey must be at most 1024 bytes' })
    const times = [timeOf(timestampMs, 'timestampMs'), timeOf(expiresMs, 'expiresMs'), timeOf(nowMs, 'nowMs')] as const
    const { w, handle } = this
    w.begin().put(key)
    return VERDICTS[w.check(w.call.guard_reserve(handle, ...times, session ? w.put(session) : 0))] as ReserveVerdict
  }

  #state(index: number): number {
    const { w } = this
    w.check(w.call.guard_state(this.handle))
    return w.begin().number(index)
  }

  get size(): number {
    return this.#state(0)
  }

  get floorMs(): number {
    return this.#state(1)
  }
}

// 53 random bits, which keep an attacker from choosing ids that share a bucket.
const seed = (): number => {
  if (!hasRandom) throw new CountersignError('ERR_NO_CRYPTO')
  const bytes = new Uint8Array(8)
  fillRandom(bytes)
  return Number(new DataView(bytes.buffer).getBigUint64(0) >> 11n)
}

/** A hash in progress. digest() ends it; one that is given up is freed when it is collected. */
export class Sha256 extends Handle implements Sha256Stream {
  constructor(w: Wasm) {
    super(w, w.check(w.call.sha256_new()), w.call.sha256_free)
  }

  update(chunk: BytesLike): this {
    const bytes = bytesOf(chunk, 'chunk')
    const length = lengthOf(bytes)
    const { w, handle } = this
    for (let from = 0; from < length; from += PIECE) {
      w.check(w.begin().call.sha256_update(handle, w.put(partOf(bytes, from, Math.min(from + PIECE, length)))))
    }
    return this
  }

  digest(): Bytes {
    const { w, handle } = this
    const hash = w.out(w.check(w.call.sha256_finish(handle)))
    this.free()
    return hash
  }
}

/** hashOf gives the SHA-256 of bytes (of bytesOf). */
export function hashOf(w: Wasm, bytes: Uint8Array): Bytes {
  return lengthOf(bytes) > PIECE ? new Sha256(w).update(bytes).digest() : w.out(w.begin().call.sha256(w.put(bytes)))
}
