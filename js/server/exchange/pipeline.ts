// SPDX-License-Identifier: MIT
// One request, from its first byte to its answer: the nine stages of PROTOCOL.md, section 6, stand in `runStages`.

import type { CountersignError } from '../../common/errors.ts'
import type { Core } from '../../common/types.ts'
import { createBuiltins } from '../builtin/sessions-and-time.ts'
import type { Unrouted } from '../migration-phase.ts'
import type { GatewaySettings } from '../options.ts'
import type { Listen } from '../support/deadline.ts'
import { escapeText, pathOf } from '../support/encoding.ts'
import type { FaultLog } from '../support/fault-log.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type {
  Handler,
  HandlerContext,
  HandlerResult,
  Inbound,
  Outbound,
  PassedOn,
  RotatedEvent,
  SessionRecord,
  StepUp
} from '../types.ts'
import type { AnswerContext, AnswerWriter } from './answer.ts'
import type { createBudget, Lease } from './budget.ts'
import type { Refusal, RequestChecks } from './checks.ts'
import { BadInput, jsonOfPayload, plainResultOf } from './json.ts'
import { type ParsedInbound, parseInbound } from './parse.ts'
import { readPayload } from './payload.ts'
import { createPruner } from './prune-sessions.ts'
import type { Buckets, RequestLimiter } from './rates.ts'
import { createRouteTable, type RouteTable } from './route-table.ts'
import {
  answerNames,
  type CheckedResult,
  checkResult,
  isHandlerRefusal,
  isReservedName,
  type RouteMatch,
  runHandler
} from './routes.ts'
import { plainAnswer, RETRY_AFTER_MS } from './sign-answer.ts'
import type { Trace } from './trace.ts'
import type { Place } from './turns.ts'

/** The parts of one gateway's pipeline. */
export type PipelineParts = {
  settings: GatewaySettings
  /** The application's routes. */
  routes: RouteTable
  checks: RequestChecks
  answer: AnswerWriter
  clock: GatewayClock
  metrics: Metrics
  core: () => Promise<Core>
  budget: ReturnType<typeof createBudget>
  limiter: RequestLimiter
  /** Counts the requests of each source whose signature did not verify (R146). */
  failures: Buckets
  /** Rings when the gateway aborts the requests under way. */
  closing: Listen
  isClosed: () => boolean
  /** Hears of each exception of the application's own functions. */
  logFault: FaultLog
  /** The gateway's own handlers beside the built-in ones. */
  internalHandlers: { readonly [type: string]: Handler }
  /** Called for each request that passed every check, before its handler runs. */
  onAccepted: () => void
  /** Called for each key that was replaced. It never rejects. */
  onReplaced: (event: RotatedEvent) => Promise<void>
}

/** Answers one request whose binding is known. Rejects only with a fault of the core. */
export type Pipeline = (core: Core, inbound: Inbound, trace: Trace, place: Place) => Promise<Outbound>

/** What a request holds on its way to the handler: memory, and a place among the requests of its source. */
type RunStages = (core: Core, inbound: Inbound, trace: Trace, held: { lease: Lease; place: Place }) => Promise<Outbound>

/** A request that passed stages 1 to 8. */
type AcceptedRequest = {
  parsed: ParsedInbound
  session: SessionRecord
  payload: Uint8Array
  route: RouteMatch | undefined
  /** The methods that its path has. Only of a request without a route. */
  methods: string[]
}

const TOUCH_EVERY_MS = 60_000
/** The status in the metrics for a client that left. It is never sent. */
const CLIENT_GONE = 499
/** `cs.poll` waits up to 25 s for events. */
const POLL_MS = 30_000

