// SPDX-License-Identifier: MIT
// The options of a queue.

import { schedule } from '../client/call-options.ts'
import { type FillRandom, fillRandom, type Schedule, wallNow } from '../common/platform.ts'
import { DAY_MS, HOUR_MS, MIB } from '../common/protocol.ts'
import { badArgument, integerOf, optionsOf, textOf } from '../core/args.ts'
import { indexedDbIntents } from './stores.ts'
import type { AddOptions, IntentQueueOptions, IntentStore } from './types.ts'

/** A queue's checked options, with defaults filled in. */
export type QueueSettings = {
  readonly store: IntentStore
  readonly name: string
  readonly owner: string | undefined
  readonly capacity: number
  readonly maxBytes: number
  readonly expiresMs: number
  readonly now: () => number
  readonly schedule: Schedule
  readonly fill: FillRandom
}

const NAMES: readonly (keyof IntentQueueOptions)[] = [
  ...(['store', 'name', 'owner', 'capacity', 'maxBytes', 'expiresMs', 'now', 'schedule'] as const)
]
const METHODS = ['list', 'add', 'put', 'delete', 'lock'] as const

function storeOf(value: IntentStore): IntentStore {
  for (const name of METHODS)
    if (typeof optionsOf(value, 'store')[name] !== 'function') throw badArgument(`store.${name} must be a function`)
  return value
}

function functionOf<T>(value: T, name: string): T {
  if (typeof value !== 'function') throw badArgument(`${name} must be a function`)
  return value
}

function nameOf(value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(value)) return value
  throw badArgument('name must be 1 to 64 characters of [A-Za-z0-9._-]')
}

/**
 * Checks the names of the options of `add`, and returns them.
 * @throws ERR_INVALID_ARGUMENT when the value is no object, or has another name.
 */
export function addOptionsOf(options: AddOptions): AddOptions {
  return optionsOf(options, 'options', ['expiresMs', 'key'])
}

/**
 * Checks the options of intentQueue.
 * @throws a usage error for an invalid option.
 */
export function readQueueOptions(options: IntentQueueOptions): QueueSettings {
  const {
    store,
    name = 'countersign',
    owner,
    capacity = 1000,
    maxBytes = 8 * MIB
  } = optionsOf(options, 'options', NAMES)
  const { expiresMs = 12 * HOUR_MS, now = wallNow, schedule: timers = schedule } = options
  return Object.freeze({
    store: store === undefined ? indexedDbIntents() : storeOf(store),
    name: nameOf(name),
    owner: owner === undefined ? undefined : textOf(owner, 'owner'),
    capacity: integerOf(capacity, 1, 1_000_000, 'capacity'),
    maxBytes: integerOf(maxBytes, 0, 1024 * MIB, 'maxBytes'),
    expiresMs: integerOf(expiresMs, 1, 366 * DAY_MS, 'expiresMs'),
    now: functionOf(now, 'now'),
    schedule: functionOf(timers, 'schedule'),
    fill: fillRandom
  })
}
