// SPDX-License-Identifier: MIT
// What lies behind a Client: its session and state, its core and clock, and the frame in which every call runs.

import { CountersignError, type ErrorCode, isCountersignError } from '../common/errors.ts'
import { type StageEvent, stagesOf } from '../common/stage-events.ts'
import type { Stored } from '../common/types.ts'
import { type ClientCore, loadClientCore } from '../core/client-core.ts'
import { EventStreams } from './events/index.ts'
import type { ConnectionView, Host } from './events/types.ts'
import type { Found, Session } from './keys/key-record.ts'
import { Keeper } from './keys/key-vault.ts'
import { loadChanges } from './lazy.ts'
import { withinLimits } from './limits.ts'
import { Listeners } from './listeners.ts'
import type { Settings } from './options.ts'
import { Outstanding } from './outstanding.ts'
import { type ClockNotes, type ClockView, ServerClock } from './server-clock.ts'
import { Account, type ClientState } from './session/device-session.ts'
import type { Register } from './session/enroll.ts'
import type { Tabs } from './tabs.ts'
import { probe, probeCall } from './transport/ask-time.ts'
import { type Binding, isApplicationResult, type RawAnswer } from './transport/bindings/binding.ts'
import { requestBinding } from './transport/bindings/choose.ts'
import {
  type Answer,
  type Call,
  type CallState,
  exchange,
  isRetriableCall,
  type Line,
  openAnswer,
  type Trust
} from './transport/exchange.ts'
import { isRefusal, refusalOf } from './transport/refusals.ts'
import { finalError } from './transport/retry.ts'
import { ServerKeys } from './trust/server-keys.ts'

/** What `client.on` tells. */
export type ClientEvents = { state: ClientState; clock: ClockView; stage: StageEvent; connection: ConnectionView }

/** A verified answer to a frame that `sign` made. */
export type Opened = Pick<Answer, 'resultCode' | 'payload' | 'requestId' | 'serverTimeMs'>

/** How a call is bounded. */
export type Bounds = Pick<Call, 'isSafe' | 'idempotencyKey' | 'timeoutMs'> & {
  readonly signal?: AbortSignal | undefined
}

export class Engine implements Host {
  readonly settings: Settings
  readonly listeners: Listeners<ClientEvents>
  readonly account: Account
  /** How `request` travels. */
  readonly binding: Binding
  readonly ends = new Set<(error: CountersignError) => void>()
  readonly outstanding: Outstanding<Session>
  readonly events = new EventStreams(this)
  core: ClientCore
  clock: ServerClock
  readonly trust: ServerKeys
  #sync: Promise<void> | undefined
  #settling: Promise<void> | undefined
  #isEnrolling = false
  #isTrapped = false
  #isClosed = false

