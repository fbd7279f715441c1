// SPDX-License-Identifier: MIT
// Stages 2 to 6 (PROTOCOL.md, section 6) and the second look at the session in stage 8. They check who sent a request,
// whether the session's key signed it, whether it is fresh, and whether its id was used before.

import { DAY_MS, PROTOCOL_VERSION } from '../../common/protocol.ts'
import type { Core, ParsedRequest, ReserveVerdict, Stage } from '../../common/types.ts'
import { dummyKey, signerOf, verifySignature } from '../client-signature.ts'
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

/**
 * The session that signed a request, or the refusal of stage 3 or 4. `nowMs` is the reading of the clock that stages 4
 * to 6 share (R47).
 */
export type Identification = { session: SessionRecord | Refusal; nowMs: number }

/** Checks parsed requests. Each function returns undefined where its stage passes. */
export type RequestChecks = {
  /** Stage 2. */
  version(request: ParsedRequest): Refusal | undefined
  /** Stages 3 and 4: finds the session and verifies the signature. The refusal names the stage that failed. */
  identify(core: Core, request: ParsedRequest, trace: Trace): Promise<Identification>
  /** Stage 5. */
  freshness(
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal | undefined>
  /** Stage 6: reserves the request's id. */
  replay(
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal | undefined>
  /** The refusal of a request whose id is reserved and which a rate refuses for `waitMs` milliseconds (stage 8). */
  rateLimited(
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    waitMs: number
  ): Promise<Refusal>
  /** The end of stage 8: reads the session's status once more, at the last moment before the handler runs. */
  sessionAgain(session: SessionRecord, trace: Trace): Promise<Refusal | undefined>
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

type Verdict = ReserveVerdict | 'late'
const isLimited = (verdict: Verdict): verdict is Extract<Verdict, object> => typeof verdict === 'object'

/** A reservation counts only when it is made this soon after the reading of the clock (R59). */
const RESERVE_WITHIN_MS = 1000

const GUESTS_PART = 4
const SOURCE_PART = 8
const NO_SHARES: readonly ReplayShare[] = []

/**
 * Returns the time until which a request's id is kept, in Unix milliseconds. It lies after the last moment at which a
 * gateway of this label, whose clock may be future/2 behind, could accept the request (R60). It is never in the past.
 */
export function expiryOf(timestampMs: number, nowMs: number, pastMs: number, futureMs: number): number {
  return Math.max(timestampMs + pastMs + Math.ceil(futureMs / 2) + 2000, nowMs + 2000)
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
  return {
    version: ({ protocolVersion }) =>
      protocolVersion === PROTOCOL_VERSION ? undefined : { stage: 'version', code: 'cs.unsupported_version' },
    ...createSessionChecks(options, failClosed),
    ...createReplayChecks(options, failClosed)
  }
}

type FailClosed = (stage: Stage, reason: string, trace: Trace, error: unknown) => Refusal

function createSessionChecks(
  { sessions, clock, metrics, storeMs, start }: RequestChecksOptions,
  failClosed: FailClosed
): Pick<RequestChecks, 'identify' | 'sessionAgain'> {
  const findSession = async (id: string): Promise<SessionRecord | null> =>
    (await within(storeMs, 'the session store', () => sessions.get(id))) ?? null

  // Another gateway may have replaced the key a moment ago.
  const findChanged = async ({ id, publicKey }: SessionRecord): Promise<SessionRecord | undefined> => {
    const session = await within(storeMs, 'the session store', async () => sessions.reread?.(id))
    return session && !isSameBytes(session.publicKey, publicKey) ? session : undefined
  }

  // Returns the session with the key that signed, or the refusal. An unknown session costs the same time as a wrong
  // signature, and gets the same answer (R49).
  const checkSignature = (
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

  const findSigner = async (core: Core, request: ParsedRequest): Promise<Identification> => {
    const found = await findSession(request.deviceSessionId)
    const nowMs = clock.now()
    const session = checkSignature(core, request, found, nowMs)
    const isForeign = 'stage' in session && session.stage === 'signature'
    if (!found || !isForeign || !sessions.reread) return { session, nowMs }
    const changed = await findChanged(found)
    const laterMs = clock.now()
    return { session: changed ? checkSignature(core, request, changed, laterMs) : session, nowMs: laterMs }
  }

  return {
    async identify(core, request, trace) {
      let reason = 'start'
      try {
        await start()
        reason = 'sessions'
        return await findSigner(core, request)
      } catch (error) {
        return { session: failClosed('session', reason, trace, error), nowMs: clock.now() }
      }
    },

    async sessionAgain({ id }, trace) {
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

// The steps that reserve the id of a request, or refuse it for good.
function createReserver({ label, replay, clock, pastMs, futureMs, storeMs, enrollment }: RequestChecksOptions) {
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

  const reserve = async (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    nowMs: number
  ): Promise<Verdict> => {
    const { deviceSessionId, requestId, timestampMs } = request
    const key = core.replayKey(label, deviceSessionId, requestId)
    const expiresMs = expiryOf(timestampMs, nowMs, pastMs, futureMs)
    const shares = sharesOf(session)
    const verdict = await ask(() => replay.reserve(key, timestampMs, expiresMs, nowMs, deviceSessionId, shares))
    return clock.now() - nowMs > RESERVE_WITHIN_MS ? 'late' : verdict
  }

  // Refuses a request for good without keeping its id: the session's own floor covers it (R142). Without that step, a
  // full quota stays a full store.
  const limit = async (
    core: Core,
    request: ParsedRequest,
    record: SessionRecord,
    nowMs: number,
    isReserved: boolean
  ): Promise<ReserveVerdict> => {
    const { deviceSessionId: session, requestId, timestampMs } = request
    const key32 = core.replayKey(label, session, requestId)
    const expiresMs = expiryOf(timestampMs, nowMs, pastMs, futureMs)
    const given = { key32, timestampMs, expiresMs, nowMs, session, isReserved, shares: sharesOf(record) }
    return ask(async () => replay.limit?.(given) ?? 'full')
  }

  const reserveOrLimit = async (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    nowMs: number
  ): Promise<Verdict> => {
    const verdict = await reserve(core, request, session, nowMs)
    return verdict === 'full' ? limit(core, request, session, nowMs, false) : verdict
  }

  return { reserve, limit, reserveOrLimit, isGuest }
}

function createReplayChecks(
  options: RequestChecksOptions,
  failClosed: FailClosed
): Pick<RequestChecks, 'freshness' | 'replay' | 'rateLimited'> {
  const { sessions, replay, clock, metrics, pastMs, futureMs, storeMs } = options
  const ledger = createFutureLedger()
  const stale: Refusal = { stage: 'freshness', code: 'cs.stale' }

  const { reserve, limit, reserveOrLimit, isGuest } = createReserver(options)

  const endSession = async (session: SessionRecord, trace: Trace, nowMs: number): Promise<Refusal> => {
    try {
      await within(storeMs, 'the session store', () => sessions.revoke(session.id, 'future-dated', nowMs))
      ledger.forget(session.id)
    } catch (error) {
      return failClosed('freshness', 'sessions', trace, error)
    }
    return stale
  }

  // An attacker could hold this request back until it is fresh. So its id is used up now, or else the session ends
  // (R63). A burnt time never becomes fresh: a client that has not heard of the return yet loses nothing (R148).
  const refuseFuture = async (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal> => {
    if (replay.clock?.isBurnt(request.timestampMs)) return stale
    if (request.timestampMs - nowMs > DAY_MS) return endSession(session, trace, nowMs)
    const isNoted = await within(
      storeMs,
      "the store's clock",
      async () => replay.clock?.noteAhead(session.id, request.timestampMs) ?? true
    )
    if (!isNoted) return endSession(session, trace, nowMs)
    const verdict = await reserve(core, request, session, nowMs)
    if (verdict === 'used' || verdict === 'too-old' || isLimited(verdict)) return stale
    if (verdict !== 'reserved') return failClosed('freshness', 'replay', trace, undefined)
    const expiresMs = expiryOf(request.timestampMs, nowMs, pastMs, futureMs)
    const counted = ledger.count(session.id, expiresMs, nowMs)
    return counted === 'over' ? endSession(session, trace, nowMs) : stale
  }

  // A gateway whose clock is behind could still accept this request. So its id is used up as well.
  const refusePast = async (
    core: Core,
    request: ParsedRequest,
    session: SessionRecord,
    trace: Trace,
    nowMs: number
  ): Promise<Refusal> => {
    if (request.timestampMs >= nowMs - pastMs - futureMs) {
      const verdict = await reserveOrLimit(core, request, session, nowMs)
      if (verdict === 'full' || verdict === 'late') return failClosed('freshness', 'replay', trace, undefined)
    }
    return stale
  }

  return {
    async freshness(core, request, session, trace, nowMs) {
      const { timestampMs } = request
      metrics.skew(timestampMs - nowMs)
      try {
        if (timestampMs > nowMs + futureMs) return await refuseFuture(core, request, session, trace, nowMs)
        if (timestampMs < nowMs - pastMs) return await refusePast(core, request, session, trace, nowMs)
        return undefined
      } catch (error) {
        return failClosed('freshness', 'replay', trace, error)
      }
    },

    async replay(core, request, session, trace, nowMs) {
      try {
        const verdict = await reserveOrLimit(core, request, session, nowMs)
        if (verdict === 'reserved') return undefined
        if (isLimited(verdict)) {
          // A store does not know when others leave room in a share.
          const retryAfterMs = Math.max(verdict.retryAfterMs, isGuest(session) ? RETRY_AFTER_MS : 0)
          return { stage: 'replay', code: 'cs.rate_limited', retryAfterMs }
        }
        if (verdict === 'used') return { stage: 'replay', code: 'cs.replayed' }
        if (verdict !== 'too-old')
          return failClosed('replay', 'replay', trace, new Error(`the replay store returned ${verdict}`))
        // The fence of a restart passes; a request under an ordinary floor stays too old (R62).
        if (replay.clock?.isBurnt(request.timestampMs)) return { stage: 'replay', code: 'cs.stale' }
        const floorMs = replay.floorMs?.() ?? nowMs
        if (nowMs > floorMs) return { stage: 'replay', code: 'cs.stale' }
        return { stage: 'replay', code: 'cs.unavailable', retryAfterMs: floorMs - nowMs + 1 }
      } catch (error) {
        return failClosed('replay', 'replay', trace, error)
      }
    },

    async rateLimited(core, request, session, trace, waitMs) {
      let retryAfterMs = waitMs
      try {
        const verdict = await limit(core, request, session, clock.now(), true)
        if (isLimited(verdict)) retryAfterMs = Math.max(waitMs, verdict.retryAfterMs)
      } catch (error) {
        // The id is used up, or forgotten under its session's floor. Either way the request has no effect.
        failClosed('rate', 'replay', trace, error)
      }
      return { stage: 'rate', code: 'cs.rate_limited', retryAfterMs }
    }
  }
}
