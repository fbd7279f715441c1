// SPDX-License-Identifier: MIT
// Bytes, hexadecimal and seeded randomness for the suites.

export const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
export const utf8 = (text) => new TextEncoder().encode(text)

export const concat = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/**
 * seeded gives a small deterministic generator (xoshiro128**), so that a failing property can be run again in any
 * runtime from the seed in its test.
 */
export const seeded = (seed) => {
  const state = Uint32Array.from([seed, seed ^ 0x9e3779b9, seed ^ 0x85ebca6b, 0xc2b2ae35])
  const rotate = (x, k) => (x << k) | (x >>> (32 - k))
  const next = () => {
    const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0
    const t = state[1] << 9
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= t
    state[3] = rotate(state[3], 11)
    return result
  }
  for (let index = 0; index < 16; index++) next()
  const below = (limit) => Math.floor((next() / 2 ** 32) * limit)
  return {
    next,
    below,
    pick: (list) => list[below(list.length)],
    bytes: (length) => Uint8Array.from({ length }, () => next() & 255)
  }
}
