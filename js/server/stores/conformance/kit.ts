// SPDX-License-Identifier: MIT
// The tools of the suites: a runner's `test`, an `assert`, and a function that makes fresh stores.

import type { AnswerStore, CodeStore, EventStore, ReplayStore, SessionRecord, SessionStore } from '../../types.ts'

/** Registers a test: node:test's `test`, or any runner's function of a name and an async function. */
export type ConformanceTest = (name: string, run: () => Promise<void>) => unknown

/** The assertions that the suites use. node:assert/strict has them. */
export type ConformanceAssert = {
  ok(value: unknown, message?: string): void
  equal(actual: unknown, expected: unknown, message?: string): void
  notEqual(actual: unknown, expected: unknown, message?: string): void
  deepEqual(actual: unknown, expected: unknown, message?: string): void
  rejects(promise: Promise<unknown>): Promise<void>
}

/** The stores under test. A suite needs only its own. */
export type ConformanceStores = {
  sessions?: SessionStore
  /** Its capacity is 640. */
  replay?: ReplayStore
  /** It has room for at least 64 records. */
  codes?: CodeStore
  /** Its capacity is 640. One owner has at most 10 keys of it. */
  answers?: AnswerStore
  events?: EventStore
  close?(): Promise<void> | void
}

export type ConformanceOptions = {
  /** Stands in front of each test's name. Default: `store`. */
  name?: string
  /**
   * Resolves when `ms` milliseconds have passed for the store. Absent: the store has no clock but the times that the
   * suite passes.
   */
  elapse?(ms: number): Promise<void>
}

/** Makes empty stores. It is called once for each test. */
export type MakeStores = () => ConformanceStores | Promise<ConformanceStores>

type StoreName = Exclude<keyof ConformanceStores, 'close'>

/** The time at which all suites begin, in Unix milliseconds. */
export const startMs = 1_775_000_000_000

/** Returns an active session of the user `u1`, with the given changes. */
export function sessionOf(id: string, changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    ...{ id, userId: 'u1', algorithm: 'ed25519', publicKey: new Uint8Array(32).fill(7), status: 'active' },
    ...{ createdMs: startMs, lastSeenMs: startMs },
    ...changes
  }
}

/** Returns 32 random bytes. */
export function randomKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32))
}

/** Turns byte arrays of any kind into plain arrays, so that values can be compared. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_name, item) => (item instanceof Uint8Array ? [...item] : item)))
}

/** Waits for a condition. Rejects with its name when it has not come true after 10 s. */
export async function until(name: string, condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`timed out: ${name}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Returns the function that registers the tests of one store. Each test gets a fresh store and closes it. */
export function createCheck<Name extends StoreName>(
  test: ConformanceTest,
  makeStores: MakeStores,
  storeName: Name,
  { name = 'store' }: ConformanceOptions
) {
  return (rule: string, run: (store: NonNullable<ConformanceStores[Name]>) => Promise<void>): unknown =>
    test(`${name} ${storeName}: ${rule}`, async () => {
      const stores = await makeStores()
      try {
        const store = stores[storeName]
        if (!store) throw new Error(`makeStores() returned no ${storeName}`)
        await run(store as NonNullable<ConformanceStores[Name]>)
      } finally {
        await stores.close?.()
      }
    })
}
