// SPDX-License-Identifier: MIT
// The C++ core. It makes and checks every byte of a message; it signs nothing and uses no network.

import type * as T from '../common/types.ts'
import type { Bytes, BytesLike, SigningFields } from '../common/types.ts'
import { badArgument, bytesOf, copyOf, labelOf, lengthOf, optionsOf, partOf } from './args.ts'
import { ClientCore, type HeldKeys, hashOf, Sha256 } from './client-core.ts'
import { eventId, openEvent } from './events.ts'
import { openEnvelope, openRead, openRequest, parseFrame, parseHead, readRules } from './frames.ts'
import { Clock, Guard, Trusted } from './handles.ts'
import { judgeAgain, judgeRequest, judgeReservation, requestExpiry } from './judge.ts'
import { readKeys, withKeys } from './key-list.ts'
import { loadWasm, type WasmSource } from './load.ts'
import { ALGORITHMS, MESSAGES, type MessageLayout, type SigningKind, writeMessage } from './messages.ts'
import { coreWasm } from './platform/core-wasm.js'
import type { Wasm } from './wasm.ts'

export { errorFrom } from '../common/error-record.ts'
export {
  CountersignError,
  type ErrorCategory,
  type ErrorCode,
  type ErrorRecord,
  isCountersignError,
  type RetryRule
} from '../common/errors.ts'
export type * from '../common/judgement.ts'
export type * from '../common/types.ts'
export type { WasmSource } from './load.ts'

/** The kinds, in the order of the C++ enum. */
const KINDS: readonly SigningKind[] = ['request', 'response', 'event', 'enroll', 'rotate']

/** The layout of each signing input. */
const LAYOUTS: { readonly [Kind in SigningKind]: MessageLayout } = {
  ...MESSAGES,
  request: {
    numbers: ['timestampMs'],
    texts: ['label', 'protocolVersion', 'deviceSessionId', 'messageType', 'requestId'],
    bytes: 'payloadHash'
  },
  event: {
    numbers: ['timestampMs', 'sequence'],
    texts: ['label', 'protocolVersion', 'deviceSessionId', 'eventType', 'eventId'],
    bytes: 'payloadHash'
  }
}

class WholeCore extends ClientCore implements T.Core {
  constructor(wasm: Wasm) {
    super(wasm)
    // The client's file has the same ABI and fewer functions.
    if (!wasm.call.guard_new)
      throw badArgument('load countersign.wasm, not countersign-client.wasm', 'ERR_VERSION_MISMATCH')
  }

  createSha256(): T.Sha256Stream {
    return new Sha256(this.wasm)
  }

  hmacSha256(key: BytesLike, message: BytesLike): Bytes {
    const { wasm } = this
    const [keyBytes, bytes] = [bytesOf(key, 'key'), bytesOf(message, 'message')]
    const size = lengthOf(keyBytes) + lengthOf(bytes)
    return wasm.large(size, true, () => wasm.out(wasm.call.hmac_sha256(wasm.put(keyBytes), wasm.put(bytes))))
  }

  verifyHmacSha256(key: BytesLike, message: BytesLike, tag: BytesLike): boolean {
    const { wasm } = this
    const [keyBytes, bytes, tagBytes] = [bytesOf(key, 'key'), bytesOf(message, 'message'), bytesOf(tag, 'tag')]
    if (lengthOf(tagBytes) !== 32) return false
    const verify = () => wasm.call.verify_hmac_sha256(wasm.put(keyBytes), wasm.put(tagBytes), wasm.put(bytes)) === 1
    return wasm.large(lengthOf(keyBytes) + lengthOf(bytes) + 32, true, verify)
  }

  requestSigningInput(fields: T.RequestFields): Bytes {
    return writeMessage(this.wasm, 'request', fields, LAYOUTS)
  }

  responseSigningInput(fields: T.ResponseFields): Bytes {
    return writeMessage(this.wasm, 'response', fields)
  }

  eventSigningInput(fields: T.EventFields): Bytes {
    return writeMessage(this.wasm, 'event', fields, LAYOUTS)
  }

  enrollSigningInput(fields: T.EnrollFields): Bytes {
    return writeMessage(this.wasm, 'enroll', fields)
  }

  rotateSigningInput(fields: T.RotateFields): Bytes {
    return writeMessage(this.wasm, 'rotate', fields)
  }

  openEvent(frame: BytesLike, options: T.EventOptions): T.OpenedEvent {
    return openEvent(this.wasm, frame, options)
  }

  eventId(stream: string, sequence: number, eventType: string): string {
    return eventId(this.wasm, stream, sequence, eventType)
  }

  bindRequestId(fields: T.RequestFields): string {
    return this.beginRequest(fields).requestId
  }

  parseSigningInput(bytes: BytesLike): T.SigningFields {
    return parseMessage(this.wasm, bytesOf(bytes, 'bytes'))
  }