/** Returns the pipeline of one gateway. */
export function createPipeline(parts: PipelineParts): Pipeline {
  const { settings, checks, answer, clock, budget, limiter, failures, isClosed, onAccepted, logFault } = parts
  const { limits } = settings
  const findRoute = createRouteFinder(parts)
  const touch = createTouch(parts)
  const prune = createPruner(parts)
  const callHandler = createHandlerCaller(parts)

  // Stage 0, the source's rate and the headers, is in gateway.ts and `bindingOf`.
  const runStages: RunStages = async (core, inbound, trace, { lease, place }) => {
    // 1. parse: an envelope in one of the three bindings. Every later refusal is signed.
    const parsed = await parseInbound({ core, settings, lease, trace }, inbound)
    if ('status' in parsed) return answer.plain(trace, parsed)
    const { request, type } = parsed
    trace.requestId = request.requestId
    trace.sessionId = request.deviceSessionId
    trace.pass('parse')
    const untilMs = performance.now() + limits.bodyMs
    const context: AnswerContext = { core, method: inbound.method, requestId: request.requestId, type, trace }
    const refuse = (refusal: Refusal): Promise<Outbound> => answer.refuse(context, refusal)
    if (isClosed()) return refuse({ stage: 'handler', code: 'cs.unavailable', retryAfterMs: RETRY_AFTER_MS })

    // 2. version: `v1`.
    if (!request.isSupportedVersion) return refuse({ stage: 'version', code: 'cs.unsupported_version' })
    trace.pass('version')

    // The checks wait for the request's turn (R145). Waiting for a sender, before and after them, takes no turn.
    await place.turn()

    // 3. session: known and not revoked. It is checked together with stage 4, so that time tells nothing of it (R49).
    const identified = await checks.identify(core, request, trace)
    const stranger = 'stage' in identified ? identified : undefined
    if (stranger?.code === 'cs.unauthenticated') failures.spend(place.source, clock.now())
    if (stranger?.stage === 'session') return refuse(stranger)
    trace.pass('session')

    // 4. signature: the session's key signed the request.
    if ('stage' in identified) return refuse(identified)
    const { session } = identified
    trace.pass('signature')

    // 5. freshness: the timestamp is inside the window.
    const untimely = await checks.freshness(core, identified, trace)
    if (untimely) return refuse(untimely)
    trace.pass('freshness')

    // 6. replay: the id is new, and used up from here on.
    const replayed = await checks.replay(core, identified, trace)
    if (replayed) return refuse(replayed)
    trace.pass('replay')

    // 7. payload_hash: the rest of the body arrives, and its hash is the signed one.
    place.pause()
    const payload = await readPayload(inbound, parsed, limits, untilMs, lease)
    if ('code' in payload) return refuse(payload)
    await place.turn()
    trace.pass('payload_hash')

    // 8. rate: of the session, the user and the type. Then the session's status is read once more.
    const route = findRoute(parsed, inbound, trace)
    const waitMs = limiter.take(session, route?.route ?? '', clock.now())
    if (waitMs > 0) return refuse(await checks.rateLimited(core, identified, trace, waitMs))
    const ended = await checks.sessionAgain(core, session, trace)
    if (ended) return refuse(ended)
    trace.pass('rate')
    onAccepted()
    touch(session)
    prune()

    // 9. handler: the application's answer, signed. A route that has not been moved yet is the old handler's. A handler
    // may take its time, and may call the gateway: it holds no place.
    place.leave()
    const methods = route ? [] : parts.routes.methodsOf(parsed.target)
    const passOn = route ? undefined : passOnOf(trace, session, methods)
    if (passOn) return { ...plainAnswer(404), passOn }
    let result: CheckedResult
    try {
      result = await callHandler(inbound, trace, { parsed, session, payload, route, methods })
    } catch (error) {
      if (hasLeft(error, route)) return plainAnswer(CLIENT_GONE)
      return refuse(refusalOf(error, trace, { route: route?.route ?? '', logFault }))
    }
    const signed = await answer.result(context, result)
    return result.internal?.(inbound, signed) ?? signed
  }

  return async (core, inbound, trace, place) => {
    const lease = budget.lease(place.source)
    try {
      return await runStages(core, inbound, trace, { lease, place })
    } finally {
      lease.release()
    }
  }
}

type RouteFinder = (parsed: ParsedInbound, inbound: Inbound, trace: Trace) => RouteMatch | undefined

// Without a way to ask the user, no key is replaced (R150).
const noStepUp: StepUp = () => 'unavailable'
const allowed: StepUp = () => 'allowed'

function createRouteFinder(parts: PipelineParts): RouteFinder {
  const { settings, routes, clock, core, metrics, internalHandlers, onReplaced, logFault } = parts
  const { label, sessions, serverKeys: manifest, actionSecret, enrollment } = settings
  const nowMs = () => clock.now()
  const stepUp = settings.rotation === 'confirm' ? (settings.stepUp ?? enrollment?.stepUp ?? noStepUp) : allowed
  // The step of the enrolment fails where a store does, and no function of the application is at fault.
  const onStepUpFault = (error: unknown) => settings.stepUp && logFault('stepUp failed', error)
  const about = { label, sessions, nowMs, core, metrics, manifest, stepUp, onStepUpFault, onReplaced }
  const builtins = createBuiltins(about)
  const profiles = actionSecret ? { 'cs.action_secret': actionSecret } : {}
  const reserved = createRouteTable({ ...builtins, ...internalHandlers, ...profiles }, { reserved: true })
  return ({ type, target }, { method, carrier }, { binding }) => {
    if (carrier) {
      const found = type === 'cs.subscribe' ? reserved.ofType(`${type} ${carrier}`) : undefined
      return found && { ...found, route: type }
    }
    if (binding === 'header') return routes.ofTarget(method, target)
    return reserved.ofType(type) ?? routes.ofType(type)
  }
}

