// SPDX-License-Identifier: MIT
// What a client keeps on its device, and the stores that keep it. This file has types only.

import type { CryptoKey } from './platform-types.ts'
import type { Algorithm, Bytes } from './primitives.ts'

/** Signs without showing its key. It serves Node and native shells, which cannot write a CryptoKey to disk. */
export interface Signer {
  /** Returns the 64-byte signature of the bytes. */
  sign(bytes: Bytes): Promise<Uint8Array>
}

/**
 * A set of server keys that the server has delivered: the signed frame of an answer, and the request that it answers.
 */
export type KeySet = { frame: Uint8Array; requestId: string; timestampMs: number }

/** The record that a key store keeps under one name. */
export type Stored = {
  key: CryptoKey | Signer
  publicKey: Uint8Array
  algorithm: Algorithm
  /** The id of the enrolled session; absent before the enrolment. */
  sessionId?: string
  /** True for the session of a guest, whom nobody has identified. */
  guest?: true
  /** True when the server has said, in a signed answer, that this session is over. */
  revoked?: boolean
  /**
   * The time of the last request for the server's keys, and the set that the server delivered (R126). `askedMs` is in
   * Unix milliseconds of the server.
   */
  serverKeys?: { askedMs: number; set?: KeySet }
  /** The latest verified time of the server, in Unix milliseconds (PROTOCOL.md, "time floor"). */
  timeFloorMs?: number
  /** The last verified offset: server time minus wall clock, in milliseconds. */
  clock?: { offsetMs: number; errorMs: number; wallMs: number }
  /** The public key's JWK thumbprint (RFC 7638). The record holds it beside the session of the key. */
  thumbprint?: string
  /** The better key levels that failed when this key was made, each with its error's code. */
  skipped?: { readonly [level: string]: string }
  /** A key that is about to replace this one. The server has one of the two. */
  next?: Pick<Stored, 'key' | 'publicKey' | 'algorithm' | 'thumbprint' | 'skipped'> & {
    /** The server's time when it still had the old key for the first time, in Unix milliseconds. */
    heldMs?: number
  }
}

/** Stores the device key. `lock` runs the work on one name one after another, across tabs where the platform can. */
export interface KeyStore {
  /** Resolves to the record, or to null when there is none. */
  get(name: string): Promise<Stored | null>
  /** Adds a record. Resolves to false, and changes nothing, when the name is taken. */
  add(name: string, stored: Stored): Promise<boolean>
  /** Writes a record over the one that is there. */
  put(name: string, stored: Stored): Promise<void>
  /** Deletes the record, when there is one. */
  delete(name: string): Promise<void>
  /** Runs work on a name while no other work holds its lock. Resolves as the work does. */
  lock<T>(name: string, work: () => Promise<T>): Promise<T>
  /**
   * Tells records of one name apart. Clients over stores of one scope notify each other of changes. Default: the whole
   * origin.
   */
  readonly scope?: string
}
