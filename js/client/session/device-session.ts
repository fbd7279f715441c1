// SPDX-License-Identifier: MIT
// A client's session: its state, its record in the store, and the tabs that share it. The store is the truth; a message
// of another tab only says that the record is worth reading again. client-state.ts lists the transitions between the
// states.

import { CountersignError, type ErrorCode } from '../../common/errors.ts'
import { withinLimits } from '../call-options.ts'
import { isSameKey } from '../keys/device-key.ts'
import type { KeyVault, Notes, RecordState, Session } from '../keys/key-vault.ts'
import type { ClientSettings } from '../options.ts'
import { openTabs, type Tabs } from '../tabs.ts'
import { type ClientState, clientTransitions, type SessionEvent } from './client-state.ts'

const refusalByState: { readonly [State in ClientState]: ErrorCode } = {
  ready: 'ERR_INTERNAL',
  'no-session': 'ERR_NO_SESSION',
  'signed-out': 'ERR_NO_SESSION',
  revoked: 'ERR_SESSION_REVOKED',
  'key-lost': 'ERR_KEY_LOST'
}

const stateOfRecord = {
  none: 'no-session',
  new: 'no-session',
  lost: 'key-lost',
  ready: 'ready',
  revoked: 'revoked'
} as const

// The first call after this time notices a cleared store. A read for every call would cost more than its signature.
const LOOK_EVERY_MS = 1000
const LOOK_LIMIT_MS = 1000
const LOOK_PAUSE_MS = 60_000

/** The session of one client and its state. */
export class DeviceSession {
  readonly vault: KeyVault
  readonly tabs: Tabs
  session: Session | undefined
  /** Only #apply changes it. */
  state: ClientState
  readonly #settings: ClientSettings
  readonly #onState: (state: ClientState) => void
  #cause: CountersignError | undefined
  /** Counts changes. So a record that was read before a change does not count as news after it. */
  #changes = 0
  /** The session that a tab is about to sign out. The loss of its record is expected then. */
  #leaving: unknown
  #lookedMs: number
  #looking: Promise<void> | undefined
  #isClosed = false
  #background: Promise<unknown> = Promise.resolve()

  constructor(settings: ClientSettings, vault: KeyVault, found: RecordState, onState: (state: ClientState) => void) {
    this.#settings = settings
    this.vault = vault
    this.#onState = onState
    this.state = stateOfRecord[found.kind]
    this.session = 'session' in found ? found.session : undefined
    this.#cause = 'cause' in found ? found.cause : undefined
    this.#lookedMs = settings.monotonicNow()
    this.tabs = openTabs(settings.name, settings.store?.scope)
    this.tabs.listen('record', ({ is: state, leaving }) => {
      if (leaving) this.#leaving = leaving
      else this.later('the change of another tab could not be read', this.reload(state === 'signed-out'))
    })
  }

  /** Returns the session to sign for. @throws the usage error that says why there is none. */
  ready(): Session {
    const { session } = this
    if (this.state === 'ready' && session) return session
    const cause = this.#cause
    throw new CountersignError(refusalByState[this.state], cause ? { cause } : {})
  }

