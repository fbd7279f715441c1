// SPDX-License-Identifier: MIT
// Reads the lists of server keys that callers of the whole core pass. A client's own keys are checked with its options.

import { decodeBase64 } from '../common/base64.ts'
import type { TrustedServerKey } from '../common/types.ts'
import { badArgument, optionsOf, sizedBytesOf, textOf, timeOf } from './args.ts'
import { type CheckedKey, HeldKeys } from './client-core.ts'
import type { Wasm } from './wasm.ts'

const MAX_KEYS = 64

const readKey = (given: TrustedServerKey): CheckedKey => {
  const { id, publicKey, notBefore = 0, notAfter } = optionsOf(given, 'a key')
  const bytes = typeof publicKey === 'string' ? decodeBase64(publicKey) : publicKey
  return {
    id: textOf(id, 'the id of a key', 0),
    publicKey: sizedBytesOf(bytes, 32, 'the publicKey of a key'),
    notBefore: timeOf(notBefore, 'notBefore'),
    notAfter: notAfter === undefined ? undefined : timeOf(notAfter, 'notAfter')
  }
}

/**
 * Returns the keys of a list.
 * @throws usage errors.
 */
export function readKeys(keys: unknown): CheckedKey[] {
  if (!Array.isArray(keys)) throw badArgument('keys must be an array or a ring')
  const { length } = keys
  if (length > MAX_KEYS) throw badArgument(`keys must have at most ${MAX_KEYS} entries`)
  const read = Array.from({ length }, (_, index) => readKey(keys[index]))
  // An id names one key for ever, so a message that names an id must have one meaning.
  if (new Set(read.map(({ id }) => id)).size < length) throw badArgument('keys must have different ids')
  return read
}

/** Runs checks with a caller's keys: those of its ring, or a list, which is kept for these checks alone. */
export function withKeys<T>(wasm: Wasm, keys: unknown, run: (ring: HeldKeys) => T): T {
  if (keys instanceof HeldKeys) {
    if (keys.wasm !== wasm) throw badArgument('the ring is of another core')
    return run(keys)
  }
  const ring = new HeldKeys(wasm, readKeys(keys))
  try {
    return run(ring)
  } finally {
    ring.free()
  }
}
