// SPDX-License-Identifier: MIT
// The gateway: connects its parts, does the work before a binding is known (sources, CORS, mounted paths), starts and
// closes.

import { CORS_CHECK_PATH } from '../common/protocol.ts'
import type { Core } from '../common/types.ts'
import { badArgument, optionsOf } from '../core/args.ts'
import { loadCore } from '../core/index.ts'
import { createEvents } from './events/index.ts'
import { createAnswerWriter } from './exchange/answer.ts'
import { createBudget } from './exchange/budget.ts'
import { createChecks } from './exchange/checks.ts'
import { type ClockKeeper, createClockKeeper } from './exchange/clock-keeper.ts'
import { createEntry, type Entry } from './exchange/entry.ts'
import { rawLimit, signedTarget } from './exchange/parse.ts'
import { createPipeline } from './exchange/pipeline.ts'
import { createBuckets, createRequestLimiter } from './exchange/rates.ts'
import { createRouteTable, type RouteTable } from './exchange/route-table.ts'
import { createAnswerSigner, plainAnswer } from './exchange/sign-answer.ts'
import { reportRefusal } from './exchange/trace.ts'
import { createForgetUser } from './forget-user.ts'
import { createCors } from './http/cors.ts'
import { serveRequest } from './http/web-handler.ts'
import { type GatewaySettings, readOptions } from './options.ts'
import { callHook } from './support/checks.ts'
import { createBell, within } from './support/deadline.ts'
import { createFaultLog } from './support/fault-log.ts'
import { createGatewayClock, type GatewayClock } from './support/gateway-clock.ts'
import { createMetrics, type Metrics } from './support/metrics.ts'
import type { From, Gateway, GatewayOptions, Inbound, Mounted, Outbound, ReplayStore, SessionStore } from './types.ts'

const DRAIN_MS = 10_000

// Session stores whose sessions end with this process. Where no gateway here took requests of theirs before, no session
// can be older than the replay store.
const servedStores = new WeakSet<SessionStore>()

function createCoreLoader(core: GatewayOptions['core']): () => Promise<Core> {
  let loading: Promise<Core> | undefined
  return () => {
    // loadCore shares one instance and replaces one that trapped. A load that failed is tried again.
    if (core === undefined) return loadCore()
    loading ??= Promise.resolve(core)
    return loading
  }
}

type StartParts = { settings: GatewaySettings; loadCore: () => Promise<Core>; clock: GatewayClock; keeper: ClockKeeper }

function createStart({ settings, loadCore, clock, keeper }: StartParts): () => Promise<void> {
  const { replay, sessions, futureMs } = settings
  let starting: Promise<void> | undefined
  let isInStep = false
  // The clocks of two gateways are at most half of `future` apart. So others may accept requests that much newer (R65).
  const reachMs = futureMs + (replay.isShared ? Math.ceil(futureMs / 2) : 0)
  const needsFence = async (): Promise<boolean> => {
    if (replay.isShared) return true
    if (sessions.volatile && !servedStores.has(sessions)) return false
    return !(await sessions.isEmpty?.())
  }
  const start = async (): Promise<void> => {
    // Asked before the core loads: a session made meanwhile is no sign of an earlier process.
    const early = replay.mayHaveForgotten ? needsFence() : undefined
    await Promise.all([early, loadCore()])
    await keeper.start()
    if (replay.mayHaveForgotten) {
      const isFenced = await (early ?? needsFence())
      // The store may not know ids that this or another gateway accepted before. So every request that could have one
      // of them is refused until it is stale (R62).
      await replay.fence?.(isFenced ? clock.now() + reachMs : 0)
    }
    isInStep = true
  }
  return (): Promise<void> => {
    if (isInStep && replay.fence && replay.mayHaveForgotten) {
      // The store has lost its ids since the start. This is the same as a restart.
      isInStep = false
      starting = undefined
    }
    // The jump is in the store before a request is accepted by it: otherwise nobody could say later when it began.
    if (isInStep && keeper.isUnnoted) return keeper.note()
    starting ??= start().catch((error) => {
      starting = undefined
      throw error
    })
    return starting
  }
}

type MeasuredParts = { replay: ReplayStore; entry: Entry; clock: GatewayClock; enrollment: Mounted | undefined }

function addGauges(metrics: Metrics, { replay, entry, clock, enrollment }: MeasuredParts): void {
  if (enrollment?.mails) {
    const { mails } = enrollment
    const read = () =>
      Object.fromEntries(Object.entries(mails()).map(([result, count]) => [`result="${result}"`, count]))
    metrics.gauge('countersign_enrollment_mails', 'Mails of the enrolment since the start, by result.', read)
  }
  metrics.gauge('countersign_replay_ids', 'Request ids that are remembered.', () => replay.size?.() ?? Number.NaN)
  metrics.gauge('countersign_rate_buckets', 'Sources whose rate is being counted.', () => entry.sources)
  metrics.gauge('countersign_requests_in_place', 'Requests that have not reached a handler.', () => entry.places)
  metrics.gauge(
    'countersign_clock_ahead_seconds',
    "The gateway's clock minus the system's.",
    () => (clock.now() - Date.now()) / 1000
  )
}

// Which paths are the gateway's, for a mount beside other routes (R172). Headers and the method decide nothing: with them,
// a sender could choose who answers for a path.
function createOwner(settings: GatewaySettings, entry: Entry, routes: RouteTable): (target: string) => boolean {
  const isRoute = (target: string): boolean => {
    try {
      return routes.methodsOf(signedTarget(settings, target)).length > 0
    } catch {
      // The mapping does not know this target, so no route has it.
      return false
    }
  }
  return (target) => {
    if (settings.endpoint === undefined) throw badArgument('pass endpoint: without it, every path takes messages')
    return target === CORS_CHECK_PATH || entry.isInternal({ target }) || isRoute(target)
  }
}

