// SPDX-License-Identifier: MIT
// The part of the core that a client needs. index.ts adds the rest, which a page does not download.

import { CountersignError } from '../common/errors.ts'
import { MAX_ENVELOPE } from '../common/protocol.ts'
import type * as T from '../common/types.ts'
import type { Bytes, BytesLike, ClockSource, Sha256Stream } from '../common/types.ts'
import { bytesOf, finiteOf, labelOf, lengthOf, optionsOf, partOf, sizedBytesOf, timeOf } from './args.ts'
import { openEnvelope } from './frames.ts'
import { builtin, loadWasm, type WasmSource } from './load.ts'
import { clientWasm } from './platform/client-wasm.js'
import { PIECE, type Wasm } from './wasm.ts'

// Taken once when the module loads, so a script that replaces it later changes nothing here.
const subtleDigest = globalThis.crypto?.subtle?.digest?.bind(globalThis.crypto.subtle)

// Node hashes at once, with the processor's own instructions, which WebAssembly cannot use. A page has only promises.
const createHash = builtin<typeof import('node:crypto')>('node:crypto')?.createHash

/** The longest input, in bytes, that the core hashes faster than the platform. */
const CORE_BYTES = createHash ? 256 : 4096
/** The longest input that Node hashes at once, in bytes. A longer hash would delay all other work of the program. */
const NOW_BYTES = 65536

/** The calls of the core that a client makes. PROTOCOL.md describes each act, types.ts its arguments. */
export class ClientCore
  implements
    Pick<
      T.Core,
      'version' | 'sha256' | 'beginRequest' | 'buildFrame' | 'openEnvelope' | 'verifyEd25519' | 'isAcceptableEd25519Key'
    >
{
  readonly version = '0.1.0'
  /** @internal */
  readonly wasm: Wasm

  constructor(wasm: Wasm) {
    this.wasm = wasm
  }

  sha256(bytes: BytesLike): Bytes {
    return hashOf(this.wasm, bytesOf(bytes, 'bytes'))
  }

  /**
   * Returns the SHA-256 of bytes that no other code can change meanwhile. Short input is hashed at once, so that no
   * promise of the platform delays the hot path. Long input gives a promise.
   */
  digest(bytes: Bytes): Bytes | Promise<Bytes> {
    if (bytes.length <= CORE_BYTES) return this.sha256(bytes)
    if (createHash && bytes.length <= NOW_BYTES) return new Uint8Array(createHash('sha256').update(bytes).digest())
    return subtleDigest('SHA-256', bytes).then((hash) => new Uint8Array(hash))
  }

  beginRequest(fields: T.RequestFields): { requestId: string; signingInput: Bytes } {
    const { wasm } = this
    const given = optionsOf(fields, 'fields')
    // Every request takes this path, so the fields are read one by one.
    const { label, protocolVersion = 'v1', deviceSessionId, messageType, requestId } = given
    const timestampMs = timeOf(given.timestampMs, 'timestampMs')
    const hash = sizedBytesOf(given.payloadHash, 32, 'payloadHash')
    labelOf(label)
    wasm.begin().put(hash)
    const size = wasm.call.begin_request(
      timestampMs,
      wasm.text(label, 'label'),
      wasm.text(protocolVersion, 'protocolVersion'),
      wasm.text(deviceSessionId, 'deviceSessionId'),
      wasm.text(messageType, 'messageType'),
      wasm.text(requestId, 'requestId')
    )
    return { signingInput: wasm.out(wasm.check(size)), requestId: wasm.outAscii(wasm.number(0), wasm.number(1)) }
  }

  buildFrame(parts: { signingInput: BytesLike; keyId: string; signature: BytesLike; payload?: BytesLike }): Bytes {
    const { wasm } = this
    const { signingInput, keyId, signature, payload } = optionsOf(parts, 'parts')
    const input = bytesOf(signingInput, 'signingInput')
    const signed = sizedBytesOf(signature, 64, 'signature')
    const rest = payload === undefined ? undefined : bytesOf(payload, 'payload')
    if (lengthOf(input) > MAX_ENVELOPE) throw new CountersignError('ERR_ENVELOPE_TOO_LARGE')
    wasm.begin().put(signed)
    return wasm.out(wasm.check(wasm.call.write_envelope(wasm.put(input), wasm.text(keyId, 'keyId', 0))), rest)
  }

  openEnvelope(
    envelope: BytesLike,
    payloadHash: BytesLike,
    options: T.OpenOptions
  ): { resultCode: string; timestampMs: number } {
    // A client's keys are always held.
    return openEnvelope(this.wasm, bytesOf(envelope, 'envelope'), payloadHash, options, options.keys as HeldKeys)
  }

  verifyEd25519(publicKey: BytesLike, message: BytesLike, signature: BytesLike): boolean {
    const { wasm } = this
    const key = sizedBytesOf(publicKey, 32, 'publicKey')
    const [bytes, signed] = [bytesOf(message, 'message'), bytesOf(signature, 'signature')]
    if (lengthOf(signed) !== 64) return false
    return wasm.large(96 + lengthOf(bytes), false, () => {
      wasm.put(key)
      wasm.put(signed)
      return wasm.call.verify_ed25519(wasm.put(bytes)) === 1
    })
  }

  /** Keeps keys whose members are checked. */
  keyRing(keys: readonly CheckedKey[]): HeldKeys {
    return new HeldKeys(this.wasm, keys)
  }

  isAcceptableEd25519Key(publicKey: BytesLike): boolean {
    const key = bytesOf(publicKey, 'publicKey')
    if (lengthOf(key) !== 32) return false
    this.wasm.begin().put(key)
    return this.wasm.call.is_acceptable_ed25519_key() === 1
  }
}

