// SPDX-License-Identifier: MIT
// The stores that an application may replace, and the records that they keep. The tests in conformance/ state their
// duties. Each step that decides something is one atomic step of the store (R135).

import type { Algorithm, ReserveVerdict } from '../../common/types.ts'

/** A registered device key, with its session (R88). Times are Unix milliseconds. */
export type SessionRecord = {
  /** 22 base64url characters. With a compatible label, any text. */
  id: string
  userId: string
  /** The algorithm of the registered key. Its signatures are verified by this one only. */
  algorithm: Algorithm
  /** 32 bytes for Ed25519, or an uncompressed P-256 point of 65 bytes. */
  publicKey: Uint8Array
  status: 'active' | 'revoked'
  createdMs: number
  lastSeenMs: number
  revokedMs?: number
  revokedReason?: string
  /** The name that the user gave this device. Absent until it has one. */
  name?: string
  /**
   * A keyed hash of the source that enrolled the device. Absent for an application with its own login. It begins with
   * `opaque/` for a guest whose page has no origin of its own.
   */
  source?: string
  /** The key before the last rotation. For a while it still verifies requests that were stamped before `replacedMs`. */
  previous?: { algorithm: Algorithm; publicKey: Uint8Array; replacedMs: number }
  /** All keys that the session had before, the latest last, in base64url. Absent before the first rotation. */
  replacedKeys?: readonly string[]
}

/**
 * What `prune` ends and removes, in Unix milliseconds, and the number of sessions that it looks at. `guestIdleBeforeMs` is
 * for sessions whose user id begins with `guest:`. Default: `idleBeforeMs`.
 */
export type PruneBounds = {
  idleBeforeMs: number
  guestIdleBeforeMs?: number
  revokedBeforeMs: number
  nowMs: number
  limit: number
}

/** The conditions of a new session. The same atomic step checks all of them. */
export type CreateLimits = {
  /** The most active sessions of the user, this one included. */
  maxLive?: number
  /** The most active sessions of guests, this one included, and without those of `maxOpaqueGuests`. */
  maxGuests?: number
  /**
   * In place of `maxGuests`, for a guest whose page has no origin of its own: the most active sessions of such guests,
   * this one included. They do not count for `maxGuests`.
   */
  maxOpaqueGuests?: number
  /** The session that the new one takes the place of: it is revoked, for this reason. */
  ends?: { id: string; reason: string }
}

/**
 * Keeps sessions. A promise resolves only when its change would survive the death of the process, unless the store is
 * `volatile`. When a promise rejects, the gateway refuses the request with `cs.unavailable`.
 */
export interface SessionStore {
  /** Whether sessions are lost when the process ends. No session can then be older than the replay store. */
  readonly volatile?: boolean
  get(id: string): Promise<SessionRecord | null>
  /** Reads the record itself, past any cache in front of it. Absent: `get` always does. */
  reread?(id: string): Promise<SessionRecord | null>
  /**
   * Whether the store knows `maxGuests`, `maxOpaqueGuests`, `ends` and `guestIdleBeforeMs`. There are no guests elsewhere.
   * Default: false.
   */
  readonly guests?: boolean
  /**
   * Creates a session. Resolves to false, and changes nothing, when the id is taken. With `maxLive`, the same atomic step
   * revokes the user's least recently seen sessions until at most so many are active, this one included. The reason is
   * `replaced`, the time `createdMs`. It then resolves to the ids of the sessions that it revoked, and otherwise to true.
   * Resolves to `gone`, and changes nothing, when the session of `ends` is not active; and to `full` when it would be one
   * guest too many.
   */
  create(session: SessionRecord, limits?: CreateLimits): Promise<boolean | string[] | 'gone' | 'full'>
  /** Revokes a session. Resolves to whether the session exists. The first reason and time are kept. */
  revoke(id: string, reason: string, atMs?: number): Promise<boolean>
  /** Resolves to all sessions of a user, revoked ones too. */
  listByUser(userId: string): Promise<SessionRecord[]>
  /**
   * Replaces a key by compare-and-set, and adds the present key to `replacedKeys`. Resolves to false, and changes
   * nothing, when `expectedKey` is not the present key, the session is revoked, it has or had the next key, or it had
   * 64 keys replaced. With `atMs` the present key becomes `previous`, replaced at that time.
   */
  replaceKey(
    id: string,
    expectedKey: Uint8Array,
    next: { algorithm: Algorithm; publicKey: Uint8Array; atMs?: number }
  ): Promise<boolean>
  /** Names a device. Resolves to whether the session exists. */
  rename?(id: string, name: string): Promise<boolean>
  /**
   * Reports sessions that any process revoked or gave another key, within a second when the store can. The listener
   * gets the id, or undefined when any session may have changed. Returns the function that ends the watch. Absent:
   * the gateway reads the sessions again from time to time.
   */
  watch?(listener: (id: string | undefined) => void): () => void
  /** Notes when a session was last seen. The time never moves back. */
  touch(id: string, ms: number): Promise<void>
  /**
   * Looks at about `limit` sessions, and goes on from there at the next call (R144). Revokes those that were last seen
   * before `idleBeforeMs`: the reason is `idle`, the time `nowMs`. Removes those that were revoked before
   * `revokedBeforeMs`, and resolves to their ids. Default: sessions stay for ever.
   */
  prune?(bounds: PruneBounds): Promise<string[]>
  /** Removes all sessions of a user in one atomic step, and reports them to `watch`. Resolves to their ids. */
  forgetUser?(userId: string): Promise<string[]>
  /** Resolves to whether there is no session. A replay store that may have lost ids needs no fence then. Default: false. */
  isEmpty?(): Promise<boolean>
}

