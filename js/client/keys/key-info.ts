// SPDX-License-Identifier: MIT
// What a client tells about its key.

import type { Algorithm, Bytes } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import { type DeviceKey, thumbprintOf } from './device-key.ts'
import type { KeyVault } from './key-vault.ts'

/** The public half of a client's device key and where the private half lies. */
export type KeyInfo = {
  readonly algorithm: Algorithm
  readonly publicKey: Bytes
  /** The public key's name: its JWK thumbprint (RFC 7638). */
  readonly thumbprint: string
  /** `memory` where the store failed and the caller allowed that: lost with the page. */
  readonly storage: 'store' | 'memory'
} & KeyLevel

/** Where on the ladder a key stands. */
export type KeyLevel = {
  /** `store` is one of the application's own. */
  readonly level: 'ed25519-indexeddb' | 'es256-indexeddb' | 'store' | 'memory'
  /** Why it is no better one: each better rung with the code of the error that ruled it out. */
  readonly reason: { readonly [rung: string]: string }
}

/** levelOf tells where on the ladder a key stands. */
export function levelOf(vault: KeyVault, { algorithm }: DeviceKey): KeyLevel {
  return {
    level: vault.rungOf(algorithm) as KeyLevel['level'],
    reason: vault.skipped
  }
}

/** describeKey tells all there is to tell about a key. */
export function describeKey(core: ClientCore, vault: KeyVault, key: DeviceKey): KeyInfo {
  const { algorithm, publicKey } = key
  const thumbprint = thumbprintOf(core, key)
  const { storage } = vault
  return Object.freeze({ algorithm, publicKey: publicKey.slice(), thumbprint, storage, ...levelOf(vault, key) })
}
