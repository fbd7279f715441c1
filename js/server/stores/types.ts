// SPDX-License-Identifier: MIT
// The stores an application may replace, and what they keep. conformance/ says as tests what they have to do.

import type { Algorithm, ReserveVerdict } from '../../common/types.ts'

/** A registered device key (PROTOCOL.md, R88). Times are Unix milliseconds. */
export type SessionRecord = {
  /** 22 base64url characters; a compatible label takes any text. */
  id: string
  userId: string
  /** The registered key's algorithm: the only one its signatures are judged by. */
  algorithm: Algorithm
  /** 32 bytes of Ed25519, or the 65 of an uncompressed P-256 point. */
  publicKey: Uint8Array
  status: 'active' | 'revoked'
  createdMs: number
  lastSeenMs: number
  revokedMs?: number
  revokedReason?: string
  /** What the user calls this device; absent until named. */
  name?: string
  /** The key before the last rotation, which for a while still verifies what was stamped before `replacedMs`. */
  previous?: { algorithm: Algorithm; publicKey: Uint8Array; replacedMs: number }
}

/**
 * SessionStore keeps sessions. Every promise resolves only when its change would survive the death of the process, as far
 * as the store keeps anything at all; a rejected promise makes the gateway refuse with `cs.unavailable`.
 */
export interface SessionStore {
  /** Whether sessions live no longer than this process: none of them can have outlived a replay store then. */
  readonly volatile?: boolean
  get(id: string): Promise<SessionRecord | null>
  /** Reads past what is kept in front of the store for a moment. Absent: `get` always does. */
  reread?(id: string): Promise<SessionRecord | null>
  /** Resolves to false, and changes nothing, where the id is taken. */
  create(session: SessionRecord): Promise<boolean>
  /** Resolves to whether the session exists; the first reason and time are kept. */
  revoke(id: string, reason: string, atMs?: number): Promise<boolean>
  /** Every session of a user, revoked ones too. */
  listByUser(userId: string): Promise<SessionRecord[]>
  /**
   * Compare-and-set of the key: resolves to false where `expectedKey` is not the present one or the session is revoked. With
   * `atMs` the present key becomes `previous`, replaced at that time.
   */
  replaceKey(
    id: string,
    expectedKey: Uint8Array,
    next: { algorithm: Algorithm; publicKey: Uint8Array; atMs?: number }
  ): Promise<boolean>
  /** Names a device; resolves to whether the session exists. */
  rename?(id: string, name: string): Promise<boolean>
  /**
   * Tells changes of sessions (revoked, key replaced) made by any process, within a second where the store can: the id, or
   * undefined where any may have changed. Absent: the gateway looks again by itself. Gives the function that ends it.
   */
  watch?(listener: (id: string | undefined) => void): () => void
  /** Notes when a session was last seen; never moves back. */
  touch(id: string, ms: number): Promise<void>
  /** Whether no session exists: a replay store that may have forgotten ids needs no fence then. Absent counts as false. */
  isEmpty?(): Promise<boolean>
}

/** ReplayStore reserves request ids (PROTOCOL.md, R58 to R64): bounded, never evicting a live id. */
export interface ReplayStore {
  /**
   * Takes the id `key32`, dated `timestampMs`, until `expiresMs` at least, in one atomic step. `session` names whose quota
   * it counts against; a rejected promise means it was perhaps taken and perhaps not.
   */
  reserve(
    key32: Uint8Array,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    session?: string
  ): Promise<ReserveVerdict>
  /** The time at or under which nothing new is reserved (Unix milliseconds). */
  floorMs?(): number
  /** The part of the floor that outlived the last process; a gateway's clock starts there at least. Absent counts as 0. */
  storedFloorMs?(): number
  /** Whether ids accepted before this store was opened may be unknown to it: the gateway then asks for a fence. */
  readonly mayHaveForgotten?: boolean
  /**
   * Whether gateways on other machines use it: what was accepted there may have been lost together with all sessions, and
   * those may come back. A store of one machine that holds no session has none to protect.
   */
  readonly isShared?: boolean
  /** Raises the floor, for good, to `floorMs` and ends `mayHaveForgotten`. */
  fence?(floorMs: number): Promise<void>
  /** Live ids, for metrics. */
  size?(): number
  close(): Promise<void> | void
}

/** A challenge of the enrolment (PROTOCOL.md, R82 to R86). */
export type Challenge = {
  /** 22 base64url characters. */
  id: string
  /** The e-mail exactly as it was sent, or the user id of an application with its own login. */
  email: string
  /** Where the challenge was confirmed by a code; absent where the application vouches for the user. */
  codeHash?: Uint8Array
  createdMs: number
  expiresMs: number
}

/** A bound on events: at most `limit` within any `windowMs`. */
export type Allowance = { limit: number; windowMs: number; nowMs: number }

