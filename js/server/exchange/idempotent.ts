// SPDX-License-Identifier: MIT
// A handler that runs once for each intent (PROTOCOL.md, R130 to R132): what became of a request with an idempotency key is
// kept, and told again to whoever asks with the same key.

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { DAY_MS } from '../../common/protocol.ts'
import { integerOf, optionsOf } from '../../core/args.ts'
import { functionOf, partOf } from '../support/checks.ts'
import { within } from '../support/deadline.ts'
import { encodeText, sha256 } from '../support/encoding.ts'
import { createGatewayClock } from '../support/gateway-clock.ts'
import type { AnswerClaim, AnswerStore, AnswerVerdict, Handler, HandlerContext, KeptAnswer } from '../types.ts'
import { checkResult, HandlerRefusal } from './routes.ts'

/** Options of `idempotent`. */
export type IdempotentOptions = {
  answers: AnswerStore
  /** For how long an answer is told again; 24 h by default. A try that comes later runs the handler again. */
  keepMs?: number
  /** The longest the handler may take, 30 s by default: for so long others are told to wait where its process has died. */
  holdMs?: number
  /** For how long a second try waits for the first one's answer before it is told to come back; 3 s by default. */
  waitMs?: number
  /** The largest payload that is kept, 64 KiB by default. The outcome of a larger answer is told once, then unknown. */
  answerBytes?: number
  /** Running the handler again with the same key and payload does no harm: no outcome is unknown then. False by default. */
  repeatable?: boolean
  /** Tells failures of the handler that left no effect: the key is free again then. None by default. */
  isUndone?: (error: unknown) => boolean
  /** Told when an answer could not be kept: the caller has it, a later try will be told that the outcome is unknown. */
  onFailure?: (error: unknown) => void
  /** Unix milliseconds; what it gives never takes the clock back. */
  now?: () => number
}

const STORE_MS = 1000
const RETRY_MS = 1000
const FIRST_PAUSE_MS = 25
const LAST_PAUSE_MS = 250

function readOptions(options: IdempotentOptions) {
  const {
    answers,
    keepMs = DAY_MS,
    holdMs = 30_000,
    waitMs = 3000,
    answerBytes = 65_536
  } = optionsOf(options, 'idempotent')
  partOf(answers, ['claim', 'finish', 'release'], 'idempotent: answers must be an AnswerStore')
  for (const name of ['isUndone', 'onFailure', 'now'] as const) functionOf(options[name], `idempotent: ${name}`)
  return {
    answers,
    holdMs: integerOf(holdMs, 1, DAY_MS, 'idempotent: holdMs'),
    keepMs: integerOf(keepMs, holdMs, 366 * DAY_MS, 'idempotent: keepMs'),
    waitMs: integerOf(waitMs, 0, DAY_MS, 'idempotent: waitMs'),
    answerBytes: integerOf(answerBytes, 0, Number.MAX_SAFE_INTEGER, 'idempotent: answerBytes'),
    repeatable: options.repeatable === true,
    isUndone: options.isUndone ?? (() => false),
    onFailure: options.onFailure ?? (() => {}),
    clock: createGatewayClock(options.now)
  }
}

type Settings = ReturnType<typeof readOptions>

// JSON of strings has one reading, whatever is in them.
const hashOf = (...parts: string[]): Uint8Array => sha256(JSON.stringify(parts))

const refused = (code: HandlerRefusal['code'], cause?: unknown): HandlerRefusal =>
  new HandlerRefusal(code, code === 'cs.unavailable' ? RETRY_MS : undefined, cause)

const claimFor = (
  { userId, route, type, payload }: HandlerContext,
  key: string,
  { holdMs, keepMs, repeatable }: Settings
): Omit<AnswerClaim, 'nowMs'> => ({
  key32: hashOf(userId, route, key),
  fingerprint32: hashOf(type, encodeText(sha256(payload), 'base64url')),
  token: randomBytes(16).toString('base64url'),
  owner: userId,
  holdMs,
  keepMs,
  repeatable
})

