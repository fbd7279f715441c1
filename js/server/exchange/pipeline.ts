// SPDX-License-Identifier: MIT
// One request through all stages of PROTOCOL.md, section 6, from its first byte to its answer.

import type { Core } from '../../common/types.ts'
import { createBuiltins } from '../builtin/sessions-and-time.ts'
import { NO_ROUTE } from '../migration-phase.ts'
import type { Settings } from '../options.ts'
import type { Listen } from '../support/deadline.ts'
import { isSameBytes, sha256 } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Binding, Handler, HandlerContext, Inbound, Outbound, PassedOn, SessionRecord } from '../types.ts'
import type { Answering } from './answer.ts'
import { type createBudget, type Lease, readBody } from './body.ts'
import type { Refusal, Stages } from './checks.ts'
import { type Opened, openInbound, type Plain, plainOf } from './parse.ts'
import { createBuckets } from './rates.ts'
import { checkResult, createRoutes, type Found, isRefusal, type Result, runHandler } from './routes.ts'
import { plainAnswer } from './sign-answer.ts'
import type { Trace } from './trace.ts'

/** What one gateway's pipeline is made of. */
export type PipelineParts = {
  settings: Settings
  stages: Stages
  answering: Answering
  clock: GatewayClock
  metrics: Metrics
  core: () => Promise<Core>
  budget: ReturnType<typeof createBudget>
  /** Rings when the gateway gives up on what is under way. */
  closing: Listen
  isClosed: () => boolean
  /** Handlers of the gateway's own beside the built-in ones. */
  own: { readonly [type: string]: Handler }
  /** Called for each request that passed every check, before it is handed on. */
  onAccepted: () => void
}

/** Pipeline answers one request whose binding is known; it rejects only for a fault of the core. */
export type Pipeline = (core: Core, inbound: Inbound, trace: Trace) => Promise<Outbound>

/** A request that passed every check, or its refusal. */
type Verdict = { session: SessionRecord; payload: Uint8Array; found: Found | undefined } | Refusal

const TOUCH_EVERY_MS = 60_000
const RETRY_MS = 1000
/** `cs.poll` waits for events by its own clock, 25 s at most. */
const POLL_MS = 30_000
const BODY_REFUSALS = {
  'too-large': 'cs.too_large',
  'too-slow': 'cs.payload_mismatch',
  gone: 'cs.payload_mismatch',
  busy: 'cs.unavailable'
} as const

const unsignedOf = (inbound: Inbound): HandlerContext['unsigned'] => ({
  contentType: inbound.header('content-type') ?? '',
  accept: inbound.header('accept') ?? '',
  acceptLanguage: inbound.header('accept-language') ?? '',
  userAgent: inbound.header('user-agent') ?? ''
})

function createLimiter({ perSession, perUser, perType }: Settings['rates']) {
  const bySession = createBuckets(perSession)
  const byUser = perUser === undefined ? undefined : createBuckets(perUser)
  const byType = new Map(Object.entries(perType ?? {}).map(([route, rate]) => [route, createBuckets(rate)]))
  return (session: SessionRecord, route: string, nowMs: number): number =>
    bySession.take(session.id, nowMs) ||
    (byUser?.take(session.userId, nowMs) ?? 0) ||
    (byType.get(route)?.take(session.userId, nowMs) ?? 0)
}

function createFinder({ settings, clock, core, metrics, own }: PipelineParts) {
  const { label, sessions, serverKeys: manifest } = settings
  const routes = createRoutes(settings.routes)
  const builtins = createBuiltins({ label, sessions, nowMs: () => clock.now(), core, metrics, manifest })
  const { actionSecret } = settings
  const profiles = actionSecret ? { 'cs.action_secret': actionSecret } : {}
  const reserved = createRoutes({ ...builtins, ...own, ...profiles }, { reserved: true })
  return ({ type, target }: Opened, binding: Binding, { method, carrier }: Inbound): Found | undefined => {
    if (carrier) {
      const found = type === 'cs.subscribe' ? reserved.ofType(`${type} ${carrier}`) : undefined
      return found && { ...found, route: type }
    }
    if (binding === 'header') return routes.ofTarget(method, target)
    return reserved.ofType(type) ?? routes.ofType(type)
  }
}

// A verified request whose route has not been moved yet is the old handler's in every phase but the last.
function passOf(trace: Trace, { session, found }: Exclude<Verdict, Refusal>): PassedOn | undefined {
  if (found || trace.binding !== 'header') return undefined
  const passed = trace.passOn({ stage: 'handler', code: NO_ROUTE, status: 404 })
  return passed && { ...passed, sessionId: session.id, userId: session.userId }
}

// A handler that threw has no answer; the reason is the operator's to know.
function refusalOf(error: unknown, trace: Trace): Refusal {
  if (!isRefusal(error)) {
    trace.error = error
    return { stage: 'handler', code: 'cs.unavailable', retryAfterMs: RETRY_MS }
  }
  const { stage, code, retryAfterMs, cause } = error
  trace.error = cause
  return { stage, code, retryAfterMs }
}

