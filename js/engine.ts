// SPDX-License-Identifier: MIT
// What lies behind a Client: its session and state, its core and clock, and the frame in which every call runs.

import { type StageEvent, stagesOf } from './checks.ts'
import { type ClockNotes, type ClockView, ServerClock } from './clock.ts'
import { type ClientCore, loadClientCore } from './core-client.ts'
import { enrollKey, type Register } from './enrollment.ts'
import { CountersignError, type ErrorCode, isCountersignError } from './errors.ts'
import { Listeners } from './listeners.ts'
import type { Settings } from './options.ts'
import { Outstanding } from './outstanding.ts'
import { Keeper, type Session } from './session.ts'
import { isRefusal, refusalOf } from './transport/answers.ts'
import { type Binding, isApplicationResult, type RawAnswer } from './transport/binding.ts'
import {
  type Answer,
  type Call,
  type CallState,
  exchange,
  isRetriableCall,
  type Line,
  openAnswer
} from './transport/exchange.ts'
import { frameBinding } from './transport/frame.ts'
import { jsonBinding } from './transport/json.ts'
import { withinLimits } from './transport/limits.ts'
import { finalError } from './transport/retry.ts'

/** Whether and why a client can or cannot send. */
export type ClientState = 'no-session' | 'ready' | 'revoked' | 'key-lost' | 'signed-out'

/** What `client.on` tells; `connection` never comes in this release. */
export type ClientEvents = { state: ClientState; clock: ClockView; stage: StageEvent; connection: never }

/** A verified answer to a frame that `sign` made. */
export type Opened = Pick<Answer, 'resultCode' | 'payload' | 'requestId' | 'serverTimeMs'>

/** How a call is bounded. */
export type Bounds = Pick<Call, 'isSafe' | 'idempotencyKey' | 'timeoutMs'> & {
  readonly signal?: AbortSignal | undefined
}

const refusalByState: { readonly [State in ClientState]: ErrorCode } = {
  ready: 'ERR_INTERNAL',
  'no-session': 'ERR_NO_SESSION',
  'signed-out': 'ERR_NO_SESSION',
  revoked: 'ERR_SESSION_REVOKED',
  'key-lost': 'ERR_KEY_LOST'
}

const stateOf = { none: 'no-session', new: 'no-session', lost: 'key-lost', ready: 'ready', revoked: 'revoked' } as const

export class Engine {
  readonly settings: Settings
  readonly listeners: Listeners<ClientEvents>
  readonly keeper: Keeper
  /** How `request` travels. */
  readonly binding: Binding
  readonly ends = new Set<(error: CountersignError) => void>()
  readonly outstanding: Outstanding
  core: ClientCore
  clock: ServerClock
  session: Session | undefined
  #state: ClientState = 'no-session'
  #sync: Promise<void> | undefined
  #isEnrolling = false
  #isTrapped = false
  #isClosed = false
  #background: Promise<unknown> = Promise.resolve()

  private constructor(settings: Settings, core: ClientCore, keeper: Keeper, notes: ClockNotes) {
    this.settings = settings
    this.core = core
    this.keeper = keeper
    this.binding = settings.binding === 'json' ? jsonBinding(settings) : frameBinding(settings)
    this.outstanding = new Outstanding(settings.pastMs + settings.futureMs)
    this.listeners = new Listeners<ClientEvents>(['state', 'clock', 'stage', 'connection'], settings.logger)
    this.clock = this.#createClock(notes)
  }

  static async start(settings: Settings): Promise<Engine> {
    const core = await loadClientCore(settings.wasm)
    for (const { publicKey } of settings.serverKeys) {
      if (!core.isAcceptableEd25519Key(publicKey))
        throw new CountersignError('ERR_BAD_PUBLIC_KEY', { detail: 'serverKeys' })
    }
    const keeper = new Keeper(core, settings)
    const found = await keeper.load()
    const engine = new Engine(settings, core, keeper, 'notes' in found ? found.notes : {})
    engine.session = 'session' in found ? found.session : undefined
    engine.#state = stateOf[found.is]
    return engine
  }

  get state(): ClientState {
    return this.#state
  }

