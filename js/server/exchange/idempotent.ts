// SPDX-License-Identifier: MIT
// A handler that runs once for each intent (PROTOCOL.md, R130 to R132). The answer to a request with an idempotency key
// is kept, and sent again to every later request with the same key.

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { DAY_MS } from '../../common/protocol.ts'
import { integerOf, optionsOf } from '../../core/args.ts'
import { pickHeaders, usualHeaders } from '../support/answer-headers.ts'
import { functionOf, partOf } from '../support/checks.ts'
import { within } from '../support/deadline.ts'
import { encodeBase64, sha256 } from '../support/encoding.ts'
import { createGatewayClock } from '../support/gateway-clock.ts'
import type { AnswerClaim, AnswerStore, AnswerVerdict, Handler, HandlerContext, KeptAnswer } from '../types.ts'
import { BadInput, plainResultOf } from './json.ts'
import { answerNames, checkResult, HandlerRefusal, type NamedContext } from './routes.ts'
import { RETRY_AFTER_MS } from './sign-answer.ts'

/** Options of `idempotent`. */
export type IdempotentOptions = {
  answers: AnswerStore
  /**
   * How long an answer is kept and sent again, in milliseconds. Default: 86400000 ms (24 h). A later try runs the
   * handler again.
   */
  keepMs?: number
  /**
   * The longest time that the handler may take, in milliseconds. Default: 30000 ms. Where its process has died, other
   * tries have to wait this long.
   */
  holdMs?: number
  /**
   * How long a second try waits for the answer of the first one, in milliseconds. Default: 3000 ms. Then it gets
   * `cs.unavailable` and may come back.
   */
  waitMs?: number
  /**
   * The largest payload that is kept, in bytes. Default: 65536 bytes. A larger answer is sent once; later tries get
   * `cs.outcome_unknown`.
   */
  answerBytes?: number
  /** Says that the handler may run again with the same key and payload. Then no outcome is unknown. Default: false. */
  repeatable?: boolean
  /** Returns true for an exception of the handler that left no effect. The key is free again then. Default: none. */
  isUndone?: (error: unknown) => boolean
  /** Called when an answer could not be kept. The caller has it; a later try gets `cs.outcome_unknown`. */
  onFailure?: (error: unknown) => void
  /** Returns the time in Unix milliseconds. The clock ignores a reading that is earlier than the last one. */
  now?: () => number
}

const NAMES: readonly (keyof IdempotentOptions)[] = [
  ...(['answers', 'keepMs', 'holdMs', 'waitMs', 'answerBytes', 'repeatable', 'isUndone', 'onFailure', 'now'] as const)
]

const STORE_MS = 1000
const FIRST_PAUSE_MS = 25
const LAST_PAUSE_MS = 250

function readOptions(options: IdempotentOptions) {
  const {
    answers,
    keepMs = DAY_MS,
    holdMs = 30_000,
    waitMs = 3000,
    answerBytes = 65_536
  } = optionsOf(options, 'idempotent', NAMES)
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

type IdempotentSettings = ReturnType<typeof readOptions>

// JSON of strings has one reading, whatever is in them.
const hashOf = (...parts: string[]): Uint8Array => sha256(JSON.stringify(parts))

const refused = (code: HandlerRefusal['code'], cause?: unknown): HandlerRefusal =>
  new HandlerRefusal(code, code === 'cs.unavailable' ? RETRY_AFTER_MS : undefined, cause)

const claimFor = (
  { userId, route, type, payload }: HandlerContext,
  key: string,
  { holdMs, keepMs, repeatable }: IdempotentSettings
): Omit<AnswerClaim, 'nowMs'> => ({
  key32: hashOf(userId, route, key),
  fingerprint32: hashOf(type, encodeBase64(sha256(payload), 'base64url')),
  token: randomBytes(16).toString('base64url'),
  owner: userId,
  holdMs,
  keepMs,
  repeatable
})

type ClaimDraft = ReturnType<typeof claimFor>

// A claim that failed may have reached the store all the same. The handler did not run, so the key is released if
// possible.
async function takeClaim({ answers, clock }: IdempotentSettings, claim: ClaimDraft): Promise<AnswerVerdict> {
  try {
    return await within(STORE_MS, 'the answer store', () => answers.claim({ ...claim, nowMs: clock.now() }))
  } catch (error) {
    const releasing = within(STORE_MS, 'the answer store', () => answers.release(claim.key32, claim.token))
    releasing.catch(() => {})
    throw refused('cs.unavailable', error)
  }
}

async function takeTurn(
  settings: IdempotentSettings,
  claim: ClaimDraft,
  context: HandlerContext
): Promise<AnswerVerdict> {
  const untilMs = performance.now() + settings.waitMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
    const verdict = await takeClaim(settings, claim)
    if (verdict.state !== 'held' || context.signal.aborted || performance.now() + pauseMs > untilMs) return verdict
    await pause(pauseMs)
  }
}

