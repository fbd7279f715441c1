// SPDX-License-Identifier: MIT
// The part of the core that a client needs; core.ts adds the rest. Apart, so that a page does not download the rest.

import { clientSource } from '#wasm-source'
import type * as T from '../common/types.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { bytesOf, lengthOf, sizedBytesOf } from './args.ts'
import { buildFrame, openEnvelope } from './frames.ts'
import { Clock, hashOf } from './handles.ts'
import { loadWasm, type WasmSource } from './load.ts'
import { beginRequest, writeMessage } from './signing-input.ts'
import type { Wasm } from './wasm.ts'

/** The calls of the core that a client makes; PROTOCOL.md says what each does, types.ts what it takes. */
export class ClientCore
  implements
    Pick<
      T.Core,
      | 'version'
      | 'sha256'
      | 'requestSigningInput'
      | 'responseSigningInput'
      | 'enrollSigningInput'
      | 'rotateSigningInput'
      | 'beginRequest'
      | 'buildFrame'
      | 'openEnvelope'
      | 'verifyEd25519'
      | 'isAcceptableEd25519Key'
      | 'createClock'
    >
{
  readonly version = '0.1.0'
  /** @internal */
  readonly w: Wasm

  constructor(w: Wasm) {
    this.w = w
  }

  sha256(bytes: BytesLike): Bytes {
    return hashOf(this.w, bytesOf(bytes, 'bytes'))
  }

  requestSigningInput(fields: T.RequestFields): Bytes {
    return this.w.out(writeMessage(this.w, 'request', fields))
  }

  responseSigningInput(fields: T.ResponseFields): Bytes {
    return this.w.out(writeMessage(this.w, 'response', fields))
  }

  enrollSigningInput(fields: T.EnrollFields): Bytes {
    return this.w.out(writeMessage(this.w, 'enroll', fields))
  }

  rotateSigningInput(fields: T.RotateFields): Bytes {
    return this.w.out(writeMessage(this.w, 'rotate', fields))
  }

  beginRequest(fields: T.RequestFields): { requestId: string; signingInput: Bytes } {
    return beginRequest(this.w, fields)
  }

  buildFrame(parts: { signingInput: BytesLike; keyId: string; signature: BytesLike; payload?: BytesLike }): Bytes {
    return buildFrame(this.w, parts)
  }

  openEnvelope(
    envelope: BytesLike,
    payloadHash: BytesLike,
    options: T.OpenOptions
  ): { resultCode: string; timestampMs: number } {
    return openEnvelope(this.w, bytesOf(envelope, 'envelope'), payloadHash, options)
  }

  verifyEd25519(publicKey: BytesLike, message: BytesLike, signature: BytesLike): boolean {
    const { w } = this
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
    this.w.begin().put(key)
    return this.w.call.is_acceptable_ed25519_key() === 1
  }

  createClock(): T.CoreClock {
    return new Clock(this.w)
  }
}

/** loadClientCore is loadCore for the part that a client needs; the whole core's file serves it as well. */
export async function loadClientCore(source?: WasmSource | Promise<WasmSource>): Promise<ClientCore> {
  return new ClientCore(await loadWasm(clientSource, source))
}
