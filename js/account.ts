// SPDX-License-Identifier: MIT
// A client's hold on its session: whether it can send and if not why, what of it is in the store, and the tabs that share it.

import { CountersignError, type ErrorCode } from './errors.ts'
import type { Settings } from './options.ts'
import type { Found, Keeper, Notes, Session } from './session.ts'
import { openTabs, type Tabs } from './tabs.ts'
import type { Stored } from './types.ts'

/** Whether and why a client can or cannot send. */
export type ClientState = 'no-session' | 'ready' | 'revoked' | 'key-lost' | 'signed-out'

const refusalByState: { readonly [State in ClientState]: ErrorCode } = {
  ready: 'ERR_INTERNAL',
  'no-session': 'ERR_NO_SESSION',
  'signed-out': 'ERR_NO_SESSION',
  revoked: 'ERR_SESSION_REVOKED',
  'key-lost': 'ERR_KEY_LOST'
}

const stateOf = { none: 'no-session', new: 'no-session', lost: 'key-lost', ready: 'ready', revoked: 'revoked' } as const

export class Account {
  readonly keeper: Keeper
  session: Session | undefined
  readonly #settings: Settings
  readonly #onState: (state: ClientState) => void
  #state: ClientState
  #tabs: Tabs | undefined
  #background: Promise<unknown> = Promise.resolve()

  constructor(settings: Settings, keeper: Keeper, found: Found, onState: (state: ClientState) => void) {
    this.#settings = settings
    this.keeper = keeper
    this.#onState = onState
    this.session = 'session' in found ? found.session : undefined
    this.#state = stateOf[found.is]
  }

  get state(): ClientState {
    return this.#state
  }

  /** The tabs that share this account's record, joined when somebody first has something to tell or to hear. */
  get tabs(): Tabs {
    this.#tabs ??= openTabs(this.#settings.name)
    return this.#tabs
  }

  /** ready gives the session to sign for; throws the usage error that says why there is none. */
  ready(): Session {
    const { session } = this
    if (this.#state !== 'ready' || !session) throw new CountersignError(refusalByState[this.#state])
    return session
  }

  /** enter takes a session, or none, and tells the new state. */
  enter(state: ClientState, session: Session | undefined): void {
    this.session = session
    if (this.#state === state) return
    this.#state = state
    this.#onState(state)
  }

  /** revoked ends a session by the server's signed word; a later session of this client is not meant by it. */
  revoked(session: Session): void {
    if (this.session !== session || this.#state !== 'ready') return
    this.enter('revoked', session)
    this.note({ revoked: true }, 'the revocation could not be stored')
  }

  /** note adds to the session's record; nobody waits for it but close(), and a failure is logged. */
  note(notes: Notes & Pick<Stored, 'revoked'>, failure: string): void {
    if (!this.session) return
    const done = this.keeper.note(this.session, notes).catch((error) => this.#settings.logger?.warn(failure, error))
    this.#background = Promise.all([this.#background, done])
  }

  /** prepare gives the key to enrol, as Keeper.prepare does. */
  async prepare() {
    try {
      return await this.keeper.prepare()
    } catch (error) {
      // Another tab was faster: its session is this client's too, but perhaps not the account the caller means.
      if ((error as CountersignError).code === 'ERR_ALREADY_ENROLLED') {
        const found = await this.keeper.load()
        if (found.is === 'ready') this.enter('ready', found.session)
      }
      throw error
    }
  }

  async enrolled(session: Session, notes: Notes): Promise<void> {
    await this.keeper.save(session, notes)
    this.enter('ready', session)
  }

  /** forget deletes the key and ends the session on this device. */
  async forget(): Promise<void> {
    await this.keeper.forget()
    this.enter('signed-out', undefined)
  }

  async close(): Promise<void> {
    this.#tabs?.close()
    await this.#background
  }
}
