// SPDX-License-Identifier: MIT
// The client's key algorithms, as a table of facts.

import { encodeBase64Url } from './base64.ts'
import { encodeJson } from './text.ts'
import type { Algorithm, Bytes } from './types.ts'

/** The facts of one algorithm. */
type Facts = {
  /** The key's parameters for WebCrypto. */
  readonly key: EcKeyImportParams | { readonly name: string }
  /** The signature's parameters for WebCrypto. A signature is 64 bytes long; `es256` writes it as r‖s. */
  readonly signature: EcdsaParams | { readonly name: string }
  readonly publicKeyBytes: number
}

/** The facts of each algorithm. */
export const algorithms: { readonly [Name in Algorithm]: Facts } = {
  ed25519: { key: { name: 'Ed25519' }, signature: { name: 'Ed25519' }, publicKeyBytes: 32 },
  es256: {
    key: { name: 'ECDSA', namedCurve: 'P-256' },
    signature: { name: 'ECDSA', hash: 'SHA-256' },
    publicKeyBytes: 65
  }
}

/** The order in which a client tries the algorithms. P-256 serves browsers that cannot make or keep an Ed25519 key. */
export const preferredAlgorithms: readonly Algorithm[] = ['ed25519', 'es256']

/** The length of a signature, in bytes. */
export const SIGNATURE_BYTES = 64

/** Returns whether a value names an algorithm. */
export function isAlgorithm(value: unknown): value is Algorithm {
  return value === 'ed25519' || value === 'es256'
}

/** Returns the bytes that RFC 7638 hashes: a JWK's members in the order of their names, without white space. */
export function thumbprintInput({ algorithm, publicKey }: { algorithm: Algorithm; publicKey: Uint8Array }): Bytes {
  const part = (from: number, to?: number): string => encodeBase64Url(publicKey.slice(from, to))
  return encodeJson(
    algorithm === 'ed25519'
      ? { crv: 'Ed25519', kty: 'OKP', x: part(0) }
      : { crv: 'P-256', kty: 'EC', x: part(1, 33), y: part(33) }
  )
}
