// SPDX-License-Identifier: MIT
// Checks a proof at the server: session, form, age, signature, nonce, the action itself, rate, points.

import { isCountersignError } from '../../../common/errors.ts'
import { DAY_MS } from '../../../common/protocol.ts'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import type { CodeStore, ReplayStore } from '../../../server/stores/types.ts'
import { callHook, functionOf, partOf } from '../../../server/support/checks.ts'
import { sha256 } from '../../../server/support/encoding.ts'
import type { ReadProof } from '../../common/json-core.ts'
import type { SecretKey } from '../create.ts'
import { type ActionRules, actionRules, rulesOf, windowsOf } from '../rules.ts'
import type { VerifiedAction } from '../types.ts'
import { actionOf, isSigned, MAX_AGE_MS, readProofs, SKEW_MS, type VerifyMode } from '../verify.ts'
import type {
  AcceptedAction,
  ActionKind,
  ActionSecrets,
  ProofError,
  ProofOutcome,
  ProofRecord,
  ProofRequest,
  ProofStage
} from './types.ts'
import { createWatch, type WatchOptions } from './watch.ts'

export type ActionProofsOptions = WatchOptions & {
  /** The known actions by type. The server refuses every other type. */
  actions: { readonly [actionType: string]: ActionKind }
  /** Remembers nonces and action ids: a store of its own, or the gateway's. */
  nonces: ReplayStore
  /** Counts actions in sliding windows, as the gateway's CodeStore does. */
  counters: Pick<CodeStore, 'take' | 'giveBack'>
  /** The secrets of the compatible mode. Without them the server takes only signed requests of the exchange. */
  secrets?: ActionSecrets
  rules?: ActionRules
  /** Default: 30000 ms and 5000 ms. */
  maxAgeMs?: number
  skewMs?: number
  /** Default: `slices`. */
  mode?: VerifyMode
  /** How long the server remembers an `action_id`. Default: 86400000 ms (a day). */
  actionIdMs?: number
  /**
   * Stores the points. When it rejects, the answer is 503. Nonce and `action_id` stay used, because the points may be
   * stored.
   */
  onAccepted?: (accepted: AcceptedAction) => void | Promise<void>
  /** Receives the record of each accepted or refused proof. */
  onRecord?: (record: ProofRecord) => void
  now?: () => number
}

const statusOf: { readonly [Name in ProofError]: ProofOutcome['status'] } = {
  no_session: 401,
  malformed: 400,
  stale: 400,
  bad_signature: 403,
  nonce_used: 409,
  duplicate_action: 409,
  unknown_action: 422,
  implausible: 422,
  rate_limited: 429,
  unavailable: 503
}

/** The end of a proof's checks. */
type ProofDecision = { stage: ProofStage; error?: ProofError; points?: number; retryAfterMs?: number }

function refuse(stage: ProofStage, error: ProofError, retryAfterMs?: number): ProofDecision {
  return {
    stage,
    error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs })
  }
}

function bodyOf({ error, points, retryAfterMs }: ProofDecision): ProofOutcome['body'] {
  if (!error) return { status: 'ok', points }
  return { error, ...(retryAfterMs === undefined ? {} : { retry_after: Math.ceil(retryAfterMs / 1000) }) }
}

function readOptions(options: ActionProofsOptions) {
  const {
    actions,
    nonces,
    counters,
    secrets,
    rules = actionRules,
    mode = 'slices'
  } = optionsOf(options, 'actionProofs')
  partOf(nonces, ['reserve'], 'actionProofs: nonces must be a ReplayStore')
  partOf(counters, ['take', 'giveBack'], 'actionProofs: counters must be a CodeStore')
  if (secrets !== undefined) partOf(secrets, ['of'], 'actionProofs: secrets must be the result of actionSecrets')
  for (const name of ['onAccepted', 'onRecord', 'onAlert', 'now'] as const) functionOf(options[name], name)
  const kinds = new Map(Object.entries(optionsOf(actions, 'actionProofs: actions')))
  for (const [type, { points }] of kinds) {
    const isPoints = typeof points === 'function' || Number.isFinite(points)
    if (!isPoints) throw badArgument(`actionProofs: points of ${type} must be a number or a function`)
  }
  if (mode !== 'slices' && mode !== 'excise') throw badArgument("actionProofs: mode must be 'slices' or 'excise'")
  return {
    ...options,
    kinds,
    mode: mode as VerifyMode,
    rules: rulesOf(rules),
    maxAgeMs: integerOf(options.maxAgeMs ?? MAX_AGE_MS, 1, DAY_MS, 'maxAgeMs'),
    skewMs: integerOf(options.skewMs ?? SKEW_MS, 0, DAY_MS, 'skewMs'),
    actionIdMs: integerOf(options.actionIdMs ?? DAY_MS, 1, 31 * DAY_MS, 'actionIdMs'),
    now: options.now ?? Date.now
  }
}