function createTouch({ settings, clock, metrics }: PipelineParts) {
  return ({ id, lastSeenMs }: SessionRecord): void => {
    const nowMs = clock.now()
    if (nowMs - lastSeenMs < TOUCH_EVERY_MS) return
    // The request does not wait for it, and nothing depends on it.
    const touching = (async () => settings.sessions.touch(id, nowMs))()
    touching.catch(() => metrics.count('countersign_fail_closed_total', { reason: 'touch' }))
  }
}

function createHandlerCaller({ settings, closing, clock }: PipelineParts) {
  const { handlerTimeoutMs, answerHeaders: names } = settings
  return async (inbound: Inbound, trace: Trace, accepted: AcceptedRequest): Promise<CheckedResult> => {
    const { parsed, session, payload, route: match, methods } = accepted
    const { requestId, timestampMs, idempotencyKey } = parsed.request
    const { type, target } = parsed
    const { binding, source } = trace
    const { method } = inbound
    const isHeader = binding === 'header'
    if (!match) return checkResult(isHeader ? missing(methods) : { resultCode: 'unknown_type' }, isHeader, method)
    const { handler, route, params } = match
    const unsigned = unsignedOf(inbound)
    const path = pathOf(target)
    const line = { target, method: isHeader ? method : '', path, query: new URLSearchParams(target.slice(path.length)) }
    const result = await runHandler(
      async (context) => plainResultOf(await handler(context), isHeader),
      {
        ...{ session, userId: session.userId, type, route, payload, idempotencyKey, requestId, timestampMs },
        ...{ ...line, binding, source, params, unsigned, acceptedMs: clock.now(), [answerNames]: names },
        json: () => jsonOfPayload(payload) as never
      },
      { client: inbound.onGone, gateway: closing, timeoutMs: type === 'cs.poll' ? POLL_MS : handlerTimeoutMs }
    )
    return checkResult(result, isHeader, method, names)
  }
}

// The answer to a target without a handler (R170).
const missing = (methods: string[]): HandlerResult =>
  methods.length === 0 ? { status: 404 } : { status: 405, headers: { allow: methods.join(', ') } }

function unsignedOf(inbound: Inbound): HandlerContext['unsigned'] {
  return {
    contentType: inbound.header('content-type') ?? '',
    accept: inbound.header('accept') ?? '',
    acceptLanguage: inbound.header('accept-language') ?? '',
    userAgent: inbound.header('user-agent') ?? ''
  }
}

// In every phase but the last, a verified request without a signed route goes to the handler that was there before.
function passOnOf(trace: Trace, session: SessionRecord, methods: string[]): PassedOn | undefined {
  if (trace.binding !== 'header') return undefined
  const status = methods.length === 0 ? 404 : 405
  const passed = trace.passOn({ stage: 'handler', code: `http.${status}` satisfies Unrouted, status })
  return passed && { ...passed, sessionId: session.id, userId: session.userId }
}

// A client ends its poll or its stream by leaving. Nobody reads an answer, and nothing was refused.
function hasLeft(error: unknown, match: RouteMatch | undefined): boolean {
  const isListening = match?.route === 'cs.poll' || match?.route === 'cs.subscribe'
  return isListening && isHandlerRefusal(error) && (error.cause as CountersignError | undefined)?.code === 'ERR_ABORTED'
}

// A handler that threw has no answer. Only the operator learns the reason. The gateway's own handlers throw where a
// store fails; an exception of the application's handler is a defect, and nobody knows how far it came (R66).
function refusalOf(error: unknown, trace: Trace, { route, logFault }: { route: string; logFault: FaultLog }): Refusal {
  if (isHandlerRefusal(error)) {
    const { stage, code, retryAfterMs, cause } = error
    const issues = error instanceof BadInput ? error.issues : undefined
    trace.error = cause
    return { stage, code, retryAfterMs, issues }
  }
  trace.error = error
  if (isReservedName(route)) return { stage: 'handler', code: 'cs.unavailable', retryAfterMs: RETRY_AFTER_MS }
  logFault(`the handler of ${escapeText(route)} failed`, error)
  return { stage: 'handler', code: 'cs.internal' }
}
