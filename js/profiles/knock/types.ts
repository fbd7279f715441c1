// SPDX-License-Identifier: MIT
// The shapes of the knock profile. Types only.

import type { BytesLike } from '../../common/types.ts'

/** A packet's version: 1 and 2 are one RSA block, 3 and 4 a body under AES-256-GCM. */
export type KnockVersion = 1 | 2 | 3 | 4

/** What a knock says. */
export type KnockFields = {
  /** 1 unless told. */
  version?: KnockVersion
  /** Unix seconds, of the daemon's clock: `knockTime(client)` gives the server's. */
  timestamp: number
  /** 0 to 65535. */
  userId: number
  /** 0 to 255. */
  actionId: number
  /** 32 random bits; the reply echoes them. */
  challenge: number
  /** At most 199 bytes, 191 in version 2; text as UTF-8; empty unless told. */
  payload?: BytesLike | string
}

/** A knock read from a packet. */
export type Knock = {
  version: KnockVersion
  timestamp: number
  userId: number
  actionId: number
  challenge: number
  payload: Uint8Array<ArrayBuffer>
}

/** Why a packet is refused: its form, its payload's length, its tag, or its time. */
export type KnockReason = 'malformed' | 'payload_len' | 'hmac' | 'timestamp'

export type KnockVerdict = { ok: true; knock: Knock } | { ok: false; reason: KnockReason }

/** A reply of the daemon. */
export type KnockReply = {
  /** 1 where the action was done, 2 where it failed. */
  status: number
  action: number
  /** Whether the text was cut. */
  truncated: boolean
  text: string
}
