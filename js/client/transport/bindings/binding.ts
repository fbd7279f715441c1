// SPDX-License-Identifier: MIT
// The interface of the HTTP bindings.

import type { Bytes } from '../../../common/types.ts'
import type { ClientCore } from '../../../core/client-core.ts'

/** A signed request, before a binding gives it its form in HTTP. */
export type SignedRequest = {
  readonly deviceSessionId: string
  readonly messageType: string
  readonly timestampMs: number
  readonly requestId: string
  readonly payload: Bytes
  readonly payloadHash: Bytes
  readonly signingInput: Bytes
  readonly signature: Bytes
}

/** The parts of an answer. Nothing of it is verified. */
export type RawAnswer = {
  readonly envelope: Bytes
  readonly payload: Bytes
  /** True when the binding names no key, so that the client tries every trusted one. */
  readonly anyKey?: boolean
}

/** One form of requests and answers in HTTP (R31 to R45). */
export interface HttpBinding {
  /** Returns the arguments of fetch. */
  write(core: ClientCore, request: SignedRequest): { url: string; init: RequestInit }
  /**
   * Parses an answer and returns its parts. `receive` reads its body up to a cap, in bytes. Rejects with
   * ERR_UNSIGNED_ANSWER or a malformed error.
   */
  read(core: ClientCore, response: Response, receive: (cap: number) => Promise<Bytes>): Promise<RawAnswer>
  /** Returns whether the application's signed result code fits this binding and the answer's status. */
  isResult(resultCode: string, status: number): boolean
}

/** Returns whether an application may use a result code. The header binding alone makes `http.` codes (R32). */
export function isApplicationResult(resultCode: string): boolean {
  return !resultCode.startsWith('http.')
}
