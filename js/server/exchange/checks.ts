// SPDX-License-Identifier: MIT
// The stages `version` to `replay` (PROTOCOL.md, section 6), in their order, before more of a body is read: who sent this,
// is it theirs, is it fresh, has it been here before.

import { DAY_MS } from '../../common/protocol.ts'
import type { Core, ParsedRequest, Stage } from '../../common/types.ts'
import { dummyKey, signerOf, verifySignature } from '../client-signature.ts'
import { within } from '../support/deadline.ts'
import { isSameBytes } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { ReplayStore, SessionRecord, SessionStore } from '../types.ts'
import { createFutureLedger } from './future-ledger.ts'
import type { RefusalCode } from './sign-answer.ts'
import type { Trace } from './trace.ts'

/** A signed refusal on its way. */
export type Refusal = { stage: Stage; code: RefusalCode; retryAfterMs?: number | undefined }

/** Either the session a request belongs to and the clock reading it was judged by, or the refusal. */
export type Admission = { session: SessionRecord; nowMs: number } | { refusal: Refusal }

/** Stages judges parsed requests. */
export type Stages = {
  admit(core: Core, request: ParsedRequest, trace: Trace): Promise<Admission>
  /** Reads the session's status once more, at the last moment before a request is handed on. */
  readAgain(session: SessionRecord, trace: Trace): Promise<Refusal | undefined>
}

export type StagesOptions = {
  label: string
  sessions: SessionStore
  replay: ReplayStore
  clock: GatewayClock
  metrics: Metrics
  pastMs: number
  futureMs: number
  storeMs: number
  /** Brings the stores in step, where they are not yet or not any more; rejects while that cannot be done. */
  start(): Promise<void>
}

const PROTOCOL_VERSION = 'v1'
/** A reservation counts only this soon after the reading it was made for (R59). */
const RESERVE_WITHIN_MS = 1000
const RETRY_MS = 1000

/**
 * expiryOf says until when an id is kept: past every moment at which a gateway of this label, whose clock may be future/2
 * behind, could take its request for fresh (R60); never in the past.
 */
export function expiryOf(timestampMs: number, nowMs: number, pastMs: number, futureMs: number): number {
  return Math.max(timestampMs + pastMs + Math.ceil(futureMs / 2) + 2000, nowMs + 2000)
}

/** The session that signed, or why there is none, by one reading of the clock. */
type Identified = { session: SessionRecord | Refusal; nowMs: number }

