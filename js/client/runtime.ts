// SPDX-License-Identifier: MIT
// The live parts behind a Client: its session, its core, its clock and the server keys that it trusts.

import { CountersignError, type ErrorCode, isCountersignError } from '../common/errors.ts'
import { DAY_MS } from '../common/protocol.ts'
import { type StageEvent, stagesOf } from '../common/stage-events.ts'
import type { Stored } from '../common/types.ts'
import { type ClientCore, loadClientCore } from '../core/client-core.ts'
import { EventStreams } from './events/index.ts'
import type { ConnectionView, EventsHost } from './events/types.ts'
import type { RecordState, Session } from './keys/key-vault.ts'
import { KeyVault } from './keys/key-vault.ts'
import { hintFor, loadChanges, loadJson } from './lazy.ts'
import { Listeners } from './listeners.ts'
import type { ClientSettings } from './options.ts'
import { Outstanding } from './outstanding.ts'
import { Opened } from './reply.ts'
import { type ClockNotes, type ClockView, ServerClock } from './server-clock.ts'
import type { ClientState } from './session/client-state.ts'
import { DeviceSession } from './session/device-session.ts'
import type { Enrolling, Register } from './session/enroll.ts'
import type { Tabs } from './tabs.ts'
import { probe, probeCall } from './transport/ask-time.ts'
import { type HttpBinding, isApplicationResult, type RawAnswer } from './transport/bindings/binding.ts'
import { frameBinding } from './transport/bindings/frame.ts'
import { makeCall, openAnswer } from './transport/exchange.ts'
import { isRefusal, refusalOf } from './transport/refusals.ts'
import type { Answer, Call, CallContext, Trust } from './transport/types.ts'
import { ServerKeys } from './trust/server-keys.ts'

/** The events of `client.on`. */
export type ClientEvents = { state: ClientState; clock: ClockView; stage: StageEvent; connection: ConnectionView }

async function bindingOf(settings: ClientSettings): Promise<HttpBinding> {
  return settings.binding === 'frame' ? frameBinding(settings) : (await loadJson()).jsonBinding(settings)
}

/** The live parts of one client. */
export class ClientRuntime implements EventsHost {
  readonly settings: ClientSettings
  readonly listeners: Listeners<ClientEvents>
  readonly deviceSession: DeviceSession
  readonly binding: HttpBinding
  readonly ends = new Set<(error: CountersignError) => void>()
  readonly outstanding: Outstanding<Session>
  readonly events = new EventStreams(this)
  core: ClientCore
  clock: ServerClock
  readonly trust: ServerKeys
  #sync: Promise<void> | undefined
  #settling: Promise<void> | undefined
  enrolling: Enrolling | undefined
  #isTrapped = false
  #isClosed = false

