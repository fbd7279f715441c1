// SPDX-License-Identifier: MIT
// A proof at the server, check by check: session, form, age, signature, nonce, the action itself, rate, points.

import { isCountersignError } from '../../../common/errors.ts'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import type { CodeStore, ReplayStore } from '../../../server/stores/types.ts'
import { callHook, functionOf, partOf } from '../../../server/support/checks.ts'
import { sha256 } from '../../../server/support/encoding.ts'
import type { RawValue } from '../../common/json-scanner.ts'
import { BATCH, MAX_BATCH } from '../batch.ts'
import type { SecretKey } from '../create.ts'
import { OUTER } from '../message.ts'
import { type ActionRules, actionRules, rulesOf, windowsOf } from '../rules.ts'
import type { VerifiedAction } from '../types.ts'
import {
  isFresh,
  isSigned,
  MAX_AGE_MS,
  type ParsedProof,
  parseProof,
  parseUnsignedProof,
  SKEW_MS,
  scanBody,
  type VerifyMode
} from '../verify.ts'
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
  /** By action type; a type that is not here is refused. */
  actions: { readonly [actionType: string]: ActionKind }
  /** Remembers nonces and action ids: a store of its own, or the gateway's. */
  nonces: ReplayStore
  /** Counts actions in sliding windows: the gateway's CodeStore does. */
  counters: Pick<CodeStore, 'take' | 'giveBack'>
  /** The compatible mode's secrets; without them only signed requests of the exchange are taken. */
  secrets?: ActionSecrets
  rules?: ActionRules
  /** 30000 and 5000 unless told. */
  maxAgeMs?: number
  skewMs?: number
  /** `slices` unless told. */
  mode?: VerifyMode
  /** How long an `action_id` is remembered; a day unless told. */
  actionIdMs?: number
  /** Keeps the score; where it rejects, the answer is 503, and nonce and `action_id` are burnt: it may have been kept. */
  onAccepted?: (accepted: AcceptedAction) => void | Promise<void>
  /** Each accepted or refused proof. */
  onRecord?: (record: ProofRecord) => void
  now?: () => number
}

const DAY_MS = 86_400_000

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

/** How a proof ended. */
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

/** Judges bodies; it never rejects. */
export type ActionProofs = {
  handle(request: ProofRequest): Promise<ProofOutcome>
  /** Prometheus text. */
  metrics(): string
}

/**
 * Makes the judge of action proofs. It throws ERR_INVALID_ARGUMENT for options that cannot work. Answers: 200 with
 * `points`, 400 `malformed` or `stale`, 401 `no_session`, 403 `bad_signature`, 409 `nonce_used` or `duplicate_action`, 422
 * `unknown_action` or `implausible`, 429 with `retry_after` in seconds, 503 where a store does not answer.
 *
 * @example
 * ```ts
 * const proofs = actionProofs({ actions: { puzzle_complete: { points: 100 } }, nonces: replay, counters: codes, secrets })
 * const { status, body } = await proofs.handle({ body: rawBody, userId, sessionId, keyId: request.headers['action-key'] })
 * ```
 */
