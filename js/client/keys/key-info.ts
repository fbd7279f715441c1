// SPDX-License-Identifier: MIT
// The public facts of a client's key.

import type { Algorithm, Bytes } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import { type DeviceKey, thumbprintOf } from './device-key.ts'
import type { KeyVault } from './key-vault.ts'

/** The public half of a client's device key, and the place of the private half. */
export type KeyInfo = {
  readonly algorithm: Algorithm
  readonly publicKey: Bytes
  /** The public key's JWK thumbprint (RFC 7638). */
  readonly thumbprint: string
  /**
   * The place of the key. `memory` means that the store failed and the application allowed that: the key is lost with
   * the page.
   */
  readonly storage: 'store' | 'memory'
} & KeyLevel

/** The quality of the key's algorithm and store. */
export type KeyLevel = {
  /** The level. `store` means a store of the application. */
  readonly level: 'ed25519-indexeddb' | 'es256-indexeddb' | 'store' | 'memory'
  /** The better levels, each with the code of the error that ruled it out. */
  readonly reason: { readonly [level: string]: string }
}

/** Returns the level of a key. */
export function levelOf(vault: KeyVault, { algorithm }: DeviceKey): KeyLevel {
  return {
    level: vault.levelOf(algorithm) as KeyLevel['level'],
    reason: vault.skipped
  }
}

/** Returns the public facts of a key. */
export function describeKey(core: ClientCore, vault: KeyVault, key: DeviceKey): KeyInfo {
  const { algorithm, publicKey } = key
  const thumbprint = thumbprintOf(core, key)
  const { storage } = vault
  return Object.freeze({ algorithm, publicKey: publicKey.slice(), thumbprint, storage, ...levelOf(vault, key) })
}
