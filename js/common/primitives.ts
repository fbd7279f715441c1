// SPDX-License-Identifier: MIT
// The types that every other one is made of. This file has types only.

/** Bytes that this package returns: always a fresh copy in an ordinary ArrayBuffer. */
export type Bytes = Uint8Array<ArrayBuffer>

/** Bytes that this package accepts. A call copies them once, before it does anything else (PROTOCOL.md, "Buffers"). */
export type BytesLike = ArrayBuffer | ArrayBufferView

/** The algorithms of client keys. The registered key decides; a message never names an algorithm. */
export type Algorithm = 'ed25519' | 'es256'

/** The checks of a message. Errors, logs, metrics, the demo's lights and the tests all use these names. */
export type Stage =
  | 'parse'
  | 'version'
  | 'session'
  | 'signature'
  | 'freshness'
  | 'replay'
  | 'payload_hash'
  | 'rate'
  | 'handler'
  | 'request_id'
  | 'sequence'