type Claim = ReturnType<typeof claimFor>

// A claim that failed may have been taken all the same. Nothing ran, so the key is let go where that is possible.
async function takeClaim({ answers, clock }: Settings, claim: Claim): Promise<AnswerVerdict> {
  try {
    return await within(STORE_MS, 'the answer store', () => answers.claim({ ...claim, nowMs: clock.now() }))
  } catch (error) {
    const releasing = within(STORE_MS, 'the answer store', () => answers.release(claim.key32, claim.token))
    releasing.catch(() => {})
    throw refused('cs.unavailable', error)
  }
}

async function takeTurn(settings: Settings, claim: Claim, context: HandlerContext): Promise<AnswerVerdict> {
  const untilMs = performance.now() + settings.waitMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
    const verdict = await takeClaim(settings, claim)
    if (verdict.state !== 'held' || context.signal.aborted || performance.now() + pauseMs > untilMs) return verdict
    await pause(pauseMs)
  }
}

// The answer is the caller's whether it can be kept or not: its effect is there.
async function keep(settings: Settings, { key32, token }: Claim, answer: KeptAnswer | null): Promise<void> {
  const { answers, answerBytes, keepMs, clock, onFailure } = settings
  const kept = answer && answer.payload.length <= answerBytes ? answer : null
  try {
    await within(STORE_MS, 'the answer store', () => answers.finish(key32, token, kept, { keepMs, nowMs: clock.now() }))
  } catch (error) {
    try {
      onFailure(error)
    } catch {
      // Nor is it lost where nobody can be told.
    }
  }
}

async function fail(settings: Settings, claim: Claim, error: unknown): Promise<never> {
  const { answers, repeatable, isUndone } = settings
  if (repeatable || isUndone(error)) {
    await within(STORE_MS, 'the answer store', () => answers.release(claim.key32, claim.token)).catch(() => {})
    throw error
  }
  await keep(settings, claim, null)
  throw refused('cs.outcome_unknown', error)
}

async function run(settings: Settings, claim: Claim, handler: Handler, context: HandlerContext): Promise<KeptAnswer> {
  const { binding, type } = context
  let answer: KeptAnswer
  try {
    answer = checkResult((await handler(context)) ?? undefined, binding === 'header', type.split(' ', 1)[0] as string)
  } catch (error) {
    return fail(settings, claim, error)
  }
  await keep(settings, claim, answer)
  return answer
}

/**
 * idempotent wraps a handler so that it runs once for each user, route and idempotency key: a second try gets the first
 * one's answer, signed anew for its own request. A request without a key goes straight to the handler. The same key with
 * another payload or target is refused (`cs.idempotency_conflict`); a try that comes while the first one runs waits, then is
 * told to come back (`cs.unavailable`). Where the process died in between, or the handler threw, nobody can say whether it
 * had an effect: later tries are told so (`cs.outcome_unknown`) and it does not run again, unless `repeatable` says that it
 * may. It throws ERR_INVALID_ARGUMENT for options that cannot work.
 *
 * @example
 * ```ts
 * const { answers, ...stores } = lmdbStores({ path: 'data/myapp.lmdb' })
 * const routes = { 'order.place': idempotent(placeOrder, { answers }) }
 * ```
 */
export function idempotent(handler: Handler, options: IdempotentOptions): Handler {
  functionOf(handler ?? null, 'idempotent: handler')
  const settings = readOptions(options)
  return async (context) => {
    const { idempotencyKey } = context
    if (idempotencyKey === undefined) return handler(context)
    const claim = claimFor(context, idempotencyKey, settings)
    const verdict = await takeTurn(settings, claim, context)
    switch (verdict.state) {
      case 'claimed':
        return run(settings, claim, handler, context)
      case 'kept':
        return verdict.answer
      case 'conflict':
        throw refused('cs.idempotency_conflict')
      case 'unknown':
        throw refused('cs.outcome_unknown')
      default:
        throw refused('cs.unavailable', new Error(`the answer store returned ${verdict.state}`))
    }
  }
}