/** Names an object of the core. Use after free() throws ERR_FREED; a second free() does nothing. */
export class Handle {
  readonly wasm: Wasm
  #handle: number
  readonly #release: (handle: number) => number

  constructor(wasm: Wasm, handle: number, release: (handle: number) => number) {
    this.wasm = wasm
    this.#handle = wasm.check(handle)
    this.#release = release
    wasm.watch(this, () => release(handle))
  }

  protected get handle(): number {
    if (this.#handle < 0) throw new CountersignError('ERR_FREED')
    return this.#handle
  }

  /** Releases the object in the core. */
  free(): void {
    if (this.#handle < 0) return
    const handle = this.#handle
    this.#handle = -1
    this.wasm.unwatch(this)
    if (!this.wasm.hasTrapped) this.#release(handle)
  }
}

// Stands for a key that never ends.
const NO_END = -1

/** A server key whose members are checked. */
export type CheckedKey = {
  readonly id: string
  readonly publicKey: Uint8Array
  readonly notBefore?: number | undefined
  readonly notAfter?: number | undefined
}

/** Server keys that answers and events are checked with. */
export class HeldKeys extends Handle implements T.KeyRing {
  /** @throws ERR_NO_MEMORY. */
  constructor(wasm: Wasm, keys: readonly CheckedKey[]) {
    super(wasm, wasm.call.key_ring_new(keys.length), wasm.call.key_ring_free)
    for (const { id, publicKey, notBefore = 0, notAfter = NO_END } of keys) {
      wasm.begin().put(publicKey)
      const size = wasm.text(id, 'id', 0)
      wasm.call.key_ring_add(this.handle, size, notBefore, notAfter)
    }
  }

  /** Makes these keys those of the next check. */
  trust(): void {
    this.wasm.call.trust(this.handle)
  }
}

/** The sources of a clock, in the order of the C++ enum. */
export const SOURCES: readonly ClockSource[] = ['none', 'stored', 'event', 'round-trip']

/** A client's clock after an operation, and the reading of the wall clock that it was made at. */
export type ClockState = {
  readonly wallMs: number
  /** Whether the sample was taken, the time was stamped, the note is due or the question is to be asked. */
  readonly isDone: boolean
  readonly hasChanged: boolean
  readonly lacksAnswer: boolean
  readonly hasNote: boolean
  /** Server time minus the monotonic clock. */
  readonly shiftMs: number
  /** Server time minus the wall clock. */
  readonly offsetMs: number
  readonly errorMs: number
  readonly ageMs: number
  readonly source: ClockSource
  readonly floorMs: number
  readonly stampMs: number
  readonly correction: { readonly byMs: number; readonly atMs: number; readonly source: ClockSource }
}

/** The clock of one client, whole (R27, R74 to R81). */
export class ClientClock extends Handle {
  constructor({ wasm }: ClientCore, buildMs: number, trustsLocal: boolean) {
    super(wasm, wasm.call.client_clock_new(buildMs, trustsLocal ? 1 : 0), wasm.call.client_clock_free)
  }

  /** Makes an operation of wasm/objects.hpp at one reading of the local clocks. @throws ERR_INVALID_TIME. */
  run(operation: number, monotonicMs: number, wallMs: number, more: readonly number[]): ClockState {
    const { wasm, handle } = this
    const [one, two, three, four] = more
    const local = [finiteOf(monotonicMs, 'monotonicMs'), finiteOf(wallMs, 'wallMs')] as const
    const bits = wasm.check(wasm.call.client_clock_run(handle, operation, ...local, one, two, three, four))
    const number = (index: number) => wasm.number(index)
    const sourceAt = (index: number) => SOURCES[number(index)] as ClockSource
    return {
      wallMs,
      isDone: (bits & 1) > 0,
      hasChanged: (bits & 2) > 0,
      lacksAnswer: (bits & 4) > 0,
      hasNote: (bits & 8) > 0,
      shiftMs: number(0),
      offsetMs: number(1),
      errorMs: number(2),
      ageMs: number(3),
      source: sourceAt(4),
      floorMs: number(5),
      stampMs: number(6),
      correction: Object.freeze({ byMs: number(7), atMs: number(8), source: sourceAt(9) })
    }
  }
}

/** A hash in progress. digest() ends it. The garbage collector frees one that the program drops. */
export class Sha256 extends Handle implements Sha256Stream {
  constructor(wasm: Wasm) {
    super(wasm, wasm.call.sha256_new(), wasm.call.sha256_free)
  }

  update(chunk: BytesLike): this {
    const bytes = bytesOf(chunk, 'chunk')
    const length = lengthOf(bytes)
    const { wasm, handle } = this
    for (let from = 0; from < length; from += PIECE) {
      wasm.check(wasm.begin().call.sha256_update(handle, wasm.put(partOf(bytes, from, Math.min(from + PIECE, length)))))
    }
    return this
  }

  digest(): Bytes {
    const { wasm, handle } = this
    const hash = wasm.out(wasm.check(wasm.call.sha256_finish(handle)))
    this.free()
    return hash
  }
}

/** Returns the SHA-256 of bytes that bytesOf has returned. */
export function hashOf(wasm: Wasm, bytes: Uint8Array): Bytes {
  return lengthOf(bytes) > PIECE
    ? new Sha256(wasm).update(bytes).digest()
    : wasm.out(wasm.begin().call.sha256(wasm.put(bytes)))
}

/** Loads the part of the core that a client needs, as loadCore does. The file of the whole core serves too. */
export async function loadClientCore(source?: WasmSource | Promise<WasmSource>): Promise<ClientCore> {
  return new ClientCore(await loadWasm(clientWasm, source))
}
