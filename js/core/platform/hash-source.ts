// SPDX-License-Identifier: MIT
// A browser cannot hash at once: its own SHA-256 returns a promise.

/** The longest input, in bytes, that the core hashes faster than the platform. */
export const CORE_BYTES = 4096

/** Undefined here. In Node it returns the SHA-256 of bytes at once. */
export const hashNow: ((bytes: Uint8Array) => Uint8Array) | undefined = undefined
