// SPDX-License-Identifier: MIT
// What the code store and the sessions hold of codes, addresses and sources: keyed hashes (R141). Whoever reads a store
// without the key learns no code and no source from it.

import { createHmac, randomBytes } from 'node:crypto'
import { badArgument, copyOf, sizedBytesOf } from '../../core/args.ts'
import { checkSigner } from '../support/checks.ts'
import { isSameBytes } from '../support/encoding.ts'
import type { CodeStore, ServerSigner } from '../types.ts'

/** A secret of at least 16 bytes, or a signer of `serverKeyFile`, which derives one from its private key. */
export type Pepper = Uint8Array | ServerSigner

/** Keyed hashes of one enrolment. The first key makes them, and all keys recognise them. */
export type KeyedHashes = {
  /**
   * Returns the hash of a challenge's code, 32 bytes. A code that is good for one thing only is bound to a text that names
   * that thing. The text then may contain line breaks, the code may not.
   */
  code(challengeId: string, code: string, bound?: string): Uint8Array
  /** Returns whether a hash is that of a challenge's code, in constant time for each key. */
  isCode(hash: Uint8Array, challengeId: string, code: string, bound?: string): boolean
  /** Returns the name of a text among others of its kind: 22 base64url characters. */
  name(kind: string, text: string): string
  isName(name: string, kind: string, text: string): boolean
}

type KeyOptions = { label: string; signer: ServerSigner; codes: CodeStore; pepper?: Pepper | readonly Pepper[] }

const LEAST_BYTES = 16
const SECRET_BYTES = 32
const NAME_LENGTH = 22

// Deriving it anew in each process gives all gateways of a server key the same secret.
const derive = (signer: ServerSigner, label: string): Uint8Array | undefined => {
  const secret: unknown = signer.deriveSecret?.(`countersign enrollment ${label}`)
  // A promise, a text or no bytes at all would make a secret that anybody can guess.
  return secret === undefined
    ? undefined
    : copyOf(sizedBytesOf(secret, SECRET_BYTES, 'deriveSecret()'), 'deriveSecret()')
}

function readPepper(pepper: Pepper, label: string): Uint8Array {
  if (pepper instanceof Uint8Array) {
    if (pepper.length < LEAST_BYTES) throw badArgument(`pepper must be at least ${LEAST_BYTES} bytes`)
    return pepper.slice()
  }
  checkSigner(pepper)
  const secret = derive(pepper, label)
  if (!secret) throw badArgument('pepper: this signer derives no secret; pass at least 16 secret bytes')
  return secret
}

function readKeys({ label, signer, codes, pepper }: KeyOptions): readonly Uint8Array[] {
  if (pepper !== undefined) {
    const given = pepper instanceof Uint8Array || !Array.isArray(pepper) ? [pepper as Pepper] : pepper
    if (given.length === 0) throw badArgument('pepper must not be an empty list')
    return given.map((one) => readPepper(one, label))
  }
  const secret = derive(signer, label)
  if (secret) return [secret]
  // Codes that end with the process need no secret that outlives it.
  if (codes.volatile) return [randomBytes(32)]
  throw badArgument('pepper is required: other processes share the code store, and this signer derives no secret')
}

const codeText = (challengeId: string, code: string, bound?: string): string =>
  bound === undefined ? `${challengeId}\n${code}` : `${challengeId}\n${code}\n${bound}`

/** Creates the hashes of one enrolment. @throws ERR_INVALID_ARGUMENT when there is no usable secret. */
export function createKeyedHashes(options: KeyOptions): KeyedHashes {
  const keys = readKeys(options)
  const [first] = keys as [Uint8Array]
  const hash = (key: Uint8Array, kind: string, text: string): Buffer =>
    createHmac('sha256', key).update(`${kind}\n${text}`).digest()
  const nameBy = (key: Uint8Array, kind: string, text: string): string =>
    hash(key, kind, text).toString('base64url').slice(0, NAME_LENGTH)
  return {
    code: (...given) => hash(first, 'code', codeText(...given)),
    isCode: (kept, ...given) => keys.some((key) => isSameBytes(hash(key, 'code', codeText(...given)), kept)),
    name: (kind, text) => nameBy(first, kind, text),
    isName: (name, kind, text) => keys.some((key) => nameBy(key, kind, text) === name)
  }
}
