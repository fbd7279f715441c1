// SPDX-License-Identifier: MIT
// Stages 2 to 6 (PROTOCOL.md, section 6) and the second look at the session in stage 8. The core judges; this file reads
// the session, the clock and the stores, and does what the core's judgement asks for.

import type { JudgedRefusal, JudgedReservation, Judgement, JudgeTime } from '../../common/judgement.ts'
import type { Core, ParsedRequest, ReserveVerdict, Stage } from '../../common/types.ts'
import { judgeRequest } from '../client-signature.ts'
import { GUEST, OPAQUE } from '../stores/common.ts'
import { within } from '../support/deadline.ts'
import { isSameBytes } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Mounted, ReplayShare, ReplayStore, SessionRecord, SessionStore } from '../types.ts'
import { createFutureLedger } from './future-ledger.ts'
import { RETRY_AFTER_MS, type RefusalCode } from './sign-answer.ts'
import type { Trace } from './trace.ts'

/** A refusal that the gateway will sign. */
export type Refusal = {
  stage: Stage
  code: RefusalCode
  retryAfterMs?: number | undefined
  /** With `cs.bad_request` alone. */
  issues?: readonly unknown[] | undefined
}

/** A request whose signature counts. `session` has the key that signed; `time` is what stages 4 to 6 share (R47). */
export type Identified = { request: ParsedRequest; session: SessionRecord; judgement: Judgement; time: JudgeTime }

/** Checks parsed requests. Each function returns undefined where its stage passes. */
export type RequestChecks = {
  /** Stages 3 and 4: finds the session and verifies the signature. The refusal names the stage that failed. */
  identify(core: Core, request: ParsedRequest, trace: Trace): Promise<Identified | Refusal>
  /** Stage 5. */
  freshness(core: Core, identified: Identified, trace: Trace): Promise<Refusal | undefined>
  /** Stage 6: reserves the request's id. */
  replay(core: Core, identified: Identified, trace: Trace): Promise<Refusal | undefined>
  /** The refusal of a request whose id is reserved and which a rate refuses for `waitMs` milliseconds (stage 8). */
  rateLimited(core: Core, identified: Identified, trace: Trace, waitMs: number): Promise<Refusal>
  /** The end of stage 8: reads the session's status once more, at the last moment before the handler runs. */
  sessionAgain(core: Core, session: SessionRecord, trace: Trace): Promise<Refusal | undefined>
}

/** The parts that the checks of one gateway need. */
export type RequestChecksOptions = {
  label: string
  sessions: SessionStore
  replay: ReplayStore
  clock: GatewayClock
  metrics: Metrics
  pastMs: number
  futureMs: number
  storeMs: number
  enrollment?: Mounted | undefined
  /** Brings the stores in step, where they are not yet or not any more. Rejects while that is not possible. */
  start(): Promise<void>
}

/** A store that does not answer this soon cannot have reserved in time, whatever it says (R59). */
const RESERVE_WITHIN_MS = 1000

const GUESTS_PART = 4
const SOURCE_PART = 8
const NO_SHARES: readonly ReplayShare[] = []

// The core's codes are words of the list in sign-answer.ts.
const signed = (refusal: JudgedRefusal | undefined): Refusal | undefined => refusal as Refusal | undefined

const withPreviousKey = (session: SessionRecord): SessionRecord => {
  const { algorithm, publicKey } = session.previous ?? session
  return { ...session, algorithm, publicKey }
}

/** Returns the checks of one gateway. */
export function createChecks(options: RequestChecksOptions): RequestChecks {
  const { metrics } = options
  // Every failure refuses: nothing passes unchecked (R64).
  const failClosed: FailClosed = (stage, reason, trace, error) => {
    trace.error ??= error
    metrics.count('countersign_fail_closed_total', { reason })
    return { stage, code: 'cs.unavailable', retryAfterMs: RETRY_AFTER_MS }
  }
  return { ...createSessionChecks(options, failClosed), ...createReplayChecks(options, failClosed) }
}

type FailClosed = (stage: Stage, reason: string, trace: Trace, error: unknown) => Refusal

