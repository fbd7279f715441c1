// SPDX-License-Identifier: MIT
// Random bytes for keys, nonces, padding and challenges.

import { CountersignError } from '../../common/errors.ts'
import { type FillRandom, fillRandom, hasRandom } from '../../common/platform.ts'
import { encodeHex } from './hex.ts'

/**
 * Returns random bytes. `random` replaces the platform's randomness, in tests.
 * @throws ERR_NO_CRYPTO when the platform has no randomness.
 */
export function randomBytes(size: number, random: FillRandom = fillRandom): Uint8Array {
  if (random === fillRandom && !hasRandom) throw new CountersignError('ERR_NO_CRYPTO', { detail: 'random' })
  return random(new Uint8Array(size))
}

/**
 * Returns random bytes as lower-case hexadecimal digits.
 * @throws ERR_NO_CRYPTO when the platform has no randomness.
 */
export function randomHex(size: number, random?: FillRandom): string {
  return encodeHex(randomBytes(size, random))
}