type ProofSettings = ReturnType<typeof readOptions>

/** Reserves a nonce or an action id of a user. */
function reserve(
  { nonces }: ProofSettings,
  purpose: 'nonce' | 'id',
  {
    userId,
    id,
    timestampMs,
    untilMs,
    nowMs
  }: Record<'userId' | 'id', string> & Record<'timestampMs' | 'untilMs' | 'nowMs', number>
) {
  // No part of the text can hold a NUL, so two different triples never give the same text.
  const key = sha256(`countersign action-proof ${purpose}\0${userId}\0${id}`)
  return nonces.reserve(key, timestampMs, Math.max(untilMs, nowMs), nowMs, `action/${userId}`)
}

/** Counts an action in every window. Returns the milliseconds to wait, and counts nothing, when one of them is full. */
async function takeRates(
  { rules, counters }: ProofSettings,
  userId: string,
  actionType: string,
  nowMs: number
): Promise<number> {
  const taken: string[] = []
  for (const { name, limit, windowMs } of windowsOf(rules, actionType)) {
    const key = `action/${userId}/${name}`
    const waitMs = await counters.take(key, { limit, windowMs, nowMs })
    if (waitMs > 0) {
      for (const earlier of taken) await counters.giveBack(earlier)
      return waitMs
    }
    taken.push(key)
  }
  return 0
}

function pointsOf({ points }: ActionKind, action: VerifiedAction): number | undefined {
  // A player may claim anything. Data that the function cannot handle has no value and is no fault of the server.
  try {
    return typeof points === 'function' ? points(action) : points
  } catch {
    return undefined
  }
}

async function isPossible({ isPlausible }: ActionKind, action: VerifiedAction, userId: string): Promise<boolean> {
  if (!isPlausible) return true
  let answer: boolean | Promise<boolean> = false
  // A synchronous exception counts as "no". A rejected promise means that the rule could not be checked.
  try {
    answer = isPlausible(action, { userId })
  } catch {}
  return (await answer) === true
}

/** Checks a signed and fresh proof: nonce, rules, rates, points, action id. */
async function checkAction(
  settings: ProofSettings,
  action: VerifiedAction,
  user: { userId: string; sessionId: string },
  nowMs: number
): Promise<ProofDecision> {
  const { kinds, maxAgeMs, skewMs, actionIdMs, onAccepted } = settings
  const { userId } = user
  const { actionType, timestampMs, nonce, expectedPoints, actionId } = action
  const untilMs = timestampMs + maxAgeMs + 2 * skewMs
  const reserved = await reserve(settings, 'nonce', { userId, id: nonce, timestampMs, untilMs, nowMs })
  if (reserved === 'used') return refuse('nonce', 'nonce_used')
  if (reserved === 'too-old') return refuse('nonce', 'stale')
  if (reserved !== 'reserved') return refuse('nonce', 'unavailable', 1000)
  const kind = kinds.get(actionType)
  if (!kind) return refuse('rules', 'unknown_action')
  if (!(await isPossible(kind, action, userId))) return refuse('rules', 'implausible')
  const waitMs = await takeRates(settings, userId, actionType, nowMs)
  if (waitMs > 0) return refuse('rate', 'rate_limited', waitMs)
  const points = pointsOf(kind, action)
  if (points === undefined) return refuse('points', 'implausible')
  if (points !== expectedPoints) return { ...refuse('points', 'implausible'), points }
  if (actionId !== undefined) {
    const times = { timestampMs: nowMs, untilMs: nowMs + actionIdMs, nowMs }
    const known = await reserve(settings, 'id', { userId, id: actionId, ...times })
    if (known === 'used') return refuse('nonce', 'duplicate_action')
    if (known !== 'reserved') return refuse('nonce', 'unavailable', 1000)
  }
  await onAccepted?.({ ...user, action, points })
  return { stage: 'accepted', points }
}