// The caller gets the answer whether the store keeps it or not: the handler has had its effect.
async function keep(
  settings: IdempotentSettings,
  { key32, token }: ClaimDraft,
  answer: KeptAnswer | null
): Promise<void> {
  const { answers, answerBytes, keepMs, clock, onFailure } = settings
  const kept = answer && answer.payload.length <= answerBytes ? answer : null
  try {
    await within(STORE_MS, 'the answer store', () => answers.finish(key32, token, kept, { keepMs, nowMs: clock.now() }))
  } catch (error) {
    try {
      onFailure(error)
    } catch {
      // The caller gets the answer also where this hook fails.
    }
  }
}

async function fail(settings: IdempotentSettings, claim: ClaimDraft, error: unknown): Promise<never> {
  const { answers, repeatable, isUndone } = settings
  if (repeatable || (error instanceof BadInput && error.isUndone) || isUndone(error))
    await within(STORE_MS, 'the answer store', () => answers.release(claim.key32, claim.token)).catch(() => {})
  else await keep(settings, claim, null)
  throw error
}

async function run(
  settings: IdempotentSettings,
  claim: ClaimDraft,
  handler: Handler,
  context: NamedContext
): Promise<KeptAnswer> {
  const { binding, type, [answerNames]: names } = context
  const method = type.split(' ', 1)[0] as string
  let answer: KeptAnswer
  try {
    const isHeader = binding === 'header'
    const result = await plainResultOf(await handler(context), isHeader)
    const { internal: _, ...kept } = checkResult(result, isHeader, method, names)
    answer = kept
  } catch (error) {
    return fail(settings, claim, error)
  }
  await keep(settings, claim, answer)
  return answer
}

// A store may return more than it was given. The gateway's list of headers may be a shorter one by now.
function resultOf(
  { resultCode, status, payload, contentType, headers }: KeptAnswer,
  names: ReadonlySet<string>
): KeptAnswer {
  return { resultCode, status, payload, contentType, headers: pickHeaders(headers, names) }
}

/**
 * Wraps a handler so that it runs once for each user, route and idempotency key (R130). A second try gets the answer of
 * the first one, signed for its own request. A request without a key goes straight to the handler.
 *
 * A try is refused with `cs.idempotency_conflict` when the key was used with another payload or target. A try that
 * comes while the first one runs waits, then gets `cs.unavailable`. Where the process died in between, or the handler
 * threw, the effect is unknown. Then later tries get `cs.outcome_unknown`. The handler runs again only where
 * `repeatable` is true. The try whose handler threw gets `cs.internal`, as without this wrapper.
 *
 * @throws ERR_INVALID_ARGUMENT when an option is not valid.
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
  return async (context: NamedContext) => {
    const { idempotencyKey, [answerNames]: names = usualHeaders } = context
    if (idempotencyKey === undefined) return handler(context)
    // Answers that were kept by a gateway's clock that is ahead would otherwise stay for as long as it is (R147).
    settings.clock.follow(context.acceptedMs)
    const claim = claimFor(context, idempotencyKey, settings)
    const verdict = await takeTurn(settings, claim, context)
    switch (verdict.state) {
      case 'claimed':
        return run(settings, claim, handler, context)
      case 'kept':
        return resultOf(verdict.answer, names)
      case 'conflict':
        throw refused('cs.idempotency_conflict')
      case 'unknown':
        throw refused('cs.outcome_unknown')
      default:
        throw refused('cs.unavailable', new Error(`the answer store returned ${verdict.state}`))
    }
  }
}