  /** Makes an event's transition and keeps its session. Returns false when the event changes nothing. */
  #apply(event: SessionEvent, session: Session | undefined, cause?: CountersignError): boolean {
    const { to, from } = clientTransitions[event]
    if (from && !from.includes(this.state)) return false
    this.#changes++
    this.session = session
    this.#cause = cause
    if (this.state === to) return true
    this.state = to
    this.#onState(to)
    return true
  }

  /** Notifies the other tabs that the record has changed. */
  tell(): void {
    // `is` stays the name of this member: tabs of an earlier build read it.
    if (!this.#isClosed) this.tabs.post({ about: 'record', is: this.state })
  }

  /** Reads the record again when that is due, to notice a cleared store. Returns undefined when no read is needed. */
  look(): Promise<void> | undefined {
    const nowMs = this.#settings.monotonicNow()
    if (this.state === 'ready' && nowMs - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#lookedMs = nowMs
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
    }
    return this.#looking
  }

  async #look(): Promise<void> {
    const { session, vault } = this
    const { schedule, logger } = this.#settings
    const limits = { signal: undefined, timeoutMs: LOOK_LIMIT_MS, schedule, ends: new Set<never>() }
    try {
      const isHeld = await withinLimits(limits, () => vault.holds(session as Session))
      if (!isHeld && this.session === session) await this.reload()
    } catch (error) {
      // The client has its key in memory, so it can sign while the store is out of order.
      this.#lookedMs += LOOK_PAUSE_MS
      logger?.warn('the record could not be read again', error)
    }
  }

  /** Reads the record again and takes over its session and state. Rejects as the store does. */
  async reload(isSignOut = false): Promise<RecordState> {
    for (;;) {
      const changes = this.#changes
      const found = await this.vault.load(false)
      if (changes !== this.#changes) continue
      this.#take(found, isSignOut)
      return found
    }
  }

  #take(found: RecordState, isSignOut: boolean): void {
    if (found.kind === 'lost') this.#apply('damaged', undefined, found.cause)
    else if ('session' in found) this.#follow(found.kind, found.session)
    // A tab that makes a new key has signed out before.
    else if (isSignOut || (this.session && (found.kind === 'new' || this.session.id === this.#leaving)))
      this.#apply('left', undefined)
    else this.#apply('gone', undefined, new CountersignError('ERR_STORAGE_EMPTY', { detail: 'the record is gone' }))
  }

  #follow(kind: 'ready' | 'revoked', found: Session): void {
    const { session } = this
    if (found.id === session?.id) {
      const kept = isSameKey(found.key, session.key) ? session : found
      this.#apply(kind === 'ready' ? 'confirmed' : 'revoked', kept)
    } else {
      this.#apply('replaced', undefined)
      this.#apply(kind === 'ready' ? 'enrolled' : 'enrolled-revoked', found)
    }
  }

  /** Ends a session that the server has revoked in a signed message. A later session of this client stays. */
  revoked({ id }: Session): void {
    const { session } = this
    if (session?.id !== id || !this.#apply('revoked', session)) return
    const noting = this.vault.note(session, { revoked: true }).then(() => this.tell())
    this.later('the revocation could not be stored', noting)
  }

  /** Adds to the session's record in the background. close() waits for it. */
  note(notes: Notes, failure: string): void {
    if (this.session) this.later(failure, this.vault.note(this.session, notes))
  }

  /** Lets work go on in the background. A failure is logged, and close() waits for the work. */
  later(failure: string, work: Promise<unknown>): void {
    const done = work.catch((error) => this.#settings.logger?.warn(failure, error))
    this.#background = Promise.all([this.#background, done])
  }

  /** Takes over a session that is enrolled and stored. Calls of a guest, who had this client before, end. */
  begin(session: Session): void {
    if (this.session?.id !== session.id) this.#apply('replaced', undefined)
    this.#apply('enrolled', session)
    this.tell()
  }

  /** Continues with another key, or with two of which the server has one. Returns whether the session is still ours. */
  replace(session: Session): boolean {
    if (this.session?.id !== session.id) return false
    this.#changes++
    this.session = session
    return true
  }

  /** Continues with the old key while the store keeps the client from asking. @throws every other error. */
  postpone(error: CountersignError): void {
    if (error.category !== 'storage' || !this.session) throw error
    this.session = { id: this.session.id, key: this.session.key }
  }

  /** Deletes the key and ends the session on this device. Rejects with a storage error when the key stays. */
  async forget(): Promise<void> {
    const leaving = this.session?.id
    if (leaving && !this.#isClosed) {
      this.#leaving = leaving
      this.tabs.post({ about: 'record', leaving })
    }
    await this.vault.forget()
    this.#apply('deleted', undefined)
    this.tell()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.tabs.close()
    await this.#background
  }
}