function createSessionChecks(
  { sessions, replay, clock, metrics, pastMs, futureMs, storeMs, start }: RequestChecksOptions,
  failClosed: FailClosed
): Pick<RequestChecks, 'identify' | 'sessionAgain'> {
  const findSession = async (id: string): Promise<SessionRecord | null> =>
    (await within(storeMs, 'the session store', () => sessions.get(id))) ?? null

  // Another gateway may have replaced the key a moment ago.
  const findChanged = async ({ id, publicKey }: SessionRecord): Promise<SessionRecord | undefined> => {
    const session = await within(storeMs, 'the session store', async () => sessions.reread?.(id))
    return session && !isSameBytes(session.publicKey, publicKey) ? session : undefined
  }

  const judge = (core: Core, request: ParsedRequest, session: SessionRecord | null): Identified | Refusal => {
    const isBurnt = replay.clock?.isBurnt(request.timestampMs) === true
    const time = { nowMs: clock.now(), pastMs, futureMs, isBurnt }
    const judgement = judgeRequest(core, request, session, time)
    const { signer, refusal } = judgement
    const isForeign = refusal?.code === 'cs.unauthenticated'
    if (signer === 'previous') metrics.count('countersign_previous_key_total', { verdict: isForeign ? 'fail' : 'pass' })
    if (refusal && refusal.stage !== 'freshness') return refusal as Refusal
    // Only a known session passes.
    const known = session as SessionRecord
    return { request, session: signer === 'previous' ? withPreviousKey(known) : known, judgement, time }
  }

  const findSigner = async (core: Core, request: ParsedRequest): Promise<Identified | Refusal> => {
    const found = await findSession(request.deviceSessionId)
    const identified = judge(core, request, found)
    const isForeign = 'stage' in identified && identified.stage === 'signature'
    if (!found || !isForeign || !sessions.reread) return identified
    const changed = await findChanged(found)
    return changed ? judge(core, request, changed) : identified
  }

  return {
    async identify(core, request, trace) {
      let reason = 'start'
      try {
        await start()
        reason = 'sessions'
        return await findSigner(core, request)
      } catch (error) {
        return failClosed('session', reason, trace, error)
      }
    },

    async sessionAgain(core, { id }, trace) {
      try {
        return signed(core.judgeAgain(await findSession(id)))
      } catch (error) {
        return failClosed('session', 'sessions', trace, error)
      }
    }
  }
}

// The steps that reserve the id of a request, or refuse it for good.
function createReserver({ label, replay, clock, storeMs, enrollment }: RequestChecksOptions) {
  const isGuest = ({ userId }: SessionRecord): boolean => enrollment?.takesGuests === true && userId.startsWith(GUEST)

  // Guests cost nothing to make. So all of them hold a quarter of the store, and those of a source an eighth of that. Those
  // of pages without an origin hold as much as one source, all together, and a source of theirs an eighth of that.
  const sharesOf = (session: SessionRecord): readonly ReplayShare[] => {
    if (!isGuest(session)) return NO_SHARES
    const { source = '' } = session
    const shares = [{ name: 'guests', part: GUESTS_PART }]
    if (source.startsWith(OPAQUE)) shares.push({ name: 'guests/opaque', part: GUESTS_PART * SOURCE_PART })
    return [...shares, { name: `guests/${source}`, part: GUESTS_PART * SOURCE_PART ** shares.length }]
  }

  const ask = (work: () => Promise<ReserveVerdict>): Promise<ReserveVerdict> =>
    within(Math.min(storeMs, RESERVE_WITHIN_MS), 'the replay store', work)

  const idOf = (core: Core, { request, session: record }: Identified) => {
    const { deviceSessionId: session, requestId, timestampMs } = request
    return { key32: core.replayKey(label, session, requestId), timestampMs, session, shares: sharesOf(record) }
  }

  // Refuses a request for good without keeping its id: the session's own floor covers it (R142). Without that step, a
  // full quota stays a full store.
  const limit = (core: Core, identified: Identified, time: JudgeTime, isReserved: boolean): Promise<ReserveVerdict> => {
    const id = idOf(core, identified)
    const expiresMs = core.requestExpiry(id.timestampMs, time)
    return ask(async () => replay.limit?.({ ...id, expiresMs, nowMs: time.nowMs, isReserved }) ?? 'full')
  }

  /** Reserves the id as the judgement says. Returns how that ended, and the refusal that follows, if any. */
  const settle = async (core: Core, identified: Identified) => {
    const { judgement, time } = identified
    const { key32, timestampMs, session, shares } = idOf(core, identified)
    const { nowMs } = time
    let verdict = await ask(() => replay.reserve(key32, timestampMs, judgement.expiresMs, nowMs, session, shares))
    if (verdict === 'full' && judgement.next === 'reserve-or-limit')
      verdict = await limit(core, identified, time, false)
    const ended: Pick<JudgedReservation, 'verdict' | 'waitMs'> =
      typeof verdict === 'object' ? { verdict: verdict.verdict, waitMs: verdict.retryAfterMs } : { verdict }
    const floorMs = replay.floorMs?.() ?? nowMs
    const refusal = core.judgeReservation(judgement, time, { ...ended, floorMs, doneMs: clock.now() })
    return { verdict: ended.verdict, refusal: signed(refusal) }
  }

  return { settle, limit, isGuest }
}