  /** The line on which a call goes out; throws the usage error that says why there is none. */
  async line(): Promise<Line> {
    this.checkOpen()
    if (this.#isTrapped) await this.#revive()
    const { session } = this
    if (this.#state !== 'ready' || !session) throw new CountersignError(refusalByState[this.#state])
    const { settings, core, clock, report } = this
    return { settings, core, clock, session, report, synchronise: () => this.#synchronise() }
  }

  checkOpen(): void {
    if (this.#isClosed) throw new CountersignError('ERR_CLOSED')
  }

  /** call makes one call within its bounds; rejects with what finally became of it. */
  call(line: Line, call: Call, signal?: AbortSignal) {
    return this.run(line, { ...call, signal }, (inner, state) => exchange(line, call, inner, state))
  }

  /** run runs the work of one call within its bounds and learns from its failure. */
  async run<T>(line: Line, bounds: Bounds, work: (signal: AbortSignal, state: CallState) => Promise<T>): Promise<T> {
    const state: CallState = { isSent: false }
    const { signal, timeoutMs } = bounds
    const { ends, settings } = this
    try {
      return await withinLimits({ signal, timeoutMs, schedule: settings.schedule, ends }, (inner) => work(inner, state))
    } catch (error) {
      this.learn(error, line)
      throw finalError(error, isRetriableCall(bounds), state.isSent)
    }
  }

  /** learn draws from a failure what it says about the core and the session of the call. */
  learn(error: unknown, { core, session }: { core: ClientCore; session?: Session | undefined }): void {
    if (!isCountersignError(error)) return
    if (error.code === 'ERR_CORE_TRAPPED' && core === this.core) this.#isTrapped = true
    if (error.resultCode === 'cs.session_revoked' && session) this.revoked(session)
  }

  /** revoked ends a session by the server's signed word; a later session of this client is not meant by it. */
  revoked(session: Session): void {
    if (this.session !== session || this.#state !== 'ready') return
    this.setState('revoked')
    this.#later('the revocation could not be stored', this.keeper.note(session, { revoked: true }))
  }

  setState(state: ClientState): void {
    if (this.#state === state) return
    this.#state = state
    this.listeners.tell('state', state)
  }

  report = (requestId: string, failure?: unknown): void => {
    if (!this.listeners.has('stage')) return
    for (const event of stagesOf(requestId, failure)) this.listeners.tell('stage', event)
  }

  /** open runs the checks of an answer the caller brought; its id is used once and then forgotten. */
  async open(raw: RawAnswer, requestId: string): Promise<Opened> {
    const { settings, core, clock, session, report } = this
    this.checkOpen()
    const sentMs = this.outstanding.signedMs(requestId)
    // An id that is not ours is compared with one that nobody has: the checks before it are made all the same.
    const expected = sentMs === undefined ? settings.random.id() : requestId
    const line = { settings, core, clock, report: (_: string, failure?: unknown) => report(requestId, failure) }
    const { resultCode, timestampMs } = await openAnswer(line, expected, raw, isApplicationResult)
    if (!this.outstanding.take(requestId)) throw new CountersignError('ERR_WRONG_REQUEST_ID')
    clock.sample({
      sentMs: sentMs as number,
      receivedMs: clock.monotonic(),
      serverMs: timestampMs,
      replace: resultCode === 'cs.stale'
    })
    if (!isRefusal(resultCode)) return { resultCode, payload: raw.payload, requestId, serverTimeMs: timestampMs }
    const refusal = refusalOf(resultCode, raw.payload)
    this.learn(refusal, { core, session })
    throw refusal
  }

  async enroll(register: Register): Promise<void> {
    this.checkOpen()
    if (this.#state === 'ready' || this.#isEnrolling) throw new CountersignError('ERR_ALREADY_ENROLLED')
    this.#isEnrolling = true
    try {
      if (this.#isTrapped) await this.#revive()
      const key = await this.#prepareKey()
      const { core, clock, settings, ends, report } = this
      const { sessionId, sample } = await enrollKey({ core, clock, settings, ends, report }, key, register)
      this.checkOpen()
      const session = { id: sessionId, key }
      clock.sample(sample)
      await this.keeper.save(session, clock.notes())
      this.session = session
      this.setState('ready')
    } catch (error) {
      this.learn(error, { core: this.core })
      throw error
    } finally {
      this.#isEnrolling = false
    }
  }

  /** forget deletes the key and ends the session on this device. */
  async forget(): Promise<void> {
    await this.keeper.forget()
    this.session = undefined
    this.setState('signed-out')
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const end of [...this.ends]) end(new CountersignError('ERR_CLOSED'))
    await this.#background
    this.clock.close()
  }

  async #prepareKey() {
    try {
      return await this.keeper.prepare()
    } catch (error) {
      // Another tab was faster: its session is this client's too, but perhaps not the account the caller means.
      if (isCountersignError(error) && error.code === 'ERR_ALREADY_ENROLLED') {
        const found = await this.keeper.load()
        if (found.is === 'ready') {
          this.session = found.session
          this.setState('ready')
        }
      }
      throw error
    }
  }

  // Concurrent calls share one request for the time; each gives up on it by its own limits.
  #synchronise(): Promise<void> {
    this.#sync ??= this.#probe().finally(() => {
      this.#sync = undefined
    })
    return this.#sync
  }

  async #probe(): Promise<void> {
    const { timeoutMs } = this.settings
    const fixed = {
      type: 'cs.time',
      payload: new Uint8Array(0),
      idempotencyKey: undefined,
      isSafe: true,
      isProbe: true
    }
    const line = await this.line()
    for (let tries = 0; tries < 2 && this.clock.stamp(false) === undefined; tries++) {
      try {
        await this.call(line, { ...fixed, binding: this.binding, timeoutMs })
      } catch (error) {
        // A signed cs.stale brings the time as well as any answer does.
        if (!isCountersignError(error) || error.resultCode !== 'cs.stale') throw error
      }
    }
  }

  #createClock(notes: ClockNotes): ServerClock {
    return new ServerClock(this.core, this.settings, notes, () => this.#clockChanged())
  }

  #clockChanged(): void {
    if (this.listeners.has('clock')) this.listeners.tell('clock', this.clock.view())
    const { session } = this
    if (!session || this.#state !== 'ready') return
    const notes = this.clock.notesIfDue()
    if (notes) this.#later("the server's time could not be stored", this.keeper.note(session, notes))
  }

  // Nobody waits for these but close().
  #later(failure: string, work: Promise<unknown>): void {
    const done = work.catch((error) => this.settings.logger?.warn(failure, error))
    this.#background = Promise.all([this.#background, done])
  }

  // A core that trapped is dead with its clock; the key is not in it.
  async #revive(): Promise<void> {
    this.core = await loadClientCore(this.settings.wasm)
    this.keeper.core = this.core
    this.clock = this.#createClock({})
    this.#isTrapped = false
  }
}
