// SPDX-License-Identifier: MIT
// The C++ core by itself: it signs nothing and talks to nobody, but makes and judges every byte of a message.

import { bytesOf, labelOf, lengthOf, sizedBytesOf } from './core-args.ts'
import { buildFrame, openEnvelope, openRequest, openResponse, parseFrame } from './core-frames.ts'
import { Clock, Guard, Trusted } from './core-handles.ts'
import { hashOf, Sha256 } from './core-hash.ts'
import { loadWasm, type WasmSource } from './core-load.ts'
import { parseMessage, writeMessage } from './core-messages.ts'
import type { Wasm } from './core-wasm.ts'
import type * as T from './types.ts'
import type { Bytes, BytesLike } from './types.ts'

export type { WasmSource } from './core-load.ts'
export { CountersignError, type ErrorCategory, type ErrorCode, isCountersignError, type RetryRule } from './errors.ts'
export type * from './types.ts'

const VERSION = '0.1.0'

class WasmCore implements T.Core {
  readonly version = VERSION
  readonly #w: Wasm

  constructor(w: Wasm) {
    this.#w = w
  }

  sha256(bytes: BytesLike): Bytes {
    return hashOf(this.#w, bytesOf(bytes, 'bytes'))
  }

  createSha256(): T.Sha256Stream {
    return new Sha256(this.#w)
  }

  hmacSha256(key: BytesLike, message: BytesLike): Bytes {
    const w = this.#w
    const [keyBytes, bytes] = [bytesOf(key, 'key'), bytesOf(message, 'message')]
    const size = lengthOf(keyBytes) + lengthOf(bytes)
    return w.large(size, true, () => w.out(w.call.hmac_sha256(w.put(keyBytes), w.put(bytes))))
  }

  verifyHmacSha256(key: BytesLike, message: BytesLike, tag: BytesLike): boolean {
    const w = this.#w
    const [keyBytes, bytes, tagBytes] = [bytesOf(key, 'key'), bytesOf(message, 'message'), bytesOf(tag, 'tag')]
    if (lengthOf(tagBytes) !== 32) return false
    const verify = () => w.call.verify_hmac_sha256(w.put(keyBytes), w.put(tagBytes), w.put(bytes)) === 1
    return w.large(lengthOf(keyBytes) + lengthOf(bytes) + 32, true, verify)
  }

  requestSigningInput(fields: T.RequestFields): Bytes {
    return this.#w.out(writeMessage(this.#w, 'request', fields))
  }

  responseSigningInput(fields: T.ResponseFields): Bytes {
    return this.#w.out(writeMessage(this.#w, 'response', fields))
  }

  eventSigningInput(fields: T.EventFields): Bytes {
    return this.#w.out(writeMessage(this.#w, 'event', fields))
  }

  enrollSigningInput(fields: T.EnrollFields): Bytes {
    return this.#w.out(writeMessage(this.#w, 'enroll', fields))
  }

  rotateSigningInput(fields: T.RotateFields): Bytes {
    return this.#w.out(writeMessage(this.#w, 'rotate', fields))
  }

  beginRequest(fields: T.RequestFields): { requestId: string; signingInput: Bytes } {
    const w = this.#w
    const size = writeMessage(w, 'request', fields, 'begin')
    return { requestId: w.outText(w.number(0), w.number(1)), signingInput: w.out(size) }
  }

  bindRequestId(fields: T.RequestFields): string {
    const w = this.#w
    writeMessage(w, 'request', fields, 'begin')
    return w.outText(w.number(0), w.number(1))
  }

  parseSigningInput(bytes: BytesLike): T.SigningFields {
    return parseMessage(this.#w, bytesOf(bytes, 'bytes'))
  }

  buildFrame(parts: { signingInput: BytesLike; keyId: string; signature: BytesLike; payload?: BytesLike }): Bytes {
    return buildFrame(this.#w, parts)
  }

  parseFrame(bytes: BytesLike): T.FrameParts {
    return parseFrame(this.#w, bytesOf(bytes, 'bytes'))
  }

  verifyEd25519(publicKey: BytesLike, message: BytesLike, signature: BytesLike): boolean {
    const w = this.#w
    const key = sizedBytesOf(publicKey, 32, 'publicKey')
    const [bytes, signed] = [bytesOf(message, 'message'), bytesOf(signature, 'signature')]
    if (lengthOf(signed) !== 64) return false
    return w.large(96 + lengthOf(bytes), false, () => {
      w.put(key)
      w.put(signed)
      return w.call.verify_ed25519(w.put(bytes)) === 1
    })
  }

  isAcceptableEd25519Key(publicKey: BytesLike): boolean {
    const key = bytesOf(publicKey, 'publicKey')
    if (lengthOf(key) !== 32) return false
    this.#w.begin().put(key)
    return this.#w.call.is_acceptable_ed25519_key() === 1
  }

  trustedKey(publicKey: BytesLike): T.TrustedKey {
    return new Trusted(this.#w, publicKey)
  }

  openResponse(frame: BytesLike, options: T.OpenOptions): T.OpenedResponse {
    return openResponse(this.#w, bytesOf(frame, 'frame'), options)
  }

  openEnvelope(
    envelope: BytesLike,
    payloadHash: BytesLike,
    options: T.OpenOptions
  ): { resultCode: string; timestampMs: number } {
    return openEnvelope(this.#w, bytesOf(envelope, 'envelope'), payloadHash, options)
  }

  openRequest(envelope: BytesLike, options: { label: string; compatible?: boolean }): T.ParsedRequest {
    return openRequest(this.#w, bytesOf(envelope, 'envelope'), options)
  }

  replayKey(label: string, deviceSessionId: string, requestId: string): Bytes {
    const w = this.#w.begin()
    const call = w.call.replay_key
    const size = call(
      w.text(labelOf(label), 'label'),
      w.text(deviceSessionId, 'deviceSessionId'),
      w.text(requestId, 'requestId')
    )
    return w.out(w.check(size))
  }

  createClock(): T.CoreClock {
    return new Clock(this.#w)
  }

  createReplayGuard(options: { capacity: number; sessionQuota?: number; floorMs?: number }): T.ReplayGuard {
    return new Guard(this.#w, options)
  }
}

let shared: Promise<T.Core> | undefined
let compiled: WebAssembly.Module | undefined

const loadShared = async (): Promise<T.Core> => {
  const { wasm, module } = await loadWasm(compiled)
  compiled = module
  wasm.onTrap = () => {
    shared = undefined
  }
  return new WasmCore(wasm)
}

/**
 * loadCore makes the core. Without a source it loads countersign.wasm from beside this file, once: calls share one
 * instance, a load that failed is tried again at the next call, and one that trapped is replaced. With a source (an
 * address, a Response, bytes or a WebAssembly.Module, or a promise of one) each call makes an instance of its own. It
 * rejects with ERR_LOAD_FAILED, whose cause says why, or ERR_VERSION_MISMATCH for the file of another version.
 *
 * ```ts
 * const core = await loadCore()
 * core.verifyEd25519(publicKey, message, signature)
 * ```
 */
export const loadCore = async (source?: WasmSource | Promise<WasmSource>): Promise<T.Core> => {
  if (source !== undefined) return new WasmCore((await loadWasm(source)).wasm)
  shared ??= loadShared().catch((error: unknown) => {
    shared = undefined
    throw error
  })
  return shared
}
