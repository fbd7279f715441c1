// SPDX-License-Identifier: MIT
// The C++ half of the profile (wasm/knock_bindings.cpp): packet bytes and RSA. It is loaded at first use, apart from
// the core.

import { CountersignError } from '../../common/errors.ts'
import { encodeText } from '../../common/text.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, bytesOf, copyOf, integerOf, lengthOf, optionsOf, sizedBytesOf } from '../../core/args.ts'
import { loadWasm, type WasmSource } from '../../core/load.ts'
import { knockWasm } from '../../core/platform/knock-wasm.js'
import type { Wasm } from '../../core/wasm.ts'
import type { Knock, KnockFields, KnockVersion } from './types.ts'

const HASH = 32
const MAX_PAYLOAD = 199
const MAX_PAYLOAD_V2 = 191
const MAX_PACKET = 1024
const MAX_DER = 8192

type KnockCall = (...numbers: number[]) => number
type KnockCalls = { readonly [name: string]: KnockCall }

/** Checked fields: version, timestamp, user, action and challenge as the core takes them, and the payload. */
export type CheckedFields = { numbers: [number, number, number, number, number]; payload: Bytes; version: KnockVersion }

function payloadOf(given: KnockFields['payload']): Bytes {
  if (given === undefined) return new Uint8Array(0)
  if (typeof given !== 'string') return copyOf(given, 'payload')
  if (/\p{Cs}/u.test(given)) throw new CountersignError('ERR_INVALID_TEXT', { detail: 'payload has a lone surrogate' })
  return encodeText(given)
}

/**
 * Checks a packet's version.
 * @throws ERR_INVALID_ARGUMENT when it is not 1, 2, 3 or 4.
 */
export function checkVersion(given: unknown): KnockVersion {
  return integerOf(given, 1, 4, 'version') as KnockVersion
}

/**
 * Checks fields, and reads each of them once.
 * @throws ERR_INVALID_ARGUMENT, ERR_INVALID_TEXT or ERR_PAYLOAD_TOO_LARGE.
 */
export function checkFields(fields: KnockFields): CheckedFields {
  const { version = 1, timestamp, userId, actionId, challenge, payload } = optionsOf(fields, 'fields')
  const checked = checkVersion(version)
  const bytes = payloadOf(payload)
  // The daemon's own client would cut a longer payload without an error.
  if (bytes.length > (checked === 2 ? MAX_PAYLOAD_V2 : MAX_PAYLOAD)) throw new CountersignError('ERR_PAYLOAD_TOO_LARGE')
  return {
    version: checked,
    payload: bytes,
    numbers: [
      checked,
      // 32 bits of seconds last until 2106.
      integerOf(timestamp, 0, 2 ** 32 - 1, 'timestamp (seconds)'),
      integerOf(userId, 0, 2 ** 16 - 1, 'userId'),
      integerOf(actionId, 0, 2 ** 8 - 1, 'actionId'),
      integerOf(challenge, 0, 2 ** 32 - 1, 'challenge')
    ]
  }
}

/** A parsed packet. Nothing in it is verified. */
export type ParsedPacket = { knock: Knock; tag: Bytes; digest: Bytes }

/** A parsed hybrid datagram. Nothing in it is verified. */
export type ParsedDatagram = {
  version: KnockVersion
  nonce: Bytes
  additionalData: Bytes
  wrapped: Bytes
  sealed: Bytes
}

/** Packets and RSA. Every method copies its arguments and results, and throws a CountersignError. */
export class KnockCore {
  readonly #wasm: Wasm
  readonly #call: KnockCalls

  constructor(wasm: Wasm) {
    this.#wasm = wasm
    this.#call = wasm.call as unknown as KnockCalls
  }

