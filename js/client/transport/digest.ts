// SPDX-License-Identifier: MIT
import { CORE_BYTES, hashNow } from '#hash-source'
import type { Bytes } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'

const subtleDigest = globalThis.crypto?.subtle?.digest?.bind(globalThis.crypto.subtle)

/** Beyond this a hash would hold up what else is to be done. */
const NOW_BYTES = 65536

/**
 * digest gives the SHA-256 of bytes nobody else can change meanwhile: at once for small ones, as a promise for large ones,
 * so that the hot path has no await for it.
 */
export function digest(core: ClientCore, bytes: Bytes): Bytes | Promise<Bytes> {
  if (bytes.length <= CORE_BYTES) return core.sha256(bytes)
  if (hashNow && bytes.length <= NOW_BYTES) return new Uint8Array(hashNow(bytes))
  return subtleDigest('SHA-256', bytes).then((hash) => new Uint8Array(hash))
}
