// SPDX-License-Identifier: MIT
// Repeatable randomness for tests. Anyone who knows the seed knows every id and key made with it.

import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import type { Bytes } from '../common/types.ts'
import { badArgument } from '../core/args.ts'

/** The seed of a generator. */
export type Seed = number | string

function wordsOf(seed: string): Uint32Array {
  const hash = createHash('sha256').update(seed).digest()
  return new Uint32Array(hash.buffer.slice(hash.byteOffset, hash.byteOffset + 16))
}

/** A generator that returns the same numbers for the same seed. Use it only in tests: it is predictable on purpose. */
export class InsecureRandom {
  readonly #seed: string
  readonly #state: Uint32Array

  /** @internal */
  constructor(seed: string) {
    this.#seed = seed
    this.#state = wordsOf(seed)
  }

  // xoshiro128**, by Blackman and Vigna, in the public domain.
  #next(): number {
    const s = this.#state as Uint32Array & [number, number, number, number]
    const turned = Math.imul(s[1], 5)
    const result = Math.imul((turned << 7) | (turned >>> 25), 9) >>> 0
    const shifted = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= shifted
    s[3] = (s[3] << 11) | (s[3] >>> 21)
    return result
  }

  /** Returns a number from 0 to 1, 1 excluded. */
  fraction(): number {
    return this.#next() / 2 ** 32
  }

  /** Returns a number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + (most - least) * this.fraction()
  }

  /** Returns true with the given probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /**
   * Returns one of the items.
   * @throws ERR_INVALID_ARGUMENT for an empty list.
   */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw badArgument('pick: the list is empty')
    return items[Math.floor(this.fraction() * items.length)] as T
  }

  /** Fills a buffer and returns it. Pass it to connect as `random`. */
  fill = (buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
    for (let at = 0; at < buffer.length; at++) buffer[at] = this.#next() >>> 24
    return buffer
  }

  /** Returns that many bytes. */
  bytes(length: number): Bytes {
    return this.fill(new Uint8Array(length))
  }

  /** Returns 128 bits as 22 base64url characters. */
  id(): string {
    return Buffer.from(this.bytes(16)).toString('base64url')
  }

  /** Returns an independent generator for a purpose. Drawing from one does not change the others' numbers. */
  fork(purpose: string): InsecureRandom {
    return new InsecureRandom(`${this.#seed}/${purpose}`)
  }
}

/**
 * Refuses to run in production.
 * @throws ERR_INVALID_ARGUMENT when NODE_ENV is `production`.
 */
function refuseProduction(): void {
  if (process.env.NODE_ENV === 'production') throw badArgument('countersign/testing is not for production')
}

/**
 * Creates repeatable randomness from a seed, only for tests.
 * @throws ERR_INVALID_ARGUMENT when the seed is neither a number nor a text, and when NODE_ENV is `production`.
 *
 * @example
 * ```ts
 * const random = insecureRandom(42)
 * const client = await connect({ ...options, random: random.fill })
 * ```
 */
export function insecureRandom(seed: Seed): InsecureRandom {
  refuseProduction()
  if (typeof seed !== 'string' && !Number.isFinite(seed)) throw badArgument('seed must be a number or a string')
  return new InsecureRandom(String(seed))
}

// The PKCS #8 form of an Ed25519 key, up to its 32 bytes.
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** An Ed25519 key from a seed. Its signatures are the same in every run. */
export type InsecureKey = { readonly publicKey: Bytes; sign(bytes: Uint8Array): Bytes }

/** Creates an Ed25519 key from repeatable randomness. */
export function insecureKey(random: InsecureRandom): InsecureKey {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, random.bytes(32)]), format: 'der', type: 'pkcs8' })
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    publicKey: new Uint8Array(der.subarray(der.length - 32)),
    sign: (bytes) => new Uint8Array(sign(null, bytes, key))
  }
}
