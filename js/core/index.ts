// SPDX-License-Identifier: MIT
// The C++ core by itself: it signs nothing and talks to nobody, but makes and judges every byte of a message.

import { wholeSource } from '#wasm-source'
import type * as T from '../common/types.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { badArgument, bytesOf, labelOf, lengthOf } from './args.ts'
import { ClientCore } from './client-core.ts'
import { eventId, openEvent } from './events.ts'
import { openRequest, openResponse, parseFrame } from './frames.ts'
import { Guard, Sha256, Trusted } from './handles.ts'
import { loadWasm, type WasmSource } from './load.ts'
import { parseMessage, writeMessage } from './signing-input.ts'
import type { Wasm } from './wasm.ts'

export {
  CountersignError,
  type ErrorCategory,
  type ErrorCode,
  isCountersignError,
  type RetryRule
} from '../common/errors.ts'
export type * from '../common/types.ts'
export type { WasmSource } from './load.ts'

class WholeCore extends ClientCore implements T.Core {
  constructor(w: Wasm) {
    super(w)
    // The file for pages has the same ABI and less in it.
    if (!w.call.guard_new)
      throw badArgument('load countersign.wasm, not countersign-client.wasm', 'ERR_VERSION_MISMATCH')
  }

  createSha256(): T.Sha256Stream {
    return new Sha256(this.w)
  }

  hmacSha256(key: BytesLike, message: BytesLike): Bytes {
    const { w } = this
    const [keyBytes, bytes] = [bytesOf(key, 'key'), bytesOf(message, 'message')]
    const size = lengthOf(keyBytes) + lengthOf(bytes)
    return w.large(size, true, () => w.out(w.call.hmac_sha256(w.put(keyBytes), w.put(bytes))))
  }

  verifyHmacSha256(key: BytesLike, message: BytesLike, tag: BytesLike): boolean {
    const { w } = this
    const [keyBytes, bytes, tagBytes] = [bytesOf(key, 'key'), bytesOf(message, 'message'), bytesOf(tag, 'tag')]
    if (lengthOf(tagBytes) !== 32) return false
    const verify = () => w.call.verify_hmac_sha256(w.put(keyBytes), w.put(tagBytes), w.put(bytes)) === 1
    return w.large(lengthOf(keyBytes) + lengthOf(bytes) + 32, true, verify)
  }

  eventSigningInput(fields: T.EventFields): Bytes {
    return this.w.out(writeMessage(this.w, 'event', fields))
  }

  openEvent(frame: BytesLike, options: T.EventOptions): T.OpenedEvent {
    return openEvent(this.w, frame, options)
  }

  eventId(stream: string, sequence: number, eventType: string): string {
    return eventId(this.w, stream, sequence, eventType)
  }

  bindRequestId(fields: T.RequestFields): string {
    return this.beginRequest(fields).requestId
  }

  parseSigningInput(bytes: BytesLike): T.SigningFields {
    return parseMessage(this.w, bytesOf(bytes, 'bytes'))
  }

  parseFrame(bytes: BytesLike): T.FrameParts {
    return parseFrame(this.w, bytesOf(bytes, 'bytes'))
  }

  trustedKey(publicKey: BytesLike): T.TrustedKey {
    return new Trusted(this.w, publicKey)
  }

  openResponse(frame: BytesLike, options: T.OpenOptions): T.OpenedResponse {
    return openResponse(this.w, bytesOf(frame, 'frame'), options)
  }

  openRequest(envelope: BytesLike, options: { label: string; compatible?: boolean }): T.ParsedRequest {
    return openRequest(this.w, bytesOf(envelope, 'envelope'), options)
  }

  replayKey(label: string, deviceSessionId: string, requestId: string): Bytes {
    const w = this.w.begin()
    const size = w.call.replay_key(
      w.text(labelOf(label), 'label'),
      w.text(deviceSessionId, 'deviceSessionId'),
      w.text(requestId, 'requestId')
    )
    return w.out(w.check(size))
  }

  createReplayGuard(options: { capacity: number; sessionQuota?: number; floorMs?: number }): T.ReplayGuard {
    return new Guard(this.w, options)
  }
}

const wholeCores = new WeakMap<Wasm, WholeCore>()

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
export async function loadCore(source?: WasmSource | Promise<WasmSource>): Promise<T.Core> {
  const wasm = await loadWasm(wholeSource, source)
  const core = wholeCores.get(wasm) ?? new WholeCore(wasm)
  wholeCores.set(wasm, core)
  return core
}