/** createPipeline puts the stages together. */
export function createPipeline(parts: PipelineParts): Pipeline {
  const { settings, stages, answering, clock, metrics, budget, closing, isClosed, onAccepted } = parts
  const { limits, sessions, handlerTimeoutMs } = settings
  const find = createFinder(parts)
  const limit = createLimiter(settings.rates)

  const takePayload = async (
    inbound: Inbound,
    opened: Opened,
    untilMs: number,
    lease: Lease
  ): Promise<Uint8Array | Refusal> => {
    const { request, first, isWhole } = opened
    let payload = first
    let hash: Uint8Array
    if (isWhole) {
      if (first.length > limits.jsonPayloadBytes) return { stage: 'payload_hash', code: 'cs.too_large' }
      hash = sha256(first)
    } else {
      const body = await readBody(inbound, first, { bytes: limits.payloadBytes, untilMs, idleMs: limits.idleMs, lease })
      if (body.state !== 'whole') {
        const retry = body.state === 'busy' ? { retryAfterMs: RETRY_MS } : {}
        return { stage: 'payload_hash', code: BODY_REFUSALS[body.state], ...retry }
      }
      payload = body.bytes
      hash = body.hash
    }
    return isSameBytes(hash, request.payloadHash) ? payload : { stage: 'payload_hash', code: 'cs.payload_mismatch' }
  }

  const verify = async (core: Core, inbound: Inbound, opened: Opened, trace: Trace, lease: Lease): Promise<Verdict> => {
    const untilMs = performance.now() + limits.bodyMs
    if (isClosed()) return { stage: 'handler', code: 'cs.unavailable', retryAfterMs: RETRY_MS }
    const admission = await stages.admit(core, opened.request, trace)
    if ('refusal' in admission) return admission.refusal
    const { session } = admission
    const payload = await takePayload(inbound, opened, untilMs, lease)
    if ('code' in payload) return payload
    trace.pass('payload_hash')
    const found = find(opened, trace.binding, inbound)
    const wait = limit(session, found?.route ?? '', clock.now())
    if (wait > 0) return { stage: 'rate', code: 'cs.rate_limited', retryAfterMs: wait }
    const ended = await stages.readAgain(session, trace)
    if (ended) return ended
    trace.pass('rate')
    return { session, payload, found }
  }

  const touch = ({ id, lastSeenMs }: SessionRecord): void => {
    const nowMs = clock.now()
    if (nowMs - lastSeenMs < TOUCH_EVERY_MS) return
    // Nobody waits for it and nothing depends on it.
    const touching = (async () => sessions.touch(id, nowMs))()
    touching.catch(() => metrics.count('countersign_fail_closed_total', { reason: 'touch' }))
  }

  const call = async (
    inbound: Inbound,
    opened: Opened,
    trace: Trace,
    verdict: Exclude<Verdict, Refusal>
  ): Promise<Result> => {
    const { session, payload, found } = verdict
    const { requestId, timestampMs, idempotencyKey } = opened.request
    const { type, target } = opened
    const { binding } = trace
    const isHeader = binding === 'header'
    if (!found)
      return checkResult(isHeader ? { status: 404 } : { resultCode: 'unknown_type' }, isHeader, inbound.method)
    const { userId } = session
    const { handler, route, params } = found
    const unsigned = unsignedOf(inbound)
    const given = await runHandler(
      handler,
      {
        ...{ session, userId, type, route, payload, idempotencyKey, requestId, timestampMs },
        ...{ binding, target, params, unsigned }
      },
      { client: inbound.onGone, gateway: closing, timeoutMs: type === 'cs.poll' ? POLL_MS : handlerTimeoutMs }
    )
    return checkResult(given, isHeader, inbound.method)
  }

  const answer = async (
    core: Core,
    inbound: Inbound,
    opened: Opened,
    trace: Trace,
    lease: Lease
  ): Promise<Outbound> => {
    const asked = { core, method: inbound.method, requestId: opened.request.requestId, type: opened.type, trace }
    const verdict = await verify(core, inbound, opened, trace, lease)
    if ('code' in verdict) return answering.refuse(asked, verdict)
    onAccepted()
    touch(verdict.session)
    const passOn = passOf(trace, verdict)
    if (passOn) return { ...plainAnswer(404), passOn }
    let result: Result
    try {
      result = await call(inbound, opened, trace, verdict)
    } catch (error) {
      return answering.refuse(asked, refusalOf(error, trace))
    }
    const out = await answering.result(asked, result)
    return result.own?.follow?.(inbound, out) ?? out
  }

  const open = async (core: Core, inbound: Inbound, trace: Trace, lease: Lease): Promise<Opened | Plain> => {
    const note = (requestId: string) => {
      trace.requestId = requestId
    }
    try {
      return await openInbound({ core, settings, lease, note }, inbound, trace.binding)
    } catch (error) {
      return plainOf(error)
    }
  }

  return async (core, inbound, trace) => {
    const lease = budget.lease()
    try {
      const opened = await open(core, inbound, trace, lease)
      if ('status' in opened) return answering.plain(trace, opened)
      trace.requestId = opened.request.requestId
      trace.sessionId = opened.request.deviceSessionId
      trace.pass('parse')
      return await answer(core, inbound, opened, trace, lease)
    } finally {
      lease.release()
    }
  }
}