/** A part of a store's capacity: all ids and session floors that name it hold 1/`part` of the capacity at most. */
export type ReplayShare = { readonly name: string; readonly part: number }

/** A request that a full quota or a rate refuses. `isReserved`: the caller has reserved its id. */
export type LimitedRequest = {
  key32: Uint8Array
  timestampMs: number
  expiresMs: number
  nowMs: number
  session: string
  isReserved: boolean
  shares?: readonly ReplayShare[] | undefined
}

/** A span of time in Unix milliseconds, both ends included. */
export type TimeSpan = { readonly fromMs: number; readonly toMs: number }

/** The time that the gateways of one store share (R147). Times are Unix milliseconds. */
export type SharedTime = {
  /** The greatest reading of a gateway's clock that was noted. 0 when there is none. */
  readingMs: number
  /** That reading, and the time that has passed since then by the system's clock, or by a clock of the store's own. */
  nowMs: number
  /** Counts how often the clock was brought back. */
  era: number
  /** The times that readings went through: at most 8 spans, in order, with more than an hour between two. */
  runs: readonly TimeSpan[]
  /** The spans that are burnt for ever: at most 8, in order (R148). */
  burnt: readonly TimeSpan[]
  /** The sessions of the requests that were dated ahead and refused, each with its latest such time (R63). */
  ahead: { readonly [sessionId: string]: number }
}

/** A state that a person should mend. `clock_ahead`: the gateways' clock is ahead of the system's, and stays so. */
export type GatewayWarning = {
  readonly code: 'clock_ahead'
  /** One line for operators. */
  readonly message: string
  /** The gateway's clock minus the system's, in milliseconds. */
  readonly aheadMs: number
}

/** The changes that bring the clock back (R148). */
export type ClockReturn = {
  /** The `readingMs` and `era` for which they were computed. */
  expected: { readingMs: number; era: number }
  /** The new reading of the clock, and the system's time, in Unix milliseconds. */
  nowMs: number
  systemMs: number
  /** The new floor of the ids. */
  fenceMs: number
  burnt: readonly TimeSpan[]
}

/** A reading of a gateway's clock and of its system's, with what its gateway knows of the shared time. */
export type ClockReading = {
  nowMs: number
  systemMs: number
  sinceMs: number
  era: number
  burnt: readonly TimeSpan[]
}

/** Keeps the time that the gateways of one store share, so that a restarted one keeps step with the others. */
export interface SharedClock {
  /** Resolves to the shared time. `systemMs` is the caller's system time in Unix milliseconds. */
  read(systemMs: number): Promise<SharedTime>
  /**
   * Notes a reading in one atomic step, when it is greater than the last one. `sinceMs` is the earliest time that the
   * clock may have read since the note before. Resolves to the shared time. Its `era` is a later one, and nothing is
   * noted, when the clock was brought back meanwhile. A store that lost its record takes `era` and `burnt` from the caller.
   */
  note(reading: ClockReading): Promise<SharedTime>
  /**
   * Notes that a request of a session was dated ahead, before its id is used up (R63). Resolves to false, and notes
   * nothing, when it holds 1024 sessions: the session has to end then.
   */
  noteAhead(sessionId: string, timestampMs: number): Promise<boolean>
  /** Returns whether a time lies in a burnt span, as of the last step of this object. */
  isBurnt(ms: number): boolean
  /**
   * Brings the clock back, and forgets whatever lies ahead: ids, challenges, counters, times of sessions. Resolves to
   * false, and changes nothing that counts, when the shared time is not the expected one any more.
   */
  bringBack(change: ClockReturn): Promise<boolean>
}

