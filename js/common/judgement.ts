// SPDX-License-Identifier: MIT
// How a gateway asks the core what becomes of a request. The rules are in include/countersign/judge.hpp; the gateway
// reads the session, the clock and its stores.

import type { Algorithm, Stage } from './primitives.ts'

/** A session as far as a request is judged by it. */
export type JudgedSession = {
  status: 'active' | 'revoked'
  algorithm: Algorithm
  publicKey: Uint8Array
  /** The key before the last rotation. `replacedMs` is in Unix milliseconds. */
  previous?: { algorithm: Algorithm; publicKey: Uint8Array; replacedMs: number }
}

/**
 * The verdicts of the platform's ECDSA on the request's signature, under the session's key and under the one before it.
 * The core asks for them.
 */
export type Es256Verdicts = { key?: boolean; previous?: boolean }

/** One reading of the clock, with its window. All times are in milliseconds. */
export type JudgeTime = {
  nowMs: number
  pastMs: number
  futureMs: number
  /** Whether the request's time lies in a span that a clock went through in error (R148). Default: false. */
  isBurnt?: boolean
}

/** A refusal that a gateway signs. */
export type JudgedRefusal = {
  stage: Extract<Stage, 'version' | 'session' | 'signature' | 'freshness' | 'replay'>
  code: string
  retryAfterMs?: number
}

/**
 * What a gateway does next: refuse; verify an ES256 signature with the session's key or the previous one, and judge again;
 * reserve the id (and limit the session where the store is full); or end the session and refuse.
 */
export type JudgeStep = 'refuse' | 'verify-key' | 'verify-previous' | 'reserve' | 'reserve-or-limit' | 'end-session'

/** The standing of a request after the stages `version` to `freshness`. */
export type Judgement = {
  next: JudgeStep
  /** Whose signature it carries. That of the previous key may come too late to count. */
  signer: 'none' | 'key' | 'previous'
  /** The side of the window on which the request's time lies. */
  side: 'inside' | 'past' | 'future'
  /** The time until which a store keeps the id, in Unix milliseconds (R60). */
  expiresMs: number
  /** What the request gets after `next`; absent while it may still be accepted. */
  refusal?: JudgedRefusal
}

/** How the step of the store ended. Times are Unix milliseconds. */
export type JudgedReservation = {
  verdict: 'reserved' | 'used' | 'too-old' | 'full' | 'limited'
  /** With `limited`: the time after which the session may send again, in milliseconds. Default: 0. */
  waitMs?: number
  /** The floor of the store. */
  floorMs: number
  /** The reading of the clock when the step had ended. */
  doneMs: number
}

/** Judges requests for a gateway. */
export interface RequestJudge {
  /**
   * Judges a parsed request of a session, or of none: that takes as long as a wrong signature, and gets the same answer.
   * @throws ERR_INVALID_TIME when a time is none, and a malformed error when `signingInput` is no request.
   */
  judgeRequest(
    request: { readonly signingInput: Uint8Array; readonly signature: Uint8Array },
    session: JudgedSession | null,
    es256: Es256Verdicts,
    time: JudgeTime
  ): Judgement
  /**
   * Ends the stage `replay`, or that of a request beside the window. Returns undefined where the request passed.
   * `cs.unavailable` without `retryAfterMs` says that the store did not do its part.
   */
  judgeReservation(judgement: Judgement, time: JudgeTime, reservation: JudgedReservation): JudgedRefusal | undefined
  /** Looks at a session for the last time, before the handler runs. Returns undefined where it is active. */
  judgeAgain(session: Pick<JudgedSession, 'status'> | null): JudgedRefusal | undefined
  /** Returns the time until which a store keeps the id of a request, in Unix milliseconds. */
  requestExpiry(timestampMs: number, time: JudgeTime): number
}