function createReplayChecks(
  options: RequestChecksOptions,
  failClosed: FailClosed
): Pick<RequestChecks, 'freshness' | 'replay' | 'rateLimited'> {
  const { sessions, replay, clock, metrics, storeMs } = options
  const ledger = createFutureLedger()
  const { settle, limit, isGuest } = createReserver(options)

  // The core gives no time to wait where a store did not do its part.
  const orFailClosed = (refusal: Refusal | undefined, verdict: string, trace: Trace): Refusal | undefined =>
    refusal?.code === 'cs.unavailable' && refusal.retryAfterMs === undefined
      ? failClosed(refusal.stage, 'replay', trace, new Error(`the replay store returned ${verdict}`))
      : refusal

  const endSession = async ({ session, judgement, time }: Identified, trace: Trace): Promise<Refusal | undefined> => {
    try {
      await within(storeMs, 'the session store', () => sessions.revoke(session.id, 'future-dated', time.nowMs))
      ledger.forget(session.id)
    } catch (error) {
      return failClosed('freshness', 'sessions', trace, error)
    }
    return signed(judgement.refusal)
  }

  const noteAhead = (session: SessionRecord, timestampMs: number): Promise<boolean> =>
    within(storeMs, "the store's clock", async () => replay.clock?.noteAhead(session.id, timestampMs) ?? true)

  // Uses up the id of a request that another gateway, or a later moment, could still accept (R63).
  const spendId = async (core: Core, identified: Identified, trace: Trace): Promise<Refusal | undefined> => {
    const { session, judgement, time } = identified
    const isAhead = judgement.side === 'future'
    if (isAhead && !(await noteAhead(session, identified.request.timestampMs))) return endSession(identified, trace)
    const { verdict, refusal } = await settle(core, identified)
    if (isAhead && verdict === 'reserved' && refusal?.code === 'cs.stale') {
      const counted = ledger.count(session.id, judgement.expiresMs, time.nowMs)
      if (counted === 'over') return endSession(identified, trace)
    }
    return orFailClosed(refusal, verdict, trace)
  }

  return {
    async freshness(core, identified, trace) {
      const { request, judgement, time } = identified
      metrics.skew(request.timestampMs - time.nowMs)
      if (!judgement.refusal) return undefined
      try {
        if (judgement.next === 'refuse') return signed(judgement.refusal)
        return await (judgement.next === 'end-session'
          ? endSession(identified, trace)
          : spendId(core, identified, trace))
      } catch (error) {
        return failClosed('freshness', 'replay', trace, error)
      }
    },

    async replay(core, identified, trace) {
      try {
        const { verdict, refusal } = await settle(core, identified)
        // A store does not know when others leave room in a share.
        if (refusal?.code === 'cs.rate_limited' && isGuest(identified.session))
          return { ...refusal, retryAfterMs: Math.max(refusal.retryAfterMs ?? 0, RETRY_AFTER_MS) }
        return orFailClosed(refusal, verdict, trace)
      } catch (error) {
        return failClosed('replay', 'replay', trace, error)
      }
    },

    async rateLimited(core, identified, trace, waitMs) {
      let retryAfterMs = waitMs
      try {
        const verdict = await limit(core, identified, { ...identified.time, nowMs: clock.now() }, true)
        if (typeof verdict === 'object') retryAfterMs = Math.max(waitMs, verdict.retryAfterMs)
      } catch (error) {
        // The id is used up, or forgotten under its session's floor. Either way the request has no effect.
        failClosed('rate', 'replay', trace, error)
      }
      return { stage: 'rate', code: 'cs.rate_limited', retryAfterMs }
    }
  }
}