/** Checks one proof of a body that was read at `nowMs`. */
async function checkProof(
  settings: ProofSettings,
  read: ReadProof,
  request: ProofRequest,
  keys: readonly SecretKey[],
  nowMs: number
): Promise<{ decision: ProofDecision; action?: VerifiedAction }> {
  const { userId = '', sessionId = '', isSigned: isExchange = false } = request
  if (read.verdict === 'malformed') return { decision: refuse('parse', 'malformed') }
  const action = actionOf(read)
  const check = async (): Promise<ProofDecision> => {
    if (read.verdict === 'stale') return refuse('freshness', 'stale')
    let isGood = isExchange
    // Try every key, whatever the first result: the time must not reveal which key made the signature.
    for (const key of keys) isGood = (await isSigned(read, key)) || isGood
    return isGood ? checkAction(settings, action, { userId, sessionId }, nowMs) : refuse('signature', 'bad_signature')
  }
  return { decision: await check().catch(() => refuse('nonce', 'unavailable', 1000)), action }
}

function recordOf(
  { userId, sessionId, sender }: ProofRequest,
  { stage, error, points }: ProofDecision,
  action: VerifiedAction | undefined,
  atMs: number
): ProofRecord {
  return {
    atMs,
    stage,
    ...(error ? { error } : {}),
    ...(userId === undefined ? {} : { userId }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(action ? { actionType: action.actionType, expectedPoints: action.expectedPoints } : {}),
    ...(action?.actionId === undefined ? {} : { actionId: action.actionId }),
    ...(points === undefined ? {} : { points }),
    ...(sender === undefined ? {} : { sender })
  }
}

function outcomeOf(decision: ProofDecision): ProofOutcome {
  return { status: decision.error ? statusOf[decision.error] : 200, body: bodyOf(decision) }
}

/** Checks bodies and answers them. */
export type ActionProofs = {
  /** Checks the proofs of a body, in order. Rejects with usage errors only. */
  handle(request: ProofRequest): Promise<ProofOutcome>
  /** Returns the counts as Prometheus text. */
  metrics(): string
}

/**
 * Creates the server's check of action proofs. Its answers are 200 with `points`, 400 `malformed` or `stale`, 401
 * `no_session`, 403 `bad_signature`, 409 `nonce_used` or `duplicate_action`, 422 `unknown_action` or `implausible`,
 * 429 with `retry_after` in seconds, and 503 when a store does not answer.
 * @throws ERR_INVALID_ARGUMENT for invalid options.
 *
 * @example
 * ```ts
 * const actions = { puzzle_complete: { points: 100 } }
 * const proofs = actionProofs({ actions, nonces: replay, counters: codes, secrets })
 * const keyId = request.headers['action-key']
 * const { status, body } = await proofs.handle({ body: rawBody, userId, sessionId, keyId })
 * ```
 */
export function actionProofs(options: ActionProofsOptions): ActionProofs {
  const settings = readOptions(options)
  const { secrets, onRecord, now } = settings
  const watch = createWatch(options)

  const end = (request: ProofRequest, decision: ProofDecision, action?: VerifiedAction): ProofDecision => {
    const record = recordOf(request, decision, action, now())
    watch.note(record)
    callHook(() => onRecord?.(record))
    return decision
  }

  const keysOf = async ({ sessionId, keyId, isSigned: isExchange }: ProofRequest): Promise<readonly SecretKey[]> =>
    isExchange || !secrets || sessionId === undefined ? [] : secrets.of(sessionId, now(), keyId)

  const handle = async (request: ProofRequest): Promise<ProofOutcome> => {
    if (request.userId === undefined) return outcomeOf(end(request, refuse('session', 'no_session')))
    const nowMs = now()
    const mode = request.isSigned ? 'bare' : settings.mode
    const { maxAgeMs, skewMs } = settings
    const body = await readProofs(request.body, { mode, nowMs, maxAgeMs, skewMs })
    if (!body) return outcomeOf(end(request, refuse('parse', 'malformed')))
    const keys = await keysOf(request)
    const decisions: ProofDecision[] = []
    // One after the other: the second of two proofs counts after the first.
    for (const read of body.proofs) {
      const { decision, action } = await checkProof(settings, read, request, keys, nowMs)
      decisions.push(end(request, decision, action))
    }
    if (!body.isBatch) return outcomeOf(decisions[0] as ProofDecision)
    const results = decisions.map((decision) => ({ ...bodyOf(decision), code: outcomeOf(decision).status }))
    return { status: 200, body: { results } }
  }

  return {
    async handle(request) {
      optionsOf(request, 'handle: request')
      try {
        return await handle(request)
      } catch (error) {
        if (isCountersignError(error) && error.category === 'usage') throw error
        return outcomeOf(end(request, refuse('session', 'unavailable', 1000)))
      }
    },
    metrics: watch.metrics
  }
}
