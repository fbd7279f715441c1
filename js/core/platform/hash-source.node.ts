// SPDX-License-Identifier: MIT
// How Node hashes at once: with the processor's own instructions, which WebAssembly does not reach.

import { createHash } from 'node:crypto'

/** Up to here the core hashes faster than the platform answers at all. */
export const CORE_BYTES = 256

/** Returns the SHA-256 of bytes without a promise. */
export function hashNow(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
