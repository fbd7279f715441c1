// SPDX-License-Identifier: MIT
// The server keys that a client trusts: the configured keys, and a set that the server has delivered under one of them.
// The rules are R26, R27, R97 and R125 to R127. The store keeps the signed frame of the set. The client verifies it
// again, with the configured keys alone, each time it loads it.

import { CountersignError, type ErrorCode } from '../../common/errors.ts'
import { DAY_MS } from '../../common/protocol.ts'
import type { KeySet, Stored } from '../../common/types.ts'
import type { ClientCore, HeldKeys } from '../../core/client-core.ts'
import type { ServerKey } from '../options.ts'
import { probeCall } from '../transport/ask-time.ts'
import type { Trust } from '../transport/types.ts'
import type { KeyHost } from './delivered-keys.ts'

const SOON_MS = 14 * DAY_MS
/** An answer under an unknown key makes the client ask the server, but at most once in this time, in milliseconds. */
const RENEW_EVERY_MS = 60_000

const loadSets = () =>
  import('./delivered-keys.ts').catch((cause) => {
    throw new CountersignError('ERR_LOAD_FAILED', { cause })
  })

const refused = <T>(read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    throw new CountersignError('ERR_KEY_SET_REFUSED', { cause, detail: (cause as Error).message })
  }
}

const lacksKey = (code: ErrorCode | undefined, anyKey: boolean): boolean =>
  code === 'ERR_UNKNOWN_KEY' || code === 'ERR_KEY_NOT_VALID' || (anyKey && code === 'ERR_BAD_SIGNATURE')

/** The server keys of one client. */
export class ServerKeys implements Trust {
  /** The keys that verify answers and events. */
  keys: readonly ServerKey[]
  readonly #host: KeyHost
  #held: { core: ClientCore; keys: readonly ServerKey[]; ring: HeldKeys } | undefined
  #serial = -1
  /** The time of the last request for the server's keys, in Unix milliseconds of the server. NaN when it is unknown. */
  askedMs = Number.NaN
  #set: KeySet | undefined
  #renewedMs = Number.NEGATIVE_INFINITY
  #renewing: Promise<boolean> | undefined
  #failure: unknown

  constructor(host: KeyHost) {
    this.#host = host
    this.keys = host.settings.serverKeys
  }

  /** Loads the set of an earlier visit. A set that does not verify any more is dropped. */
  async recall(kept: Stored['serverKeys']): Promise<void> {
    this.askedMs = kept?.askedMs ?? Number.NaN
    try {
      if (kept?.set) await this.#take(kept.set)
    } catch (error) {
      this.#host.settings.logger?.warn('the stored server keys were dropped', error)
    }
  }

  /**
   * Runs a check with the trusted keys, and once more when a key was missing and the server has delivered it. Rejects
   * with the error of the last check.
   */
  async check<T>(check: (keys: HeldKeys) => T, anyKey: boolean): Promise<T> {
    try {
      return check(this.#ring())
    } catch (error) {
      const { code, cause = this.#failure } = error as CountersignError
      if (!lacksKey(code, anyKey)) throw error
      if (await this.renew()) return check(this.#ring())
      throw new CountersignError(code, { cause: cause ?? this.#failure })
    }
  }

  // The core keeps the keys from one answer to the next. A core that replaces one that trapped gets them anew.
  #ring(): HeldKeys {
    const { keys } = this
    const { core } = this.#host
    if (this.#held?.core !== core || this.#held.keys !== keys) this.#held = { core, keys, ring: core.keyRing(keys) }
    return this.#held.ring
  }

  /** Asks for the next keys in the background. The client calls it once a day (R127). */
  askToday(nowMs: number): void {
    this.askedMs = nowMs
    void this.renew()
  }

  /**
   * Returns the notes for a new session's record. The configuration counts as fresh, unless one of its keys ends within
   * 14 days.
   */
  notes(): Pick<Stored, 'serverKeys'> {
    const nowMs = this.#host.clock.view().now()
    const endsSoon = this.keys.some(({ notAfter }) => notAfter !== undefined && notAfter < nowMs + SOON_MS)
    this.#set = undefined
    this.askedMs = endsSoon ? Number.NaN : nowMs
    return endsSoon ? {} : { serverKeys: { askedMs: nowMs } }
  }

  /** Asks the server for its keys, once a minute at most, and returns whether they have changed. It never rejects. */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #renew(): Promise<boolean> {
    const host = this.#host
    const { clock, settings } = host
    if (clock.monotonic() - this.#renewedMs < RENEW_EVERY_MS) return false
    this.#renewedMs = clock.monotonic()
    this.#failure = undefined
    try {
      const { fetchSet } = await loadSets()
      const call = probeCall(host.binding, settings.timeoutMs)
      // The answer is checked with the present keys, so it never asks again.
      const set = await fetchSet(host, call, { check: async (check) => check(this.#ring()) })
      const isNew = set !== undefined && (await this.#take(set))
      this.askedMs = clock.view().now()
      host.note({ askedMs: this.askedMs, ...(this.#set ? { set: this.#set } : {}) })
      return isNew
    } catch (error) {
      this.#failure = error
      if ((error as CountersignError).code === 'ERR_KEY_SET_REFUSED')
        settings.logger?.warn('the server keys were not taken', error)
      return false
    }
  }

  // Accepts a set and returns whether it differs from the present one.
  async #take(set: KeySet): Promise<boolean> {
    const { readSet } = await loadSets()
    const { serial, keys } = refused(() => readSet(this.#host, set))
    if (serial === this.#serial) return false
    if (serial < this.#serial)
      throw new CountersignError('ERR_KEY_SET_REFUSED', { detail: 'the client has a newer set' })
    this.#serial = serial
    this.keys = keys
    // A compatible gateway's ids do not bind an answer to its question, so the set is not stored (R126).
    if (!this.#host.settings.compatible) this.#set = set
    return true
  }
}