/**
 * Creates a gateway. It verifies the requests of its label, hands them to `routes`, and signs their answers. It returns
 * at once and loads the core and prepares the stores in the background; `ready()` resolves when both are done.
 *
 * @throws ERR_INVALID_LABEL when the label is not valid.
 * @throws ERR_INVALID_ARGUMENT when another option is not valid.
 * @throws ERR_INVALID_TEXT or ERR_RESERVED_TYPE when an application may not register a route's message type.
 *
 * @example
 * ```ts
 * import { createGateway, memoryReplayStore, memorySessionStore, nodeHandler, nodeServer, serverKeyFile } from 'countersign/server'
 *
 * const gateway = createGateway({
 *   label: 'myapp',
 *   signer: serverKeyFile('server.key'),
 *   sessions: memorySessionStore(),
 *   replay: memoryReplayStore(),
 *   routes: { 'demo.echo': async ({ payload }) => ({ payload }) }
 * })
 * nodeServer(nodeHandler(gateway)).listen(8787)
 * ```
 */
export function createGateway(options: GatewayOptions): Gateway {
  const settings = readOptions(options)
  const { label, signer, limits, replay, enrollment, onStage, onRefusal } = settings
  const cors = createCors(settings)
  const clock = createGatewayClock(settings.now)
  const metrics = createMetrics()
  const observer = { metrics, ...(onStage ? { onStage } : {}), ...(onRefusal ? { onRefusal } : {}) }
  const logFault = createFaultLog(settings.logger)
  const closing = createBell()
  let closed = false
  let exchangeCount = 0
  const underWay = new Set<Promise<unknown>>()
  const coreOf = createCoreLoader(settings.core)
  const keeper = createClockKeeper({
    ...{ clock, replay, enrollment, futureMs: settings.futureMs, storeMs: limits.storeMs },
    ...{ systemNow: settings.now ?? Date.now, onWarning: settings.onWarning }
  })
  const start = createStart({ settings, loadCore: coreOf, clock, keeper })
  const failures = createBuckets(settings.rates.perSourceFailures)
  const limiter = createRequestLimiter(settings.rates)
  const signAnswer = createAnswerSigner({ label, signer, keySigner: settings.keySigner, clock, signMs: limits.storeMs })
  const charge = (sessionId: string, count: number) => limiter.charge(sessionId, clock.now(), count)
  const events = createEvents({ settings, clock, metrics, coreOf, signAnswer, charge, isClosed: () => closed })
  const routes = createRouteTable(settings.routes)
  const pipeline = createPipeline({
    settings,
    routes,
    internalHandlers: events.handlers,
    clock,
    metrics,
    core: coreOf,
    checks: createChecks({ ...settings, clock, metrics, storeMs: limits.storeMs, start }),
    answer: createAnswerWriter(signAnswer, metrics),
    budget: createBudget(limits, rawLimit('json', limits)),
    limiter,
    failures,
    logFault,
    closing: closing.listen,
    isClosed: () => closed,
    onAccepted: () => servedStores.add(settings.sessions),
    onReplaced: (event) => {
      callHook(
        () => settings.onRotated?.(event),
        (error) => logFault('onRotated failed', error)
      )
      return events.tellRotated(event)
    }
  })
  // A failure here is tried again, and reported, with the first request.
  start().catch(() => {})
  const entry = createEntry({ settings, observer, clock, coreOf, failures, pipeline })
  addGauges(metrics, { replay, entry, clock, enrollment })

  const answer = async (inbound: Inbound): Promise<Outbound> => {
    if (inbound.method === 'OPTIONS') return cors.preflight(inbound)
    if (inbound.method === 'GET' && inbound.target === CORS_CHECK_PATH) return cors.check(inbound)
    exchangeCount += 1
    const exchange = exchangeCount
    try {
      return await entry.route(inbound, exchange)
    } catch (error) {
      metrics.count('countersign_fail_closed_total', { reason: 'core' })
      reportRefusal(observer, {
        exchange,
        code: 'fault',
        status: 503,
        signed: false,
        source: inbound.remoteAddress,
        error
      })
      const passOn = entry.passingFor(inbound)(undefined, 'fault')
      return { ...plainAnswer(503), ...(passOn ? { passOn } : {}) }
    }
  }

  const exchange = async (inbound: Inbound): Promise<Outbound> => {
    const pending = answer(inbound)
    underWay.add(pending)
    const out = await pending
    underWay.delete(pending)
    if (!out.passOn) metrics.count('countersign_answers_total', { status: out.status })
    return { ...out, headers: { ...cors.headers(inbound.header('origin')), ...out.headers } }
  }

  const { phase, legacy } = settings
  return {
    phase,
    exchange,
    handle: (request: Request, from: From = {}) =>
      serveRequest(request, from, exchange, phase === 'enforce' ? undefined : legacy),
    owns: createOwner(settings, entry, routes),
    upgrade(inbound) {
      exchangeCount += 1
      return entry.upgrade(inbound, exchangeCount, events.checkUpgrade)
    },
    ready: start,
    publish: events.publish,
    forgetUser: createForgetUser(settings, clock),
    metrics: () => metrics.text(),
    async close(options: { drainMs?: number } = {}) {
      const { drainMs = DRAIN_MS } = optionsOf(options, 'close', ['drainMs'])
      closed = true
      events.close()
      const drained = Promise.allSettled([...underWay])
      await within(drainMs, 'the requests under way', () => drained).catch(() => {})
      closing.ring()
      await keeper.stop()
    }
  }
}
