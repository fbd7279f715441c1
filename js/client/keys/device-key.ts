// SPDX-License-Identifier: MIT
// The device key. Private keys are made with `extractable: false`, and no code exports one. No public property of this
// package leads to the CryptoKey. The functions of WebCrypto are taken once, when the module loads.

import { algorithms, SIGNATURE_BYTES, thumbprintInput } from '../../common/algorithms.ts'
import { encodeBase64Url } from '../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import type { CryptoKey } from '../../common/platform-types.ts'
import { encodeText } from '../../common/text.ts'
import type { Algorithm, Bytes, Signer, Stored } from '../../common/types.ts'
import { copyOf, sizedBytesOf } from '../../core/args.ts'
import type { ClientCore } from '../../core/client-core.ts'

const subtle = globalThis.crypto?.subtle
const generateKey = subtle?.generateKey.bind(subtle)
const exportKey = subtle?.exportKey.bind(subtle)
const importKey = subtle?.importKey.bind(subtle)
const subtleSign = subtle?.sign.bind(subtle)
const subtleVerify = subtle?.verify.bind(subtle)

/** True when this environment has WebCrypto. */
export const canSign = subtle !== undefined

// No signing input begins like this. Its first byte would be the length of a label, which is at most 47 bytes long.
const PROBE = encodeText('countersign: does this key sign?')

const isCryptoKey = (key: unknown): key is CryptoKey => Object.prototype.toString.call(key) === '[object CryptoKey]'

const signingFailed = (cause: unknown): never => {
  throw isCountersignError(cause) ? cause : new CountersignError('ERR_SIGNING_FAILED', { cause })
}

// A number would become an array of so many zeros, and a text an empty one.
const checkSignature = (given: unknown): Bytes => {
  try {
    return copyOf(sizedBytesOf(given, SIGNATURE_BYTES, 'the signature'), 'the signature')
  } catch (cause) {
    throw new CountersignError('ERR_SIGNING_FAILED', { cause, detail: 'not 64 bytes' })
  }
}

/** One device key. It signs and shows its public half; only the store sees its private half. */
export class DeviceKey {
  readonly #key: CryptoKey | Signer
  readonly algorithm: Algorithm
  readonly publicKey: Bytes

  constructor(key: CryptoKey | Signer, algorithm: Algorithm, publicKey: Bytes) {
    this.#key = key
    this.algorithm = algorithm
    this.publicKey = publicKey
  }

  /** Returns the 64-byte signature of bytes. Rejects with ERR_SIGNING_FAILED. */
  sign(bytes: Bytes): Promise<Bytes> {
    const key = this.#key
    return isCryptoKey(key)
      ? subtleSign(algorithms[this.algorithm].signature, key, bytes).then(checkSignature, signingFailed)
      : signWithSigner(key, bytes)
  }

  /** Returns the record for the store. The private half leaves this object only here. */
  stored(): Stored {
    return { key: this.#key, publicKey: this.publicKey.slice(), algorithm: this.algorithm }
  }
}

const signWithSigner = async (signer: Signer, bytes: Bytes): Promise<Bytes> => {
  try {
    return checkSignature(await signer.sign(bytes.slice()))
  } catch (cause) {
    return signingFailed(cause)
  }
}

/** Makes one key pair of the platform, whose private half cannot be exported. Rejects as the platform does. */
export async function newPair(algorithm: Algorithm): Promise<DeviceKey> {
  const pair = (await generateKey(algorithms[algorithm].key, false, ['sign', 'verify'])) as CryptoKeyPair
  return new DeviceKey(pair.privateKey, algorithm, new Uint8Array(await exportKey('raw', pair.publicKey)))
}

const isPublicKey = (algorithm: Algorithm, bytes: Uint8Array): boolean =>
  bytes.length === algorithms[algorithm].publicKeyBytes && (algorithm === 'ed25519' || bytes[0] === 4)

const isPrivateKey = (key: unknown, algorithm: Algorithm): key is CryptoKey | Signer =>
  isCryptoKey(key)
    ? key.type === 'private' && !key.extractable && key.algorithm.name === algorithms[algorithm].key.name
    : typeof (key as Signer | null | undefined)?.sign === 'function'

/** Returns whether two keys have the same public half. */
export function isSameKey({ publicKey }: Pick<Stored, 'publicKey'>, other: Pick<Stored, 'publicKey'>): boolean {
  return (
    publicKey.length === other.publicKey.length && publicKey.every((byte, index) => byte === other.publicKey[index])
  )
}

/** Returns a public key's JWK thumbprint (RFC 7638): the base64url of a SHA-256. */
export function thumbprintOf(core: ClientCore, key: DeviceKey): string {
  return encodeBase64Url(core.sha256(thumbprintInput(key)))
}

/**
 * Reads the key of a stored record. Returns undefined when the record is damaged, half-written or of another algorithm.
 */
export function keyOfRecord(record: Pick<Stored, 'key' | 'publicKey' | 'algorithm'>): DeviceKey | undefined {
  const { key, publicKey, algorithm } = record
  if (!Object.hasOwn(algorithms, algorithm) || !isPrivateKey(key, algorithm)) return undefined
  try {
    const bytes = copyOf(publicKey, 'publicKey')
    return isPublicKey(algorithm, bytes) ? new DeviceKey(key, algorithm, bytes) : undefined
  } catch {
    return undefined
  }
}

/**
 * Returns whether a key signs and its public half verifies the signature. The core verifies ed25519, the platform
 * es256.
 */
export async function doesKeySign(core: ClientCore, key: DeviceKey): Promise<boolean> {
  const { algorithm, publicKey } = key
  try {
    const signature = await key.sign(PROBE)
    if (algorithm === 'ed25519') return core.verifyEd25519(publicKey, PROBE, signature)
    const { key: parameters, signature: how } = algorithms.es256
    const imported = await importKey('raw', publicKey, parameters, false, ['verify'])
    return await subtleVerify(how, imported, signature, PROBE)
  } catch {
    return false
  }
}