/** CodeStore keeps challenges and the counters that bound guessing and mail; every step is atomic. */
export interface CodeStore {
  /** Resolves to false where the store is full. */
  create(challenge: Challenge): Promise<boolean>
  /** Resolves to null for an unknown or expired challenge. */
  get(id: string, nowMs: number): Promise<Challenge | null>
  /** Takes one event of `key`: resolves to 0 where it was taken, to the milliseconds until one is free otherwise. */
  take(key: string, allowance: Allowance): Promise<number>
  /** Gives the latest event of `key` back. */
  giveBack(key: string): Promise<void>
  /**
   * Binds a challenge to one key. Resolves to the session id it is bound to: `sessionId` the first time, the earlier one
   * for the same `binding` again; null for another binding, or where the challenge is gone.
   */
  redeem(id: string, binding: string, sessionId: string, nowMs: number): Promise<string | null>
  close(): Promise<void> | void
}

/** An event as a store keeps it; it is signed when it is sent. */
export type StoredEvent = { sequence: number; type: string; payload: Uint8Array }

/** A part of a session's events, and where its stream stands. */
export type EventPage = {
  /** 22 base64url characters, another value where the buffer was lost. */
  stream: string
  /** The number the next event will get; the first is 1. */
  next: number
  /** The number of the oldest event kept; `next` where none is. */
  oldest: number
  events: StoredEvent[]
}

/** EventStore numbers and buffers events per session, a bounded number of the latest ones (PROTOCOL.md, section 10). */
export interface EventStore {
  /** Allocates the next number and keeps the event, in one atomic step; the oldest ones make room. */
  append(sessionId: string, event: { type: string; payload: Uint8Array }): Promise<{ stream: string; sequence: number }>
  /** Events after number `after`, `limit` at most, in order; a session without a stream gets one. */
  read(sessionId: string, after: number, limit: number): Promise<EventPage>
  /** Forgets a session's stream. */
  drop(sessionId: string): Promise<void>
  /** Tells appends made by any process: the session's id, or undefined where any may have one. Gives the function that ends it. */
  watch(listener: (sessionId: string | undefined) => void): () => void
  close(): Promise<void> | void
}

/** A handler's answer as a store keeps it: signed anew for each request that asks for it. */
export type KeptAnswer = { resultCode: string; status: number; contentType: string; payload: Uint8Array }

/** What a request with an idempotency key wants to do. */
export type AnswerClaim = {
  /** 32 bytes that name user, route and idempotency key. */
  key32: Uint8Array
  /** 32 bytes that name what is asked: the same key with another one is a conflict. */
  fingerprint32: Uint8Array
  /** 22 base64url characters that name this claim alone. */
  token: string
  /** The user whose quota it counts against. */
  owner: string
  /** For how long others are told to wait: the longest a handler may take. */
  holdMs: number
  /** For how long the key is remembered, counted from the claim, and anew from its end. */
  keepMs: number
  /** The gateway's clock; a store with a clock of its own may go by that. */
  nowMs: number
  /** Whether a claim whose hold ended without a word may be taken over: the application says its handler may run again. */
  repeatable: boolean
}

/**
 * What a claim came to. `claimed`: the caller, and nobody else, runs the handler. `held`: another claim is at work.
 * `kept`: it was done, with this answer. `unknown`: it was begun, and nobody can say how it ended. `conflict`: the key
 * belongs to another request. `full`: nothing was taken.
 */
export type AnswerVerdict =
  | { state: 'claimed' | 'unknown' | 'conflict' | 'full' }
  | { state: 'held'; retryAfterMs: number }
  | { state: 'kept'; answer: KeptAnswer }

/**
 * AnswerStore keeps what became of requests with an idempotency key (PROTOCOL.md, R130 to R132): bounded, and never
 * forgetting a key before its time, which would let it run twice. A process that dies between claim and finish leaves a
 * claim: `held` until its hold ends, then `unknown` until `keepMs` are over, unless a `repeatable` claim takes it over. A
 * fingerprint is compared before anything else, a key past its time is as good as none, and every step is atomic and on
 * disk before it resolves, as far as the store keeps anything at all.
 */
export interface AnswerStore {
  /** Takes the key, or says why not; rejected, it was perhaps taken and perhaps not. */
  claim(claim: AnswerClaim): Promise<AnswerVerdict>
  /**
   * Ends a claim with its answer; null says that it is over and that its outcome cannot be told (`unknown` at once).
   * Resolves to false, and changes nothing, where the claim is not `token`'s any more. A hold that has ended is no reason.
   */
  finish(
    key32: Uint8Array,
    token: string,
    answer: KeptAnswer | null,
    times: { keepMs: number; nowMs: number }
  ): Promise<boolean>
  /** Ends a claim as if it had never been made: its handler has had no effect. Resolves to whether it was `token`'s. */
  release(key32: Uint8Array, token: string): Promise<boolean>
  /** Keys that are remembered, for metrics. */
  size?(): number
  close(): Promise<void> | void
}