  parseFrame(bytes: BytesLike): T.FrameParts {
    return parseFrame(this.wasm, bytesOf(bytes, 'bytes'))
  }

  trustedKey(publicKey: BytesLike): T.TrustedKey {
    return new Trusted(this.wasm, publicKey)
  }

  // A client passes keys that it has checked, a caller of the whole core any list.
  override keyRing(keys: unknown): HeldKeys {
    return super.keyRing(readKeys(keys))
  }

  openResponse(frame: BytesLike, options: T.OpenOptions): T.OpenedResponse {
    const { wasm } = this
    const bytes = bytesOf(frame, 'frame')
    return withKeys(wasm, optionsOf(options, 'options').keys, (ring) => {
      // The options are checked before the frame is parsed, so that a usage error is not taken for a bad message.
      const rules = readRules(ring, options)
      const size = parseHead(wasm, bytes)
      const payload = copyOf(partOf(bytes, size, lengthOf(bytes)), 'frame')
      return { ...openRead(wasm, partOf(bytes, 0, size), hashOf(wasm, payload), rules), payload }
    })
  }

  override openEnvelope(
    envelope: BytesLike,
    payloadHash: BytesLike,
    options: T.OpenOptions
  ): { resultCode: string; timestampMs: number } {
    const bytes = bytesOf(envelope, 'envelope')
    return withKeys(this.wasm, optionsOf(options, 'options').keys, (ring) =>
      openEnvelope(this.wasm, bytes, payloadHash, options, ring)
    )
  }

  openRequest(envelope: BytesLike, options: { label: string; compatible?: boolean }): T.ParsedRequest {
    return openRequest(this.wasm, bytesOf(envelope, 'envelope'), options)
  }

  replayKey(label: string, deviceSessionId: string, requestId: string): Bytes {
    const wasm = this.wasm.begin()
    const size = wasm.call.replay_key(
      wasm.text(labelOf(label), 'label'),
      wasm.text(deviceSessionId, 'deviceSessionId'),
      wasm.text(requestId, 'requestId')
    )
    return wasm.out(wasm.check(size))
  }

  judgeRequest(...given: Parameters<T.Core['judgeRequest']>): ReturnType<T.Core['judgeRequest']> {
    return judgeRequest(this.wasm, ...given)
  }

  judgeReservation(...given: Parameters<T.Core['judgeReservation']>): ReturnType<T.Core['judgeReservation']> {
    return judgeReservation(this.wasm, ...given)
  }

  judgeAgain(session: Parameters<T.Core['judgeAgain']>[0]): ReturnType<T.Core['judgeAgain']> {
    return judgeAgain(this.wasm, session)
  }

  requestExpiry(timestampMs: number, time: Parameters<T.Core['requestExpiry']>[1]): number {
    return requestExpiry(this.wasm, timestampMs, time)
  }

  createClock(): T.CoreClock {
    return new Clock(this.wasm)
  }

  createReplayGuard(options: { capacity: number; sessionQuota?: number; floorMs?: number }): T.ReplayGuard {
    return new Guard(this.wasm, options)
  }
}

const readMessage = (wasm: Wasm, kind: SigningKind): SigningFields => {
  const { numbers, texts, bytes } = LAYOUTS[kind]
  const fields: { [name: string]: unknown } = { kind }
  let index = 0
  for (const name of numbers) {
    const value = wasm.number(index++)
    fields[name] = name === 'algorithm' ? ALGORITHMS[value] : value
  }
  fields[bytes] = wasm.bytesAt(index)
  for (const name of texts) {
    index += 2
    fields[name] = wasm.textAt(index)
  }
  return fields as SigningFields
}

/**
 * Parses a signing input of any kind.
 * @throws a malformed error when the bytes are no signing input.
 */
function parseMessage(wasm: Wasm, input: Uint8Array): SigningFields {
  return wasm.large(lengthOf(input), false, () =>
    readMessage(wasm, KINDS[wasm.check(wasm.call.parse_signing_input(wasm.put(input)))] as SigningKind)
  )
}

const wholeCores = new WeakMap<Wasm, WholeCore>()

/**
 * Loads the core.
 *
 * Without a source it compiles the core that is part of this package, and all calls share one instance. The next call
 * repeats a load that failed, and replaces an instance that trapped. With a source (an address, a Response, bytes, a
 * WebAssembly.Module, or a promise of one) each call makes its own instance.
 *
 * Rejects with ERR_LOAD_FAILED, whose cause says why, or with ERR_VERSION_MISMATCH when the file is of another version.
 *
 * ```ts
 * const core = await loadCore()
 * core.verifyEd25519(publicKey, message, signature)
 * ```
 */
export async function loadCore(source?: WasmSource | Promise<WasmSource>): Promise<T.Core> {
  const wasm = await loadWasm(coreWasm, source)
  const core = wholeCores.get(wasm) ?? new WholeCore(wasm)
  wholeCores.set(wasm, core)
  return core
}