/** Reserves each request id once (R58 to R64). A store is bounded, and never evicts an id that is still live. */
export interface ReplayStore {
  /** Whether the store knows `shares`. A gateway that takes guests needs that. Default: false. */
  readonly shares?: boolean
  /**
   * Reserves the id `key32`, dated `timestampMs`, at least until `expiresMs`, in one atomic step. The id counts
   * against the quota of `session` and against `shares`. When the promise rejects, the id may or may not be reserved.
   */
  reserve(
    key32: Uint8Array,
    timestampMs: number,
    expiresMs: number,
    nowMs: number,
    session?: string,
    shares?: readonly ReplayShare[]
  ): Promise<ReserveVerdict>
  /**
   * Refuses a request for good without keeping its id (R142). In one atomic step it forgets an id that the caller has
   * reserved, and raises the floor of the id's session to `timestampMs`. That floor is kept until `expiresMs`. From then
   * on, `reserve` answers `limited` to ids of the session at or before its floor. Resolves to the same, to `used` for an
   * id that another request has reserved, or to `full` without room for a floor; both change nothing. Default: an id
   * that a rate refuses stays used, and a full quota is `cs.unavailable`.
   */
  limit?(request: LimitedRequest): Promise<ReserveVerdict>
  /** Returns the floor in Unix milliseconds: an id dated at or before it is not reserved. */
  floorMs?(): number
  /** Returns the part of the floor that outlived the last process. A gateway's clock starts there at least. Default: 0. */
  storedFloorMs?(): number
  /** Whether the store may lack ids that were accepted before it was opened. The gateway then sets a fence. */
  readonly mayHaveForgotten?: boolean
  /**
   * Whether gateways on other machines use the store. Ids accepted there may be lost together with all sessions, and
   * those sessions may come back. A store of one machine without a session has no session to protect.
   */
  readonly isShared?: boolean
  /** Raises the floor to `floorMs` for good, and ends `mayHaveForgotten`. */
  fence?(floorMs: number): Promise<void>
  /**
   * The time that the store's gateways share. The store reserves no id that is dated in a burnt span (R148). Absent: a
   * gateway's clock starts at the system's time, or at the stored floor.
   */
  readonly clock?: SharedClock
  /** Returns the number of live ids and session floors, for metrics. */
  size?(): number
  close(): Promise<void> | void
}

/** A challenge of the enrolment (R82 to R86). */
export type Challenge = {
  /** 22 base64url characters. */
  id: string
  /** The e-mail address exactly as it was sent, or the user id of an application with its own login. */
  email: string
  /** The hash of the code that confirms the challenge. Absent when the application vouches for the user. */
  codeHash?: Uint8Array
  /** Whether a page without an origin of its own asked for it. Default: false. */
  isOpaque?: true
  createdMs: number
  expiresMs: number
}

/** A bound on events: at most `limit` within any `windowMs` milliseconds. With `isProbe`, nothing is taken. */
export type Allowance = { limit: number; windowMs: number; nowMs: number; isProbe?: boolean }

/** Keeps the challenges of the enrolment, and the counters that bound guesses and mail. Every step is atomic. */
export interface CodeStore {
  /** Whether the records are lost when the process ends, and no other process has them. Default: false. */
  readonly volatile?: boolean
  /** Creates a challenge. Resolves to false when the store is full. */
  create(challenge: Challenge): Promise<boolean>
  /** Resolves to a challenge, or to null when it is unknown or expired. */
  get(id: string, nowMs: number): Promise<Challenge | null>
  /**
   * Takes one event of `key`. Resolves to 0 when it was taken, otherwise to the milliseconds until one is free. A probe
   * resolves to the same and takes none.
   */
  take(key: string, allowance: Allowance): Promise<number>
  /** Gives the latest event of `key` back. A counter without events leaves no trace in the store. */
  giveBack(key: string): Promise<void>
  /**
   * Binds a challenge to one key. Resolves to the id of the session it is bound to: `sessionId` at first, and the
   * earlier id when the same `binding` comes again. Resolves to null for another binding, and when the challenge is
   * gone.
   */
  redeem(id: string, binding: string, sessionId: string, nowMs: number): Promise<string | null>
  close(): Promise<void> | void
}