  private constructor(
    settings: ClientSettings,
    core: ClientCore,
    binding: HttpBinding,
    vault: KeyVault,
    found: RecordState
  ) {
    this.settings = settings
    this.core = core
    this.deviceSession = new DeviceSession(settings, vault, found, (state) => this.#stateChanged(state))
    this.binding = binding
    this.outstanding = new Outstanding<Session>(settings.pastMs + settings.futureMs)
    this.listeners = new Listeners<ClientEvents>(['state', 'clock', 'stage', 'connection'], settings.logger)
    this.clock = this.#createClock('notes' in found ? found.notes : {})
    this.trust = new ServerKeys(this)
  }

  /** Loads the core, the stored record and the binding. Rejects with ERR_BAD_PUBLIC_KEY, load and storage errors. */
  static async start(settings: ClientSettings): Promise<ClientRuntime> {
    const core = await loadClientCore(settings.wasm)
    for (const { publicKey } of settings.serverKeys) {
      if (!core.isAcceptableEd25519Key(publicKey))
        throw new CountersignError('ERR_BAD_PUBLIC_KEY', { detail: 'serverKeys' })
    }
    const vault = new KeyVault(core, settings)
    const found = await vault.load()
    const runtime = new ClientRuntime(settings, core, await bindingOf(settings), vault, found)
    if ('notes' in found) await runtime.trust.recall(found.notes.serverKeys)
    return runtime
  }

  get state(): ClientState {
    return this.deviceSession.state
  }

  get session(): Session | undefined {
    return this.deviceSession.session
  }

  get tabs(): Tabs {
    return this.deviceSession.tabs
  }

  /** Returns the context of a call. Rejects with the usage error that says why the client cannot make one. */
  async context(): Promise<CallContext> {
    this.checkOpen()
    if (this.#isTrapped) await this.#revive()
    const looking = this.deviceSession.look()
    if (looking) await looking
    if (this.deviceSession.ready().next) await this.#settle()
    const session = this.deviceSession.ready()
    const renew = async () => (await loadChanges()).renew(this, session)
    return { ...this.contextOf(session), renew, explain: (error, signal) => hintFor(this, error, signal) }
  }

  /** Returns the context of a call for a session whose key is not read again. */
  contextOf(session: Session): CallContext {
    const { settings, core, clock, trust, report, ends } = this
    const learn = (error: unknown): void => this.learn(error, { core, session })
    return { settings, core, clock, session, trust, ends, report, learn, synchronise: () => this.#synchronise() }
  }

  checkOpen(): void {
    if (this.#isClosed) throw new CountersignError('ERR_CLOSED')
  }

  /** Makes one of the client's own calls and checks its answer with the keys of `trust`. */
  async ask(call: Call, trust: Trust): Promise<Answer> {
    return makeCall({ ...(await this.context()), trust }, call)
  }

  note(serverKeys: NonNullable<Stored['serverKeys']>): void {
    this.deviceSession.note({ serverKeys }, 'the server keys could not be stored')
  }

  /** Updates the client's state from a failure that concerns its core or its session. */
  learn(error: unknown, { core, session }: { core: ClientCore; session?: Session | undefined }): void {
    if (!isCountersignError(error)) return
    if (error.code === 'ERR_CORE_TRAPPED' && core === this.core) this.#isTrapped = true
    if (error.resultCode === 'cs.session_revoked' && session) this.deviceSession.revoked(session)
  }

  get tellStage(): ((event: StageEvent) => void) | undefined {
    return this.listeners.has('stage') ? (event) => this.listeners.emit('stage', event) : undefined
  }

  report = (requestId: string, failure?: unknown): void => {
    const { tellStage } = this
    if (tellStage) for (const event of stagesOf(requestId, failure)) tellStage(event)
  }

  /** Keeps the state of the stream of events and reports it to the listeners of `connection`. */
  connectionChanged(connection: ConnectionView): void {
    this.events.connection = connection
    this.listeners.emit('connection', connection)
  }

  revoked(session: Session): void {
    this.deviceSession.revoked(session)
  }

  /** Calls `listener` with the reason when the client can no longer send. Returns the function that removes it. */
  onUnready(listener: (error: unknown) => void): () => void {
    return this.listeners.add('state', () => {
      try {
        this.deviceSession.ready()
      } catch (error) {
        listener(error)
      }
    })
  }

  /** Checks an answer that the caller brought; its id is used once. Rejects with a refusal or the error of a check. */
  async open(raw: RawAnswer, requestId: string): Promise<Opened> {
    const { settings, core, clock, trust, report } = this
    this.checkOpen()
    const signed = this.outstanding.find(requestId)
    // For an unknown id the client expects a random id. So it makes all checks that come before the check of the id.
    const expected = signed === undefined ? settings.random.id() : requestId
    const checking = {
      settings,
      core,
      clock,
      trust,
      report: (_: string, failure?: unknown) => report(requestId, failure)
    }
    const { resultCode, timestampMs: serverTimeMs } = await openAnswer(checking, expected, raw, isApplicationResult)
    if (!signed || !this.outstanding.take(requestId)) throw new CountersignError('ERR_WRONG_REQUEST_ID')
    clock.sample({
      sentMs: signed.atMs,
      receivedMs: clock.monotonic(),
      serverMs: serverTimeMs,
      replace: resultCode === 'cs.stale'
    })
    if (!isRefusal(resultCode)) return new Opened({ resultCode, payload: raw.payload, requestId, serverTimeMs })
    const refusal = refusalOf(resultCode, raw.payload)
    this.learn(refusal, { core, session: signed.by })
    throw refusal
  }

  /** Enrols this device. Rejects with ERR_ALREADY_ENROLLED when there is a session, and as enroll.ts does. */
  async enroll(register: Register): Promise<void> {
    this.checkOpen()
    try {
      if (this.#isTrapped) await this.#revive()
      await (await loadChanges()).enroll(this, register)
    } catch (error) {
      this.learn(error, { core: this.core })
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#end('ERR_CLOSED')
    await this.deviceSession.close()
    this.clock.close()
  }

  #end(code: ErrorCode): void {
    for (const end of [...this.ends]) end(new CountersignError(code))
  }

  #stateChanged(state: ClientState): void {
    // A call in flight belongs to the session that has ended.
    if (state === 'signed-out') this.#end('ERR_NO_SESSION')
    this.listeners.emit('state', state)
  }

  #settle(): Promise<void> {
    this.#settling ??= loadChanges()
      .then(({ settle }) => settle(this))
      .catch((error) => this.deviceSession.postpone(error))
      .finally(() => {
        this.#settling = undefined
      })
    return this.#settling
  }

  // Concurrent calls share one request for the time. Each stops waiting by its own limits.
  #synchronise(): Promise<void> {
    this.#sync ??= this.#probe().finally(() => {
      this.#sync = undefined
    })
    return this.#sync
  }

  async #probe(): Promise<void> {
    const context = await this.context()
    const call = probeCall(this.binding, this.settings.timeoutMs)
    return probe(context, () => makeCall(context, call))
  }

  #createClock(notes: ClockNotes): ServerClock {
    return new ServerClock(this.core, this.settings, notes, () => this.#clockChanged())
  }

  #clockChanged(): void {
    if (this.listeners.has('clock')) this.listeners.emit('clock', this.clock.view())
    if (this.state !== 'ready') return
    const notes = this.clock.notesIfDue()
    if (notes) this.deviceSession.note(notes, "the server's time could not be stored")
    const nowMs = this.clock.view().now()
    if (!(Math.abs(nowMs - this.trust.askedMs) < DAY_MS)) this.trust.askToday(nowMs)
    // No call waits for this request. If it fails, the next request that needs the time asks again.
    if (this.clock.shouldAsk()) this.#synchronise().catch(() => {})
  }

  // A core that has trapped is lost with its clock. The key is not in the core, so it stays.
  async #revive(): Promise<void> {
    this.core = await loadClientCore(this.settings.wasm)
    this.deviceSession.vault.core = this.core
    this.clock = this.#createClock({})
    this.#isTrapped = false
  }
}
