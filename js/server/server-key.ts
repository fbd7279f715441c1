// SPDX-License-Identifier: MIT
// The server's signing key in a file: PKCS #8 PEM that only its owner may read (PROTOCOL.md, R21).

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign
} from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  type Stats,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { CountersignError } from '../common/errors.ts'
import type { ServerSigner } from './types.ts'

const refuse = (detail: string, cause?: unknown): CountersignError =>
  new CountersignError('ERR_INVALID_ARGUMENT', { detail: `server key file: ${detail}`, cause })

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException)?.code === 'ENOENT'
const isThere = (error: unknown): boolean => (error as NodeJS.ErrnoException)?.code === 'EEXIST'

// The key is written to another file, flushed, and then linked into place. Two gateways that start together end with
// one key, and a crash leaves no half-written file.
function createKeyFile(path: string): void {
  const pem = String(generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const aside = `${path}.${process.pid}.${performance.now().toString(36).replace('.', '')}`
  const file = openSync(aside, 'wx', 0o600)
  try {
    fchmodSync(file, 0o600)
    // Not writeSync, which may write a part where the disk is nearly full.
    writeFileSync(file, pem)
    fsyncSync(file)
    linkSync(aside, path)
  } catch (error) {
    if (!isThere(error)) throw error
  } finally {
    closeSync(file)
    unlinkSync(aside)
  }
}

function checkOwner({ mode, uid }: Stats): void {
  if ((mode & 0o077) !== 0)
    throw refuse('other users may read it; run chmod 600, or make a new key if they have read it')
  // Its owner can read it and put another one in its place; so can root, of any file.
  if (uid !== 0 && uid !== process.geteuid?.())
    throw refuse(`it belongs to another user (${uid}); run chown, or make a new key if that user is not to have it`)
}

function readKey(path: string): KeyObject {
  const file = openSync(path, 'r')
  try {
    // Windows has no such mode bits.
    if (process.platform !== 'win32') checkOwner(fstatSync(file))
    const key = createPrivateKey(readFileSync(file))
    if (key.asymmetricKeyType !== 'ed25519') throw refuse('it does not hold an Ed25519 key')
    return key
  } catch (error) {
    throw error instanceof CountersignError ? error : refuse('it is not a PKCS #8 PEM key', error)
  } finally {
    closeSync(file)
  }
}

/**
 * Loads the server's key from a file, and creates the file with mode 0600 where there is none. The key id is the first
 * 22 base64url characters of the public key's SHA-256. Rethrows the file system's error where the path cannot be used.
 *
 * @throws ERR_INVALID_ARGUMENT when other users may read the file, when it belongs to a user who is neither this process's
 * nor root, or when it holds no Ed25519 key.
 *
 * @example
 * ```ts
 * const signer = serverKeyFile('data/server.key')
 * console.log(signer.keyId, Buffer.from(signer.publicKey).toString('base64'))
 * ```
 */
export function serverKeyFile(path: string): ServerSigner {
  if (typeof path !== 'string' || path === '') throw refuse('its path must be a string')
  let key: KeyObject
  try {
    key = readKey(path)
  } catch (error) {
    if (!isMissing(error)) throw error
    createKeyFile(path)
    key = readKey(path)
  }
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const publicKey = new Uint8Array(der.subarray(der.length - 32))
  const keyId = createHash('sha256').update(publicKey).digest('base64url').slice(0, 22)
  // The last 32 bytes of an Ed25519 key in PKCS #8 are its seed (RFC 8410).
  const seed = key.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const deriveSecret = (purpose: string) => new Uint8Array(hkdfSync('sha256', seed, new Uint8Array(), purpose, 32))
  return { keyId, publicKey, sign: (bytes) => sign(null, bytes, key), deriveSecret }
}
