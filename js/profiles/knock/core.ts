// SPDX-License-Identifier: MIT
// The C++ half of the profile (wasm/knock_bindings.cpp): the packets' bytes and RSA. Loaded at first use, apart from the core.

import { knockSource } from '#knock-source'
import { CountersignError } from '../../common/errors.ts'
import type { Bytes, BytesLike } from '../../common/types.ts'
import { badArgument, bytesOf, copyOf, integerOf, lengthOf, optionsOf, sizedBytesOf } from '../../core/args.ts'
import { loadWasm, type WasmSource } from '../../core/load.ts'
import type { Wasm } from '../../core/wasm.ts'
import type { Knock, KnockFields, KnockVersion } from './types.ts'

const HASH = 32
const MAX_PAYLOAD = 199
const MAX_PAYLOAD_V2 = 191
const MAX_PACKET = 1024
const MAX_DER = 8192

type KnockCall = (...numbers: number[]) => number
type KnockCalls = { readonly [name: string]: KnockCall }

/** Fields as the core takes them: version, timestamp, user, action, challenge; and the payload. */
export type CheckedFields = { numbers: [number, number, number, number, number]; payload: Bytes; version: KnockVersion }

const encoder = new TextEncoder()

function payloadOf(given: KnockFields['payload']): Bytes {
  if (given === undefined) return new Uint8Array(0)
  if (typeof given !== 'string') return copyOf(given, 'payload')
  if (/\p{Cs}/u.test(given)) throw new CountersignError('ERR_INVALID_TEXT', { detail: 'payload has a lone surrogate' })
  return encoder.encode(given)
}

/** Checks a packet's version. */
export function checkVersion(given: unknown): KnockVersion {
  return integerOf(given, 1, 4, 'version') as KnockVersion
}

/** Checks fields, each read once; throws ERR_INVALID_ARGUMENT, ERR_INVALID_TEXT or ERR_PAYLOAD_TOO_LARGE. */
export function checkFields(fields: KnockFields): CheckedFields {
  const { version = 1, timestamp, userId, actionId, challenge, payload } = optionsOf(fields, 'fields')
  const read = checkVersion(version)
  const bytes = payloadOf(payload)
  // The daemon's own client cuts a longer one in silence.
  if (bytes.length > (read === 2 ? MAX_PAYLOAD_V2 : MAX_PAYLOAD)) throw new CountersignError('ERR_PAYLOAD_TOO_LARGE')
  return {
    version: read,
    payload: bytes,
    numbers: [
      read,
      // Seconds in 32 bits: until 2106.
      integerOf(timestamp, 0, 2 ** 32 - 1, 'timestamp (seconds)'),
      integerOf(userId, 0, 2 ** 16 - 1, 'userId'),
      integerOf(actionId, 0, 2 ** 8 - 1, 'actionId'),
      integerOf(challenge, 0, 2 ** 32 - 1, 'challenge')
    ]
  }
}

/** A packet taken apart; nothing of it has been verified. */
export type ParsedPacket = { knock: Knock; tag: Bytes; digest: Bytes }

/** A hybrid datagram taken apart. */
export type ParsedDatagram = {
  version: KnockVersion
  nonce: Bytes
  additionalData: Bytes
  wrapped: Bytes
  sealed: Bytes
}

/** Packets and RSA; every method copies in, copies out and throws a CountersignError. */
export class KnockCore {
  readonly #wasm: Wasm
  readonly #call: KnockCalls

  constructor(w: Wasm) {
    this.#wasm = w
    this.#call = w.call as unknown as KnockCalls
  }

