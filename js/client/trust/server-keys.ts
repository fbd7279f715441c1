// SPDX-License-Identifier: MIT
// The server keys a client trusts: those of its configuration, and beside them a set that the server has delivered under one
// of those (R26, R27, R97, R125 to R127). A delivered set is as good as its signature: what is kept is the signed frame, and
// it is verified again, by the configured keys alone, whenever it is loaded.

import { CountersignError, type ErrorCode } from '../../common/errors.ts'
import { DAY_MS } from '../../common/protocol.ts'
import type { KeySet, Stored } from '../../common/types.ts'
import type { ServerKey } from '../options.ts'
import { probeCall } from '../transport/ask-time.ts'
import type { Trust } from '../transport/types.ts'
import type { KeyHost } from './delivered-keys.ts'

const SOON_MS = 14 * DAY_MS
/** An answer under an unknown key asks the server at most this often. */
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

export class ServerKeys implements Trust {
  /** What answers and events are verified with. */
  keys: readonly ServerKey[]
  readonly #host: KeyHost
  #serial = -1
  /** When the server was last asked for its keys, in Unix milliseconds of the server; NaN when that is not known. */
  askedMs = Number.NaN
  #set: KeySet | undefined
  #renewedMs = Number.NEGATIVE_INFINITY
  #renewing: Promise<boolean> | undefined
  #failure: unknown

  constructor(host: KeyHost) {
    this.#host = host
    this.keys = host.settings.serverKeys
  }

  /** recall takes what an earlier visit has kept; what does not verify any more is as good as never delivered. */
  async recall(kept: Stored['serverKeys']): Promise<void> {
    this.askedMs = kept?.askedMs ?? Number.NaN
    try {
      if (kept?.set) await this.#take(kept.set)
    } catch (error) {
      this.#host.settings.logger?.warn('the stored server keys were dropped', error)
    }
  }

  /** Runs a check with the trusted keys: once more where it lacked one and the server has delivered it. */
  async check<T>(check: (keys: readonly ServerKey[]) => T, anyKey: boolean): Promise<T> {
    try {
      return check(this.keys)
    } catch (error) {
      const { code, cause = this.#failure } = error as CountersignError
      if (!lacksKey(code, anyKey)) throw error
      if (await this.renew()) return check(this.keys)
      throw new CountersignError(code, { cause: cause ?? this.#failure })
    }
  }

  /** Asks for the next keys in the background; the client calls it once a day (R127). */
  askToday(nowMs: number): void {
    this.askedMs = nowMs
    void this.renew()
  }

  /** notes is what a new session's record says: its configuration is fresh, unless a key of it will end soon. */
  notes(): Pick<Stored, 'serverKeys'> {
    const nowMs = this.#host.clock.view().now()
    const endsSoon = this.keys.some(({ notAfter }) => notAfter !== undefined && notAfter < nowMs + SOON_MS)
    this.#set = undefined
    this.askedMs = endsSoon ? Number.NaN : nowMs
    return endsSoon ? {} : { serverKeys: { askedMs: nowMs } }
  }

  /** renew asks the server for its keys, once a minute at most, and says whether there are other ones now; it never rejects. */
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
      // Checked with the present keys: an answer to this question never asks again.
      const set = await fetchSet(host, call, { check: async (check) => check(this.keys) })
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

  // Takes a set and says whether it is another one.
  async #take(set: KeySet): Promise<boolean> {
    const { readSet } = await loadSets()
    const { serial, keys } = refused(() => readSet(this.#host, set))
    if (serial === this.#serial) return false
    if (serial < this.#serial)
      throw new CountersignError('ERR_KEY_SET_REFUSED', { detail: 'the client has a newer set' })
    this.#serial = serial
    this.keys = keys
    // Without T, nothing binds an answer to its question: such a set is not for later (R126).
    if (!this.#host.settings.compatible) this.#set = set
    return true
  }
}
