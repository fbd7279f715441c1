// SPDX-License-Identifier: MIT
// How a browser hashes at once: it cannot, its own SHA-256 answers with a promise only.

/** Up to here the core hashes faster than the platform answers at all. */
export const CORE_BYTES = 4096

/** hashNow would give the SHA-256 of bytes without a promise. */
export const hashNow: ((bytes: Uint8Array) => Uint8Array) | undefined = undefined
