// SPDX-License-Identifier: MIT
// The rules as data: the same table for the client, which asks before it sends, and for the server, which decides.

import { integerOf, optionsOf } from '../../core/args.ts'

/** At most `limit` actions within any `windowMs`. */
export type ActionWindow = { limit: number; windowMs: number }

export type ActionRules = {
  /** Over all actions of a user. */
  all: readonly ActionWindow[]
  /** Over the actions of one type, beside those. */
  perType: { readonly [actionType: string]: readonly ActionWindow[] }
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** The documents' own: 10 a minute, 100 an hour, 500 a day, 3 s apart, and their types'. */
export const actionRules: ActionRules = Object.freeze({
  all: [
    { limit: 1, windowMs: 3000 },
    { limit: 10, windowMs: MINUTE_MS },
    { limit: 100, windowMs: HOUR_MS },
    { limit: 500, windowMs: DAY_MS }
  ],
  perType: {
    puzzle_complete: [
      { limit: 5, windowMs: MINUTE_MS },
      { limit: 50, windowMs: HOUR_MS }
    ],
    game_finish: [
      { limit: 3, windowMs: MINUTE_MS },
      { limit: 30, windowMs: HOUR_MS }
    ],
    challenge_complete: [
      { limit: 2, windowMs: MINUTE_MS },
      { limit: 20, windowMs: HOUR_MS }
    ]
  }
})

/** Gives the windows an action counts in, each with a name of its own. */
export function windowsOf(rules: ActionRules, actionType: string): readonly (ActionWindow & { name: string })[] {
  const own = Object.hasOwn(rules.perType, actionType) ? (rules.perType[actionType] as readonly ActionWindow[]) : []
  return [
    ...rules.all.map((window) => ({ ...window, name: `all/${window.windowMs}` })),
    ...own.map((window) => ({ ...window, name: `${actionType}/${window.windowMs}` }))
  ]
}

/** Checks rules, or throws ERR_INVALID_ARGUMENT. */
export function rulesOf(rules: ActionRules): ActionRules {
  const { all, perType } = optionsOf(rules, 'rules')
  const check = (windows: readonly ActionWindow[], name: string): void => {
    for (const { limit, windowMs } of windows) {
      integerOf(limit, 1, 1_000_000, `${name}: limit`)
      integerOf(windowMs, 1, 31 * DAY_MS, `${name}: windowMs`)
    }
  }
  check(all, 'rules.all')
  for (const [type, windows] of Object.entries(optionsOf(perType, 'rules.perType'))) check(windows, type)
  return rules
}

/** An actions' limiter of one client. */
export type ActionLimiter = {
  /** Milliseconds until an action of this type may be sent; 0 where it may be now. Takes nothing. */
  waitMs(actionType: string): number
  /** Counts an action that is being sent. */
  note(actionType: string): void
  /** The server has said how long to wait. */
  follow(retryAfterMs: number | undefined): void
}

/**
 * Keeps a client within the rules before the server has to, and within what the server last said
 * (`retry_after`). It decides nothing: the server's count is the one that counts.
 *
 * @example
 * const limiter = createLimiter()
 * if (limiter.waitMs('puzzle_complete') === 0) { limiter.note('puzzle_complete'); limiter.follow((await submitAction(client, fields)).retryAfterMs) }
 */
export function createLimiter(options: { rules?: ActionRules; monotonicNow?: () => number } = {}): ActionLimiter {
  const { rules = actionRules, monotonicNow = () => performance.now() } = optionsOf(options, 'options')
  rulesOf(rules)
  const sent = new Map<string, number[]>()
  let blockedUntilMs = 0
  return {
    waitMs(actionType) {
      const now = monotonicNow()
      const waits = windowsOf(rules, actionType).map(({ name, limit, windowMs }) => {
        const times = sent.get(name) ?? []
        const oldest = times[times.length - limit]
        return oldest === undefined ? 0 : oldest + windowMs - now
      })
      return Math.ceil(Math.max(0, blockedUntilMs - now, ...waits))
    },
    note(actionType) {
      const now = monotonicNow()
      for (const { name, limit, windowMs } of windowsOf(rules, actionType)) {
        const times = (sent.get(name) ?? []).filter((time) => time > now - windowMs)
        sent.set(name, [...times, now].slice(-limit))
      }
    },
    follow(retryAfterMs) {
      if (retryAfterMs !== undefined) blockedUntilMs = Math.max(blockedUntilMs, monotonicNow() + retryAfterMs)
    }
  }
}
