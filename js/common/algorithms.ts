// SPDX-License-Identifier: MIT
// The client's key algorithms as a table of facts: the first an environment can make and keep is the one it gets.

import type { Algorithm } from './types.ts'

type Facts = {
  /** What WebCrypto calls the key. */
  readonly key: EcKeyImportParams | { readonly name: string }
  /** What WebCrypto calls the signature; both are 64 bytes, es256 as r‖s. */
  readonly signature: EcdsaParams | { readonly name: string }
  readonly publicKeyBytes: number
}

export const algorithms: { readonly [Name in Algorithm]: Facts } = {
  ed25519: { key: { name: 'Ed25519' }, signature: { name: 'Ed25519' }, publicKeyBytes: 32 },
  es256: {
    key: { name: 'ECDSA', namedCurve: 'P-256' },
    signature: { name: 'ECDSA', hash: 'SHA-256' },
    publicKeyBytes: 65
  }
}

/** Tried in this order; P-256 where a browser cannot make or keep an Ed25519 key. */
export const ladder: readonly Algorithm[] = ['ed25519', 'es256']

export const SIGNATURE_BYTES = 64

export function isAlgorithm(value: unknown): value is Algorithm {
  return value === 'ed25519' || value === 'es256'
}