/** An event as a store keeps it. It is signed when it is sent. */
export type StoredEvent = { sequence: number; type: string; payload: Uint8Array }

/** A part of a session's events, and the state of its stream. */
export type EventPage = {
  /** 22 base64url characters. The value changes when the stream's events are lost. */
  stream: string
  /** The number that the next event will get. The first is 1. */
  next: number
  /** The number of the oldest event that is kept. It is `next` when there is none. */
  oldest: number
  events: StoredEvent[]
}

/** Numbers the events of each session, and keeps a bounded number of the latest ones (PROTOCOL.md, section 10). */
export interface EventStore {
  /** Gives an event the next number and keeps it, in one atomic step. The oldest events make room. */
  append(sessionId: string, event: { type: string; payload: Uint8Array }): Promise<{ stream: string; sequence: number }>
  /** Resolves to at most `limit` events after number `after`, in order. A session without a stream gets one. */
  read(sessionId: string, after: number, limit: number): Promise<EventPage>
  /** Forgets a session's stream. */
  drop(sessionId: string): Promise<void>
  /**
   * Reports appends by any process. The listener gets the session's id, or undefined when any session may have a new
   * event. Returns the function that ends the watch.
   */
  watch(listener: (sessionId: string | undefined) => void): () => void
  close(): Promise<void> | void
}

/** A handler's answer as a store keeps it. It is signed anew for each request that asks for it. */
export type KeptAnswer = {
  resultCode: string
  status: number
  contentType: string
  payload: Uint8Array
  /** The handler's own headers. Absent where it gave none, or a gateway of an earlier version kept the answer. */
  headers?: { readonly [name: string]: string }
}

/** A request with an idempotency key that wants to run its handler. */
export type AnswerClaim = {
  /** 32 bytes that name user, route and idempotency key. */
  key32: Uint8Array
  /** 32 bytes that name the request. The same key with another fingerprint is a conflict. */
  fingerprint32: Uint8Array
  /** 22 base64url characters that name this claim alone. */
  token: string
  /** The user whose quota it counts against. */
  owner: string
  /** The longest that a handler may take, in milliseconds. Other requests with the key wait for that long. */
  holdMs: number
  /** How long the key is remembered after the claim, and again after its end, in milliseconds. */
  keepMs: number
  /** The time of the gateway's clock. A store with a clock of its own may use that instead. */
  nowMs: number
  /** Whether the handler may run again. Such a claim takes over one whose hold ended without an answer. */
  repeatable: boolean
}

/**
 * The state of a claim. `claimed`: this caller alone runs the handler. `held`: another claim is at work. `kept`: the
 * handler has run, with this answer. `unknown`: it has begun, and its outcome is not known. `conflict`: the key
 * belongs to another request. `full`: the store has no room, and has kept nothing.
 */
export type AnswerVerdict =
  | { state: 'claimed' | 'unknown' | 'conflict' | 'full' }
  | { state: 'held'; retryAfterMs: number }
  | { state: 'kept'; answer: KeptAnswer }

/**
 * Keeps the outcome of requests with an idempotency key, so that each runs once (R130 to R132). A store is bounded.
 * It never forgets a key before its time, because the handler would then run twice.
 *
 * A process that dies between `claim` and `finish` leaves a claim. It is `held` until its hold ends, and then
 * `unknown` until `keepMs` are over, unless a `repeatable` claim takes it over.
 *
 * The fingerprint is compared before anything else. A key past its time counts as absent. Every step is atomic, and
 * on disk before its promise resolves when the store has a disk.
 */
export interface AnswerStore {
  /** Claims a key, or says why not. When the promise rejects, the key may or may not be claimed. */
  claim(claim: AnswerClaim): Promise<AnswerVerdict>
  /**
   * Ends a claim with its answer, also after its hold has ended. With null the outcome is not known, and the claim is
   * `unknown` at once. Resolves to false, and changes nothing, when the claim no longer belongs to `token`.
   */
  finish(
    key32: Uint8Array,
    token: string,
    answer: KeptAnswer | null,
    times: { keepMs: number; nowMs: number }
  ): Promise<boolean>
  /** Removes all keys of an owner, whatever their state. A claim that is at work finds itself gone. */
  forgetUser?(owner: string): Promise<void>
  /** Removes a claim whose handler has had no effect. Resolves to whether it belonged to `token`. */
  release(key32: Uint8Array, token: string): Promise<boolean>
  /** Returns the number of remembered keys, for metrics. */
  size?(): number
  close(): Promise<void> | void
}