  #run(name: string, ...numbers: number[]): number {
    return this.#wasm.check((this.#call[name] as KnockCall)(...numbers))
  }

  /** Gives what the tag is a MAC of. */
  digest({ numbers, payload }: CheckedFields): Bytes {
    const size = this.#wasm.begin().put(payload)
    return this.#wasm.out(this.#run('knock_digest', ...numbers, size))
  }

  /** Puts a packet together: 245 bytes, or the body of a hybrid version. */
  packet({ numbers, payload }: CheckedFields, tag: Bytes): Bytes {
    this.#wasm.begin().put(tag)
    const size = this.#wasm.put(payload)
    return this.#wasm.out(this.#run('knock_packet', ...numbers, size))
  }

  /** Takes a decrypted packet apart; version 0 asks for whichever it is. */
  read(version: KnockVersion | 0, packet: BytesLike): ParsedPacket {
    const w = this.#wasm
    const bytes = bytesOf(packet, 'packet')
    if (lengthOf(bytes) > MAX_PACKET) throw new CountersignError('ERR_TRAILING_BYTES')
    const digest = w.out(this.#run('knock_read', version, w.begin().put(bytes)))
    if (digest.length !== HASH) throw new CountersignError('ERR_INTERNAL')
    const knock = {
      version: w.number(0) as KnockVersion,
      timestamp: w.number(1),
      userId: w.number(2),
      actionId: w.number(3),
      challenge: w.number(4),
      payload: w.bytesAt(5)
    }
    return { knock, tag: w.bytesAt(7), digest }
  }

  /** Gives the front of a hybrid datagram, the additional data of its encryption. */
  header(version: KnockVersion, nonce: Bytes, ciphertextSize: number): Bytes {
    this.#wasm.begin().put(nonce)
    return this.#wasm.out(this.#run('knock_header', version, ciphertextSize))
  }

  /** Takes a hybrid datagram apart. */
  datagram(datagram: Bytes): ParsedDatagram {
    const w = this.#wasm
    if (datagram.length > MAX_PACKET) throw new CountersignError('ERR_TRAILING_BYTES')
    this.#run('knock_datagram', w.begin().put(datagram))
    return {
      version: w.number(0) as KnockVersion,
      nonce: w.bytesAt(1),
      additionalData: w.bytesAt(3),
      wrapped: w.bytesAt(5),
      sealed: w.bytesAt(7)
    }
  }

  /** Takes a reply's payload apart. */
  reply(payload: Bytes): { status: number; action: number; flags: number; text: Bytes } {
    const w = this.#wasm
    this.#run('knock_reply', w.begin().put(payload))
    return { status: w.number(0), action: w.number(1), flags: w.number(2), text: w.bytesAt(3) }
  }

  /** Gives the bytes of a block under a key (SubjectPublicKeyInfo); throws ERR_BAD_RSA_KEY. */
  publicKeySize(der: Bytes): number {
    return this.#run('rsa_public', this.#wasm.begin().put(derOf(der)))
  }

  /** privateKeySize is the same for a PrivateKeyInfo. */
  privateKeySize(der: Bytes): number {
    return this.#wasm.large(MAX_DER, true, () => this.#run('rsa_private', this.#wasm.put(derOf(der))))
  }

  /** Gives the block of a message under padding without a zero; throws ERR_BAD_RSA_KEY. */
  encrypt(der: Bytes, message: Bytes, padding: Bytes): Bytes {
    const w = this.#wasm
    return w.large(MAX_DER + MAX_PACKET, true, () => {
      const key = w.put(derOf(der))
      const size = w.put(message)
      return w.out(this.#run('rsa_seal', key, size, w.put(padding)))
    })
  }

  /**
   * Gives the last `size` bytes of a decrypted block, and whether they were a message of that size. Use both in the
   * same way whatever it says: that is what keeps an attacker from asking.
   */
  decrypt(der: Bytes, ciphertext: Bytes, size: number): { isGood: boolean; message: Bytes } {
    const w = this.#wasm
    return w.large(MAX_DER + MAX_PACKET, true, () => {
      const key = w.put(derOf(der))
      const isGood = this.#run('rsa_open', key, w.put(ciphertext), size) === 1
      const message = w.out(size)
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
 * Loads the profile's WebAssembly, once; a source is needed where the file does not lie beside the script. It
 * rejects as loadCore does. The functions of this profile call it themselves.
 */
export async function loadKnockCore(source?: WasmSource | Promise<WasmSource>): Promise<KnockCore> {
  return new KnockCore(await loadWasm(knockSource, source))
}

/** nonceOf checks bytes of a fixed size that a caller's random gave. */
export function randomBytesOf(given: unknown, size: number): Bytes {
  try {
    return copyOf(sizedBytesOf(given, size, 'random'), 'random')
  } catch (cause) {
    throw badArgument(`random(${size}) must return ${size} bytes: ${(cause as Error).message}`)
  }
}
