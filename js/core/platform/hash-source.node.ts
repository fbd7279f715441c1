// SPDX-License-Identifier: MIT
// Hashes at once in Node, with the processor's own instructions, which WebAssembly cannot use.

import { createHash } from 'node:crypto'

/** The longest input, in bytes, that the core hashes faster than the platform. */
export const CORE_BYTES = 256

/** Returns the SHA-256 of bytes at once. */
export function hashNow(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
