// SPDX-License-Identifier: MIT
// Random ids and the jitter of waits.

import { CountersignError } from '../common/errors.ts'
import type { FillRandom } from '../common/platform.ts'
import { sizedBytesOf } from '../core/args.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const ID_BYTES = 16
const POOL_BYTES = 32 * ID_BYTES

const textOfId = (bytes: Uint8Array, at: number): string => {
  let text = ''
  for (let index = at; index < at + 15; index += 3) {
    const three = ((bytes[index] as number) << 16) | ((bytes[index + 1] as number) << 8) | (bytes[index + 2] as number)
    text +=
      ALPHABET.charAt(three >> 18) +
      ALPHABET.charAt((three >> 12) & 63) +
      ALPHABET.charAt((three >> 6) & 63) +
      ALPHABET.charAt(three & 63)
  }
  const last = bytes[at + 15] as number
  return text + ALPHABET.charAt(last >> 2) + ALPHABET.charAt((last & 3) << 4)
}

/**
 * Makes random ids and fractions. It asks the generator for many bytes at a time, because a call of the generator costs
 * more than an id.
 */
export class Randomness {
  readonly #fill: FillRandom
  readonly #pool = new Uint8Array(POOL_BYTES)
  #used = POOL_BYTES

  constructor(fill: FillRandom) {
    this.#fill = fill
  }

  #take(size: number): number {
    if (this.#used + size > POOL_BYTES) this.#refill()
    const at = this.#used
    this.#used += size
    return at
  }

  // A generator may fail, fill only a part, or give the same bytes again. Then ids would repeat, so it is refused.
  #refill(): void {
    const pool = this.#pool
    const words = new BigUint64Array(pool.buffer)
    const seen = new Set([words[0]])
    try {
      const given: unknown = this.#fill(pool.fill(0))
      if (given !== undefined) pool.set(sizedBytesOf(given, POOL_BYTES, 'random'))
    } catch (cause) {
      throw new CountersignError('ERR_NO_CRYPTO', { cause, detail: 'random' })
    }
    for (const word of words) seen.add(word)
    if (seen.size <= words.length)
      throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random returns the same bytes again' })
    this.#used = 0
  }

  /**
   * Returns 128 random bits as 22 base64url characters.
   * @throws ERR_NO_CRYPTO when the generator fails.
   */
  id(): string {
    return textOfId(this.#pool, this.#take(ID_BYTES))
  }

  /** Returns a number from 0 to 1, 1 excluded. It is for the jitter of a wait, which need not be secret. */
  fraction(): number {
    const at = this.#take(4)
    return new DataView(this.#pool.buffer).getUint32(at) / 2 ** 32
  }
}
