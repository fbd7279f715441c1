// SPDX-License-Identifier: MIT
// What a call resolves to: the application's verified answer, and its payload read as text or as JSON.

import { CountersignError } from '../common/errors.ts'
import { parseJson } from '../common/text.ts'
import type { Bytes } from '../common/types.ts'
import type { Answer, Timings } from './transport/types.ts'

/** A verified answer to a frame that `sign` made. */
export class Opened {
  /** The application's result code. */
  declare readonly resultCode: string
  /** The verified bytes. */
  declare readonly payload: Bytes
  declare readonly requestId: string
  /** The server's time when it answered, in Unix milliseconds. */
  declare readonly serverTimeMs: number

  /**
   * Takes the parts of a verified answer.
   * @throws ERR_UNKNOWN_TYPE when the server has no handler for the type.
   */
  constructor(parts: Pick<Answer, 'resultCode' | 'payload' | 'requestId' | 'serverTimeMs'>) {
    const { resultCode } = parts
    if (resultCode === 'unknown_type') throw new CountersignError('ERR_UNKNOWN_TYPE', { resultCode })
    Object.assign(this, parts)
  }

  /** True for the result code `ok`. Every other code is the application's own. */
  get ok(): boolean {
    return this.resultCode === 'ok'
  }

  /** The verified bytes, as `payload`. */
  get bytes(): Bytes {
    return this.payload
  }

  /** Returns the payload as text, read as UTF-8. What is no UTF-8 becomes U+FFFD. */
  text(): string {
    return new TextDecoder().decode(this.payload)
  }

  /**
   * Returns the payload as a JSON value.
   * @throws ERR_BAD_JSON when the payload is no JSON.
   */
  json<Value = unknown>(): Value {
    try {
      return parseJson(this.payload) as Value
    } catch (cause) {
      throw new CountersignError('ERR_BAD_JSON', { cause })
    }
  }
}

/** A verified answer of the application. */
export class Reply extends Opened {
  /** The headers of the HTTP answer, those of the handler among them, by their names in lower case. Nobody signs them. */
  declare readonly headers: Answer['headers']
  declare readonly timings: Timings
}