/** createStages makes the judge of one gateway. */
export function createStages(options: StagesOptions): Stages {
  const { label, sessions, replay, clock, metrics, pastMs, futureMs, storeMs, start } = options
  const ledger = createFutureLedger()

  // Whatever fails here refuses: nothing passes unchecked (R64).
  const failClosed = (stage: Stage, reason: string, trace: Trace, error: unknown): Refusal => {
    trace.error ??= error
    metrics.count('countersign_fail_closed_total', { reason })
    return { stage, code: 'cs.unavailable', retryAfterMs: RETRY_MS }
  }

  // Either the session as it signed, or what is wrong.
  const judgeSignature = (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord | null,
    nowMs: number
  ): SessionRecord | Refusal => {
    if (session === null) {
      verifySignature(core, dummyKey, request.signingInput, request.signature)
      return { stage: 'session', code: 'cs.unauthenticated' }
    }
    const signer = signerOf(core, session, request, nowMs, metrics)
    if (session.status === 'active') return signer ?? { stage: 'signature', code: 'cs.unauthenticated' }
    return { stage: 'session', code: signer ? 'cs.session_revoked' : 'cs.unauthenticated' }
  }

  const reserve = async (core: Core, request: ParsedRequest, nowMs: number): Promise<string> => {
    const { deviceSessionId, requestId, timestampMs } = request
    const key = core.replayKey(label, deviceSessionId, requestId)
    const expiresMs = expiryOf(timestampMs, nowMs, pastMs, futureMs)
    const verdict = await within(Math.min(storeMs, RESERVE_WITHIN_MS), 'the replay store', () =>
      replay.reserve(key, timestampMs, expiresMs, nowMs, deviceSessionId)
    )
    return clock.now() - nowMs > RESERVE_WITHIN_MS ? 'late' : verdict
  }

  const endSession = async (session: SessionRecord, trace: Trace, nowMs: number): Promise<Refusal> => {
    try {
      await within(storeMs, 'the session store', () => sessions.revoke(session.id, 'future-dated', nowMs))
      ledger.forget(session.id)
    } catch (error) {
      return failClosed('freshness', 'sessions', trace, error)
    }
    return { stage: 'freshness', code: 'cs.stale' }
  }

  // Held back, this request would become fresh one day. Its id is used up now, or else its key is (R63).
  const refuseFuture = async (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal> => {
    if (request.timestampMs - nowMs > DAY_MS) return endSession(session, trace, nowMs)
    const verdict = await reserve(core, request, nowMs)
    if (verdict === 'used' || verdict === 'too-old') return { stage: 'freshness', code: 'cs.stale' }
    if (verdict !== 'reserved') return failClosed('freshness', 'replay', trace, undefined)
    const expiresMs = expiryOf(request.timestampMs, nowMs, pastMs, futureMs)
    const counted = ledger.count(session.id, expiresMs, nowMs)
    return counted === 'over' ? endSession(session, trace, nowMs) : { stage: 'freshness', code: 'cs.stale' }
  }

  // A gateway whose clock is behind may still take it for fresh.
  const refusePast = async (core: Core, request: ParsedRequest, trace: Trace, nowMs: number): Promise<Refusal> => {
    if (request.timestampMs >= nowMs - pastMs - futureMs) {
      const verdict = await reserve(core, request, nowMs)
      if (verdict === 'full' || verdict === 'late') return failClosed('freshness', 'replay', trace, undefined)
    }
    return { stage: 'freshness', code: 'cs.stale' }
  }

  const judgeTime = async (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal | undefined> => {
    const { timestampMs } = request
    metrics.skew(timestampMs - nowMs)
    try {
      if (timestampMs > nowMs + futureMs) return await refuseFuture(core, request, session, trace, nowMs)
      if (timestampMs < nowMs - pastMs) return await refusePast(core, request, trace, nowMs)
      return undefined
    } catch (error) {
      return failClosed('freshness', 'replay', trace, error)
    }
  }

  const judgeReplay = async (
    core: Core,
    request: ParsedRequest,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal | undefined> => {
    try {
      const verdict = await reserve(core, request, nowMs)
      if (verdict === 'reserved') return undefined
      if (verdict === 'used') return { stage: 'replay', code: 'cs.replayed' }
      if (verdict !== 'too-old')
        return failClosed('replay', 'replay', trace, new Error(`the replay store returned ${verdict}`))
      // The fence of a restart passes; what lies under an ordinary floor is too old for good (R62).
      const floorMs = replay.floorMs?.() ?? nowMs
      if (nowMs > floorMs) return { stage: 'replay', code: 'cs.stale' }
      return { stage: 'replay', code: 'cs.unavailable', retryAfterMs: floorMs - nowMs + 1 }
    } catch (error) {
      return failClosed('replay', 'replay', trace, error)
    }
  }

  const findSession = async (id: string): Promise<SessionRecord | null> =>
    (await within(storeMs, 'the session store', () => sessions.get(id))) ?? null

  // Status and key are judged together: whether there is such a session must not show in the time an answer takes (R49).
  const identify = async (core: Core, request: ParsedRequest): Promise<Identified> => {
    const { deviceSessionId: id } = request
    const found = await findSession(id)
    const nowMs = clock.now()
    const session = judgeSignature(core, request, found, nowMs)
    const isForeign = 'stage' in session && session.stage === 'signature'
    if (!found || !isForeign || !sessions.reread) return { session, nowMs }
    // Another gateway may have replaced the key a moment ago.
    const fresh = await within(
      storeMs,
      'the session store',
      () => sessions.reread?.(id) as Promise<SessionRecord | null>
    )
    const laterMs = clock.now()
    if (!fresh || isSameBytes(fresh.publicKey, found.publicKey)) return { session, nowMs: laterMs }
    return { session: judgeSignature(core, request, fresh, laterMs), nowMs: laterMs }
  }

  return {
    async admit(core, request, trace) {
      if (request.protocolVersion !== PROTOCOL_VERSION)
        return { refusal: { stage: 'version', code: 'cs.unsupported_version' } }
      trace.pass('version')
      try {
        await start()
      } catch (error) {
        return { refusal: failClosed('session', 'start', trace, error) }
      }
      let identified: Identified
      try {
        identified = await identify(core, request)
      } catch (error) {
        return { refusal: failClosed('session', 'sessions', trace, error) }
      }
      const { session, nowMs } = identified
      if ('stage' in session && session.stage === 'session') return { refusal: session }
      trace.pass('session')
      if ('stage' in session) return { refusal: session }
      trace.pass('signature')
      const untimely = await judgeTime(core, request, session, trace, nowMs)
      if (untimely) return { refusal: untimely }
      trace.pass('freshness')
      const replayed = await judgeReplay(core, request, trace, nowMs)
      if (replayed) return { refusal: replayed }
      trace.pass('replay')
      return { session, nowMs }
    },

    async readAgain({ id }, trace) {
      try {
        const session = await findSession(id)
        if (session?.status === 'active') return undefined
        return { stage: 'session', code: session ? 'cs.session_revoked' : 'cs.unauthenticated' }
      } catch (error) {
        return failClosed('session', 'sessions', trace, error)
      }
    }
  }
}
