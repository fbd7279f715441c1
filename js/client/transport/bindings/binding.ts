// SPDX-License-Identifier: MIT

import type { Bytes } from '../../../common/types.ts'
import type { ClientCore } from '../../../core/client-core.ts'

/** A request with its signature, before a binding gives it its form in HTTP. */
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

/** An answer taken apart; nothing of it has been verified. */
export type RawAnswer = {
  readonly envelope: Bytes
  readonly payload: Bytes
  /** The binding names no key, so every trusted one is tried. */
  readonly anyKey?: boolean
}

/** One form of request and answer in HTTP (R31 to R45). */
export interface HttpBinding {
  /** write gives what fetch takes. */
  write(core: ClientCore, request: SignedRequest): { url: string; init: RequestInit }
  /** read takes an answer apart, `receive` reading its body up to a cap; rejects with ERR_UNSIGNED_ANSWER or a malformed error. */
  read(core: ClientCore, response: Response, receive: (cap: number) => Promise<Bytes>): Promise<RawAnswer>
  /** Whether an application's signed result code, none of `cs.`, fits this binding and the answer's status. */
  isResult(resultCode: string, status: number): boolean
}

/** Codes made by the header binding (R32), which an application's own answer never carries. */
export function isApplicationResult(resultCode: string): boolean {
  return !resultCode.startsWith('http.')
}