export function actionProofs(options: ActionProofsOptions): ActionProofs {
  const settings = readOptions(options)
  const { kinds, nonces, counters, secrets, rules, mode, maxAgeMs, skewMs, actionIdMs, onAccepted, onRecord, now } =
    settings
  const watch = createWatch(options)

  const reserve = (what: string, userId: string, id: string, timestampMs: number, untilMs: number, nowMs: number) => {
    // One text, since no part of it can hold a NUL.
    const key = sha256(`countersign action-proof ${what}\0${userId}\0${id}`)
    return nonces.reserve(key, timestampMs, Math.max(untilMs, nowMs), nowMs, `action/${userId}`)
  }

  const takeRates = async (userId: string, actionType: string, nowMs: number): Promise<number> => {
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

  // What a player claims may be anything: data the table was not made for is worth nothing, and no fault of the server.
  const worth = ({ points }: ActionKind, action: VerifiedAction): number | undefined => {
    try {
      return typeof points === 'function' ? points(action) : points
    } catch {
      return undefined
    }
  }

  // The same for what throws at once; a promise that rejects is a rule that could not be asked.
  const isPossible = async ({ isPlausible }: ActionKind, action: VerifiedAction, userId: string): Promise<boolean> => {
    if (!isPlausible) return true
    let answer: boolean | Promise<boolean> = false
    try {
      answer = isPlausible(action, { userId })
    } catch {}
    return (await answer) === true
  }

  const judge = async (
    { action }: ParsedProof,
    who: { userId: string; sessionId: string },
    nowMs: number
  ): Promise<ProofDecision> => {
    const { userId } = who
    const { actionType, timestampMs, nonce, expectedPoints, actionId } = action
    const verdict = await reserve('nonce', userId, nonce, timestampMs, timestampMs + maxAgeMs + 2 * skewMs, nowMs)
    if (verdict === 'used') return refuse('nonce', 'nonce_used')
    if (verdict === 'too-old') return refuse('nonce', 'stale')
    if (verdict !== 'reserved') return refuse('nonce', 'unavailable', 1000)
    const kind = kinds.get(actionType)
    if (!kind) return refuse('rules', 'unknown_action')
    if (!(await isPossible(kind, action, userId))) return refuse('rules', 'implausible')
    const waitMs = await takeRates(userId, actionType, nowMs)
    if (waitMs > 0) return refuse('rate', 'rate_limited', waitMs)
    const points = worth(kind, action)
    if (points === undefined) return refuse('points', 'implausible')
    if (points !== expectedPoints) return { ...refuse('points', 'implausible'), points }
    if (actionId !== undefined) {
      const known = await reserve('id', userId, actionId, nowMs, nowMs + actionIdMs, nowMs)
      if (known === 'used') return refuse('nonce', 'duplicate_action')
      if (known !== 'reserved') return refuse('nonce', 'unavailable', 1000)
    }
    await onAccepted?.({ ...who, action, points })
    return { stage: 'accepted', points }
  }

  const judgeOne = async (text: string, raw: RawValue, request: ProofRequest, keys: readonly SecretKey[]) => {
    const { userId = '', sessionId = '', isSigned: isExchange = false } = request
    const nowMs = now()
    const opened = isExchange ? parseUnsignedProof(text, raw) : parseProof(text, raw, mode)
    if (!opened) return { verdict: refuse('parse', 'malformed') }
    const { action } = opened
    const judged = async (): Promise<ProofDecision> => {
      if (!isFresh(action.timestampMs, nowMs, maxAgeMs, skewMs)) return refuse('freshness', 'stale')
      let isGood = isExchange
      // Every key is tried whatever the first says: which one it was is not to be told from the time it takes.
      for (const key of keys) isGood = (await isSigned(opened, key)) || isGood
      return isGood ? judge(opened, { userId, sessionId }, nowMs) : refuse('signature', 'bad_signature')
    }
    return { verdict: await judged().catch(() => refuse('nonce', 'unavailable', 1000)), action }
  }

  const record = (request: ProofRequest, { stage, error, points }: ProofDecision, action?: VerifiedAction): void => {
    const { userId, sessionId, sender } = request
    const entry: ProofRecord = {
      atMs: now(),
      stage,
      ...(error ? { error } : {}),
      ...(userId === undefined ? {} : { userId }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(action ? { actionType: action.actionType, expectedPoints: action.expectedPoints } : {}),
      ...(action?.actionId === undefined ? {} : { actionId: action.actionId }),
      ...(points === undefined ? {} : { points }),
      ...(sender === undefined ? {} : { sender })
    }
    watch.note(entry)
    callHook(() => onRecord?.(entry))
  }

  const keysOf = async ({ sessionId, keyId, isSigned: isExchange }: ProofRequest): Promise<readonly SecretKey[]> =>
    isExchange || !secrets || sessionId === undefined ? [] : secrets.of(sessionId, now(), keyId)

  const end = (request: ProofRequest, verdict: ProofDecision, action?: VerifiedAction): ProofDecision => {
    record(request, verdict, action)
    return verdict
  }

  const outcomeOf = (verdict: ProofDecision): ProofOutcome => ({
    status: verdict.error ? statusOf[verdict.error] : 200,
    body: bodyOf(verdict)
  })

  const handle = async (request: ProofRequest): Promise<ProofOutcome> => {
    if (request.userId === undefined) return outcomeOf(end(request, refuse('session', 'no_session')))
    const body = scanBody(request.body, 3)
    const one = body?.members.get(OUTER)
    const many = body?.members.get(BATCH)?.items
    const isOneOf = (one === undefined) !== (many === undefined)
    if (!body || !isOneOf || (many && (many.length === 0 || many.length > MAX_BATCH))) {
      return outcomeOf(end(request, refuse('parse', 'malformed')))
    }
    const keys = await keysOf(request)
    const verdicts: ProofDecision[] = []
    // In their order: the second of two counts after the first.
    for (const raw of many ?? [one as RawValue]) {
      const { verdict, action } = await judgeOne(body.text, raw, request, keys)
      verdicts.push(end(request, verdict, action))
    }
    if (!many) return outcomeOf(verdicts[0] as ProofDecision)
    return {
      status: 200,
      body: { results: verdicts.map((verdict) => ({ ...bodyOf(verdict), code: outcomeOf(verdict).status })) }
    }
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