  #run(name: string, ...numbers: number[]): number {
    return this.#wasm.check((this.#call[name] as KnockCall)(...numbers))
  }

  /** Returns the digest that the tag authenticates. */
  digest({ numbers, payload }: CheckedFields): Bytes {
    const size = this.#wasm.begin().put(payload)
    return this.#wasm.out(this.#run('knock_digest', ...numbers, size))
  }

  /** Builds a packet: 245 bytes, or the body of a hybrid version. */
  packet({ numbers, payload }: CheckedFields, tag: Bytes): Bytes {
    this.#wasm.begin().put(tag)
    const size = this.#wasm.put(payload)
    return this.#wasm.out(this.#run('knock_packet', ...numbers, size))
  }

  /** Parses a decrypted packet. Version 0 detects the version. */
  read(version: KnockVersion | 0, packet: BytesLike): ParsedPacket {
    const wasm = this.#wasm
    const bytes = bytesOf(packet, 'packet')
    if (lengthOf(bytes) > MAX_PACKET) throw new CountersignError('ERR_TRAILING_BYTES')
    const digest = wasm.out(this.#run('knock_read', version, wasm.begin().put(bytes)))
    if (digest.length !== HASH) throw new CountersignError('ERR_INTERNAL')
    const knock = {
      version: wasm.number(0) as KnockVersion,
      timestamp: wasm.number(1),
      userId: wasm.number(2),
      actionId: wasm.number(3),
      challenge: wasm.number(4),
      payload: wasm.bytesAt(5)
    }
    return { knock, tag: wasm.bytesAt(7), digest }
  }

  /** Returns the header of a hybrid datagram: the additional data of its encryption. */
  header(version: KnockVersion, nonce: Bytes, ciphertextSize: number): Bytes {
    this.#wasm.begin().put(nonce)
    return this.#wasm.out(this.#run('knock_header', version, ciphertextSize))
  }

  /** Parses a hybrid datagram. */
  datagram(datagram: Bytes): ParsedDatagram {
    const wasm = this.#wasm
    if (datagram.length > MAX_PACKET) throw new CountersignError('ERR_TRAILING_BYTES')
    this.#run('knock_datagram', wasm.begin().put(datagram))
    return {
      version: wasm.number(0) as KnockVersion,
      nonce: wasm.bytesAt(1),
      additionalData: wasm.bytesAt(3),
      wrapped: wasm.bytesAt(5),
      sealed: wasm.bytesAt(7)
    }
  }

  /** Parses a reply's payload. */
  reply(payload: Bytes): { status: number; action: number; flags: number; text: Bytes } {
    const wasm = this.#wasm
    this.#run('knock_reply', wasm.begin().put(payload))
    return { status: wasm.number(0), action: wasm.number(1), flags: wasm.number(2), text: wasm.bytesAt(3) }
  }

  /**
   * Returns the block size of a key (SubjectPublicKeyInfo), in bytes.
   * @throws ERR_BAD_RSA_KEY.
   */
  publicKeySize(der: Bytes): number {
    return this.#run('rsa_public', this.#wasm.begin().put(derOf(der)))
  }

  /**
   * Returns the block size of a private key (PrivateKeyInfo), in bytes.
   * @throws ERR_BAD_RSA_KEY.
   */
  privateKeySize(der: Bytes): number {
    return this.#wasm.large(MAX_DER, true, () => this.#run('rsa_private', this.#wasm.put(derOf(der))))
  }

  /**
   * Encrypts a message to one block; the padding must not contain a zero.
   * @throws ERR_BAD_RSA_KEY.
   */
  encrypt(der: Bytes, message: Bytes, padding: Bytes): Bytes {
    const wasm = this.#wasm
    return wasm.large(MAX_DER + MAX_PACKET, true, () => {
      const key = wasm.put(derOf(der))
      const size = wasm.put(message)
      return wasm.out(this.#run('rsa_seal', key, size, wasm.put(padding)))
    })
  }

  /**
   * Decrypts a block. Returns its last `size` bytes, and whether they were a message of that size. Use both results
   * in the same way in either case; otherwise the caller's behaviour tells an attacker which case it was.
   */
  decrypt(der: Bytes, ciphertext: Bytes, size: number): { isGood: boolean; message: Bytes } {
    const wasm = this.#wasm
    return wasm.large(MAX_DER + MAX_PACKET, true, () => {
      const key = wasm.put(derOf(der))
      const isGood = this.#run('rsa_open', key, wasm.put(ciphertext), size) === 1
      const message = wasm.out(size)
      this.#run('wipe_out')
      return { isGood, message }
    })
  }
}

function derOf(der: Bytes): Bytes {
  if (der.length > MAX_DER) throw new CountersignError('ERR_BAD_RSA_KEY')
  return der
}

/**
 * Loads the profile's WebAssembly once. The functions of this profile call it themselves. Pass a source,
 * countersign-knock.wasm, to compile another file than the one inside the JavaScript.
 * Rejects as loadCore does.
 */
export async function loadKnockCore(source?: WasmSource | Promise<WasmSource>): Promise<KnockCore> {
  return new KnockCore(await loadWasm(knockWasm, source))
}

/**
 * Copies the bytes that a caller's `random` returned.
 * @throws ERR_INVALID_ARGUMENT when their number is not `size`.
 */
export function randomBytesOf(given: unknown, size: number): Bytes {
  try {
    return copyOf(sizedBytesOf(given, size, 'random'), 'random')
  } catch (cause) {
    throw badArgument(`random(${size}) must return ${size} bytes: ${(cause as Error).message}`)
  }
}
