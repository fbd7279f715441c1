// SPDX-License-Identifier: MIT
// The types of the knock profile.

import type { BytesLike } from '../../common/types.ts'

/** The version of a packet. Versions 1 and 2 are one RSA block; 3 and 4 are a body under AES-256-GCM. */
export type KnockVersion = 1 | 2 | 3 | 4

/** The fields of a knock. */
export type KnockFields = {
  /** Default: 1. */
  version?: KnockVersion
  /** Unix seconds of the daemon's clock. `knockTime(client)` returns the server's. */
  timestamp: number
  /** 0 to 65535. */
  userId: number
  /** 0 to 255. */
  actionId: number
  /** 32 random bits, which the reply echoes. */
  challenge: number
  /** At most 199 bytes, 191 in version 2. Text is encoded as UTF-8. Default: empty. */
  payload?: BytesLike | string
}

/** A knock parsed from a packet. */
export type Knock = {
  version: KnockVersion
  timestamp: number
  userId: number
  actionId: number
  challenge: number
  payload: Uint8Array<ArrayBuffer>
}

/** The failed check of a refused packet: form, payload length, tag or time. */
export type KnockReason = 'malformed' | 'payload_len' | 'hmac' | 'timestamp'

export type KnockVerdict = { ok: true; knock: Knock } | { ok: false; reason: KnockReason }

/** A reply of the daemon. */
export type KnockReply = {
  /** 1 when the action was done, 2 when it failed. */
  status: number
  action: number
  /** Whether the daemon cut the text. */
  truncated: boolean
  text: string
}
