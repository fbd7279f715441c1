// SPDX-License-Identifier: MIT
// The rate rules as data. The client asks this table before it sends; the server decides by the same table.

import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../common/protocol.ts'
import { integerOf, optionsOf } from '../../core/args.ts'

/** At most `limit` actions within any `windowMs`. */
export type ActionWindow = { limit: number; windowMs: number }

export type ActionRules = {
  /** Limits over all actions of a user. */
  all: readonly ActionWindow[]
  /** Further limits over the actions of one type. */
  perType: { readonly [actionType: string]: readonly ActionWindow[] }
}

/** The rules of ADR-005: 3 s between actions, 10 a minute, 100 an hour, 500 a day, and limits for each type. */
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

/** Returns the windows in which an action counts, each with a unique name. */
export function windowsOf(rules: ActionRules, actionType: string): readonly (ActionWindow & { name: string })[] {
  const own = Object.hasOwn(rules.perType, actionType) ? (rules.perType[actionType] as readonly ActionWindow[]) : []
  return [
    ...rules.all.map((window) => ({ ...window, name: `all/${window.windowMs}` })),
    ...own.map((window) => ({ ...window, name: `${actionType}/${window.windowMs}` }))
  ]
}

/**
 * Checks rules.
 * @throws ERR_INVALID_ARGUMENT when a limit or a window is out of range.
 */
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

/** Limits the actions of one client. */
export type ActionLimiter = {
  /** Returns the milliseconds until an action of this type may be sent; 0 when it may be sent now. Counts nothing. */
  waitMs(actionType: string): number
  /** Counts an action that is about to be sent. */
  note(actionType: string): void
  /** Takes the wait that the server asked for. */
  follow(retryAfterMs: number | undefined): void
}

/**
 * Creates a limiter that keeps a client within the rules, and within the server's last `retry_after`. It only avoids
 * useless requests: the server counts for itself and decides.
 * @throws ERR_INVALID_ARGUMENT when the rules are invalid.
 *
 * @example
 * const limiter = createLimiter()
 * if (limiter.waitMs('puzzle_complete') === 0) {
 *   limiter.note('puzzle_complete')
 *   limiter.follow((await submitAction(client, fields)).retryAfterMs)
 * }
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
