// SPDX-License-Identifier: MIT
import type { ClientCore } from './core-client.ts'
import type { Bytes } from './types.ts'

const subtleDigest = globalThis.crypto?.subtle?.digest?.bind(globalThis.crypto.subtle)

/** Up to here the core hashes faster than the platform answers at all (bench/). */
const CORE_BYTES = 4096

/**
 * digest gives the SHA-256 of bytes nobody else can change meanwhile: at once for small ones, as a promise for large ones,
 * so that the hot path has no await for it.
 */
export const digest = (core: ClientCore, bytes: Bytes): Bytes | Promise<Bytes> =>
  bytes.length <= CORE_BYTES ? core.sha256(bytes) : subtleDigest('SHA-256', bytes).then((hash) => new Uint8Array(hash))