  private constructor(settings: Settings, core: ClientCore, binding: Binding, keeper: Keeper, found: Found) {
    this.settings = settings
    this.core = core
    this.account = new Account(settings, keeper, found, (state) => this.#stateChanged(state))
    this.binding = binding
    this.outstanding = new Outstanding<Session>(settings.pastMs + settings.futureMs)
    this.listeners = new Listeners<ClientEvents>(['state', 'clock', 'stage', 'connection'], settings.logger)
    this.clock = this.#createClock('notes' in found ? found.notes : {})
    this.trust = new ServerKeys(this)
  }

  static async start(settings: Settings): Promise<Engine> {
    const core = await loadClientCore(settings.wasm)
    for (const { publicKey } of settings.serverKeys) {
      if (!core.isAcceptableEd25519Key(publicKey))
        throw new CountersignError('ERR_BAD_PUBLIC_KEY', { detail: 'serverKeys' })
    }
    const keeper = new Keeper(core, settings)
    const found = await keeper.load()
    const engine = new Engine(settings, core, await requestBinding(settings), keeper, found)
    if ('notes' in found) await engine.trust.recall(found.notes.serverKeys)
    return engine
  }

  get state(): ClientState {
    return this.account.state
  }

  get session(): Session | undefined {
    return this.account.session
  }

  /** The tabs that share this client's record. */
  get tabs(): Tabs {
    return this.account.tabs
  }

  /** The line on which a call goes out; throws the usage error that says why there is none. */
  async line(): Promise<Line> {
    this.checkOpen()
    if (this.#isTrapped) await this.#revive()
    const looking = this.account.look()
    if (looking) await looking
    if (this.account.ready().next) await this.#settle()
    const session = this.account.ready()
    return { ...this.lineOf(session), renew: async () => (await loadChanges()).renew(this, session) }
  }

  /** A line for calls of a session whose key is not looked up anew. */
  lineOf(session: Session): Line {
    const { settings, core, clock, trust, report } = this
    return { settings, core, clock, session, trust, report, synchronise: () => this.#synchronise() }
  }

  checkOpen(): void {
    if (this.#isClosed) throw new CountersignError('ERR_CLOSED')
  }

  /** ask makes a call of the client's own, its answer judged by `trust`. */
  async ask(call: Call, trust: Trust): Promise<Answer> {
    return this.call({ ...(await this.line()), trust }, call)
  }

  /** note keeps what is known of the server's keys. */
  note(serverKeys: NonNullable<Stored['serverKeys']>): void {
    this.account.note({ serverKeys }, 'the server keys could not be stored')
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
    if (error.resultCode === 'cs.session_revoked' && session) this.account.revoked(session)
  }

  get tellStage(): ((event: StageEvent) => void) | undefined {
    return this.listeners.has('stage') ? (event) => this.listeners.tell('stage', event) : undefined
  }

  report = (requestId: string, failure?: unknown): void => {
    const { tellStage } = this
    if (tellStage) for (const event of stagesOf(requestId, failure)) tellStage(event)
  }

  tell(connection: ConnectionView): void {
    this.events.connection = connection
    this.listeners.tell('connection', connection)
  }

  revoked(session: Session): void {
    this.account.revoked(session)
  }

  onUnready(listener: (error: unknown) => void): () => void {
    return this.listeners.add('state', () => {
      try {
        this.account.ready()
      } catch (error) {
        listener(error)
      }
    })
  }

  /** open runs the checks of an answer the caller brought; its id is used once and then forgotten. */
  async open(raw: RawAnswer, requestId: string): Promise<Opened> {
    const { settings, core, clock, trust, report } = this
    this.checkOpen()
    const signed = this.outstanding.find(requestId)
    // An id that is not ours is compared with one that nobody has: the checks before it are made all the same.
    const expected = signed === undefined ? settings.random.id() : requestId
    const line = { settings, core, clock, trust, report: (_: string, failure?: unknown) => report(requestId, failure) }
    const { resultCode, timestampMs } = await openAnswer(line, expected, raw, isApplicationResult)
    if (!signed || !this.outstanding.take(requestId)) throw new CountersignError('ERR_WRONG_REQUEST_ID')
    clock.sample({
      sentMs: signed.atMs,
      receivedMs: clock.monotonic(),
      serverMs: timestampMs,
      replace: resultCode === 'cs.stale'
    })
    if (!isRefusal(resultCode)) return { resultCode, payload: raw.payload, requestId, serverTimeMs: timestampMs }
    const refusal = refusalOf(resultCode, raw.payload)
    this.learn(refusal, { core, session: signed.by })
    throw refusal
  }

  async enroll(register: Register): Promise<void> {
    this.checkOpen()
    if (this.state === 'ready' || this.#isEnrolling) throw new CountersignError('ERR_ALREADY_ENROLLED')
    this.#isEnrolling = true
    try {
      if (this.#isTrapped) await this.#revive()
      await (await loadChanges()).enroll(this, register)
    } catch (error) {
      this.learn(error, { core: this.core })
      throw error
    } finally {
      this.#isEnrolling = false
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#end('ERR_CLOSED')
    await this.account.close()
    this.clock.close()
  }

  #end(code: ErrorCode): void {
    for (const end of [...this.ends]) end(new CountersignError(code))
  }

  #stateChanged(state: ClientState): void {
    // What is in flight belongs to a session that is no more.
    if (state === 'signed-out') this.#end('ERR_NO_SESSION')
    this.listeners.tell('state', state)
  }

  #settle(): Promise<void> {
    this.#settling ??= loadChanges()
      .then(({ settle }) => settle(this))
      .catch((error) => this.account.postpone(error))
      .finally(() => {
        this.#settling = undefined
      })
    return this.#settling
  }

  // Concurrent calls share one request for the time; each gives up on it by its own limits.
  #synchronise(): Promise<void> {
    this.#sync ??= this.#probe().finally(() => {
      this.#sync = undefined
    })
    return this.#sync
  }

  async #probe(): Promise<void> {
    const line = await this.line()
    const call = probeCall(this.binding, this.settings.timeoutMs)
    return probe(line, () => this.call(line, call))
  }

  #createClock(notes: ClockNotes): ServerClock {
    return new ServerClock(this.core, this.settings, notes, () => this.#clockChanged())
  }

  #clockChanged(): void {
    if (this.listeners.has('clock')) this.listeners.tell('clock', this.clock.view())
    if (this.state !== 'ready') return
    const notes = this.clock.notesIfDue()
    if (notes) this.account.note(notes, "the server's time could not be stored")
    this.trust.look()
    // Nobody waits for it: what fails is asked again by the request that needs it.
    if (this.clock.shouldAsk()) this.#synchronise().catch(() => {})
  }

  // A core that trapped is dead with its clock; the key is not in it.
  async #revive(): Promise<void> {
    this.core = await loadClientCore(this.settings.wasm)
    this.account.keeper.core = this.core
    this.clock = this.#createClock({})
    this.#isTrapped = false
  }
}
