// SPDX-License-Identifier: MIT
// What the suites of the store interfaces are written with: a runner's `test`, an `assert`, and a way to make fresh stores.

import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionStore } from '../../types.ts'

/** What registers a test: node:test's `test`, or any runner's function of a name and an async function. */
export type ConformanceTest = (name: string, run: () => Promise<void>) => unknown

/** The assertions that the suites use; node:assert/strict has them. */
export type ConformanceAssert = {
  ok(value: unknown, message?: string): void
  equal(actual: unknown, expected: unknown, message?: string): void
  notEqual(actual: unknown, expected: unknown, message?: string): void
  deepEqual(actual: unknown, expected: unknown, message?: string): void
  rejects(promise: Promise<unknown>): Promise<void>
}

/** Stores under test; a suite asks only for its own. */
export type ConformanceStores = {
  sessions?: SessionStore
  /** Of capacity 640. */
  replay?: ReplayStore
  /** Of at least 64 records. */
  codes?: CodeStore
  /** Of capacity 640, 10 keys of it an owner's at most. */
  answers?: AnswerStore
  events?: EventStore
  close?(): Promise<void> | void
}

export type ConformanceOptions = {
  /** Stands in front of each test's name. */
  name?: string
  /**
   * Lets that much time pass for the store; resolves when it has. Absent: the times that the suite hands in are the only
   * clock of the store.
   */
  elapse?(ms: number): Promise<void>
}

/** Makes empty stores; called once for each test. */
export type MakeStores = () => ConformanceStores | Promise<ConformanceStores>

type Part = Exclude<keyof ConformanceStores, 'close'>

/** A time that all suites begin at. */
export const startMs = 1_775_000_000_000

/** randomKey makes 32 bytes. */
export function randomKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32))
}

/** plain makes a value comparable whatever kind of byte array is in it. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_name, item) => (item instanceof Uint8Array ? [...item] : item)))
}

/** until waits for a condition, 10 s at most; rejects with `what` when it has not come true. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`timed out: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** checker gives what registers the tests of one part: each gets a fresh store and leaves none open. */
export function checker<P extends Part>(
  test: ConformanceTest,
  makeStores: MakeStores,
  part: P,
  { name = 'store' }: ConformanceOptions
) {
  return (rule: string, run: (store: NonNullable<ConformanceStores[P]>) => Promise<void>): unknown =>
    test(`${name} ${part}: ${rule}`, async () => {
      const stores = await makeStores()
      try {
        const store = stores[part]
        if (!store) throw new Error(`makeStores() returned no ${part}`)
        await run(store as NonNullable<ConformanceStores[P]>)
      } finally {
        await stores.close?.()
      }
    })
}
