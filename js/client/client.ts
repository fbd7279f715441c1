// SPDX-License-Identifier: MIT
// The Client: the methods that an application calls. Each checks its arguments and hands the work to the runtime.

import { CountersignError, isCountersignError } from '../common/errors.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { copyOf, functionOf, optionsOf, textOf } from '../core/args.ts'
import {
  checkType,
  idempotencyKeyOf,
  type Payload,
  payloadOf,
  type RequestOptions,
  readRequest,
  withinLimits
} from './call-options.ts'
import type { ClientEvent, ConnectionView, EventsOptions } from './events/types.ts'
import { canSign } from './keys/device-key.ts'
import { describeKey, type KeyInfo, type KeyLevel, levelOf } from './keys/key-info.ts'
import type { Session } from './keys/key-vault.ts'
import type { StorageReport } from './keys/storage-report.ts'
import { loadChanges, loadHeader, storageReport } from './lazy.ts'
import { type ConnectOptions, readOptions } from './options.ts'
import { type Opened, Reply } from './reply.ts'
import { type ClientEvents, ClientRuntime } from './runtime.ts'
import type { ClockView } from './server-clock.ts'
import type { ClientState } from './session/client-state.ts'
import type { Register } from './session/enroll.ts'
import type { RotateKeyOptions } from './session/rotate-key.ts'
import type { SessionInfo } from './session/session-list.ts'
import { splitFrame } from './transport/bindings/frame.ts'
import { makeCall, ownCall, signFrame } from './transport/exchange.ts'
import { readTarget, type SignedFetchInit } from './transport/fetch-target.ts'
import type { Answer, Call } from './transport/types.ts'

// A user who signs out should not wait long for a gateway that cannot be reached.
const SIGN_OUT_MS = 5000

/** The result of `sign`, which is also an option of `open`. */
const SIGNED = ['requestId', 'frame']

/** A client of one gateway under one label. It holds a device key that cannot leave the device. `connect` makes it. */
export class Client {
  readonly #runtime: ClientRuntime

  /** @internal */
  constructor(runtime: ClientRuntime) {
    this.#runtime = runtime
  }

  /** Says whether the client can send, and if not, why. `on('state')` reports changes. */
  get state(): ClientState {
    return this.#runtime.state
  }

  /** The id of the enrolled session, or null without one. */
  get sessionId(): string | null {
    return this.#runtime.session?.id ?? null
  }

  /** The public facts of the device key, or null without a session. */
  get key(): KeyInfo | null {
    const { session, deviceSession, core } = this.#runtime
    return session ? describeKey(core, deviceSession.vault, session.key) : null
  }

  /**
   * The server's time as this client knows it: the same object until the estimate changes.
   * @throws ERR_CLOSED when the client is closed.
   */
  get clock(): ClockView {
    this.#runtime.checkOpen()
    return this.#runtime.clock.view()
  }

  /**
   * Registers a listener for `state`, `clock`, `connection` or `stage`, and returns the function that removes it.
   * `stage` reports each check of each answer and event as it passes or fails.
   * @throws ERR_INVALID_ARGUMENT when there is no event of this name.
   */
  on<Name extends keyof ClientEvents>(event: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#runtime.listeners.add(event, listener)
  }

  /**
   * Enrols this device; to repeat it is safe. It makes the device key when there is none. `register` takes the key to
   * the gateway, and the client stores the session of the verified answer. Rejects with ERR_ENROLLMENT_REFUSED,
   * ERR_ALREADY_ENROLLED, or a key, storage or transport error.
   * @example
   * await client.enroll(async ({ publicKey, algorithm, prove, post }) =>
   *   post('/login/confirm', await confirmation({ publicKey, algorithm, proof: await prove(challengeId, userId) })))
   */
  async enroll(register: Register): Promise<void> {
    return this.#runtime.enroll(functionOf(register, 'register'))
  }

  /**
   * Sends a message and returns the application's verified answer. An application's own result codes resolve, with
   * `ok: false`. Rejects with ERR_UNKNOWN_TYPE when the server has no handler for the type, and with a
   * CountersignError for every refusal of the gateway, every failed check and every lost answer.
   * @example
   * const reply = await client.request('fleet.move', { json: move }, { idempotencyKey: orderId })
   * if (reply.ok) show(reply.json())
   */
  async request(type: string, payload?: Payload, options: RequestOptions = {}): Promise<Reply> {
    const { settings, binding } = this.#runtime
    checkType(settings, type)
    const bytes = payloadOf(settings, payload)
    const { signal, ...limits } = readRequest(settings, options)
    const call: Call = { ...limits, type, payload: bytes, binding, isSafe: settings.safeTypes.has(type) }
    const { response: _, ...parts } = await makeCall(await this.#runtime.context(), call, signal)
    return new Reply(parts)
  }

  /**
   * Sends a signed HTTP request to the gateway's origin and returns a Response whose body is verified. The signature
   * covers the request's method, path, query and body, and the answer's status and body. Headers are not signed, in
   * either direction. The gateway keeps conditional headers (`if-none-match`) and `range` from handlers.
   * Rejects with ERR_FOREIGN_ORIGIN when the URL has another origin, and as `request` does.
   * @example
   * const response = await client.fetch('/api/orders', { method: 'POST', body: JSON.stringify(order) })
   */
  async fetch(input: string | URL | Request, init?: SignedFetchInit | null): Promise<Response> {
    const { settings } = this.#runtime
    const target = readTarget(settings.origin, input, init ?? null)
    if (settings.allowTypes?.(target.line) === false) throw new CountersignError('ERR_TYPE_NOT_ALLOWED')
    const { signal, ...limits } = readRequest(settings, { ...target.limits, signal: target.signal })
    const isSafe = target.method === 'GET' || target.method === 'HEAD' || settings.safeTypes.has(target.line)
    const http = await loadHeader()
    const context = await this.#runtime.context()
    const type = http.headerType(context.core, target.line)
    const payload = (inner: AbortSignal) => http.readRequestBody(target, settings.maxPayload, inner)
    const call = { ...limits, isSafe, type, payload, binding: http.headerBinding(settings, target) }
    const answer = await makeCall(context, call, signal)
    return http.responseOf(target, answer.response, answer.payload)
  }

  /**
   * Signs a request and returns its frame without sending it. The caller carries the frame, and `open` opens the
   * answer. Rejects as `request` does before it sends.
   * @example
   * const { frame, requestId } = await client.sign('fleet.move', move)
   * const { payload } = await client.open(await carry(frame), { requestId })
   */
  async sign(
    type: string,
    payload?: Payload,
    options: Pick<RequestOptions, 'idempotencyKey'> = {}
  ): Promise<{ frame: Bytes; requestId: string }> {
    const { settings } = this.#runtime
    checkType(settings, type)
    const bytes = payloadOf(settings, payload)
    const idempotencyKey = idempotencyKeyOf(optionsOf(options, 'options', ['idempotencyKey']).idempotencyKey)
    const context = await this.#runtime.context()
    const isRetriable = idempotencyKey !== undefined || settings.safeTypes.has(type)
    const signed = await signFrame(context, { type, payload: bytes, idempotencyKey }, isRetriable)
    this.#runtime.outstanding.add(signed.requestId, context.clock.monotonic(), context.session)
    return signed
  }

  /**
   * Verifies the answer to a frame of `sign` and returns it; each request id opens one answer. The options may be the
   * result of `sign`. Rejects with ERR_WRONG_REQUEST_ID when the frame answers another request, and as `request` does.
   */
  async open(frame: BytesLike, options: { requestId: string }): Promise<Opened> {
    const parts = splitFrame(copyOf(frame, 'frame'))
    return this.#runtime.open(parts, textOf(optionsOf(options, 'options', SIGNED).requestId, 'requestId'))
  }

  /**
   * Returns the verified events that the gateway publishes for this session, each once and in order. The stream opens
   * with the first call of `next`, resumes after a broken connection, and closes when the last listener leaves. All
   * tabs share one stream. `next` rejects with the error that ends the stream: the session's end, a signed refusal,
   * ERR_ABORTED, ERR_CLOSED or a usage error.
   * @example
   * for await (const { type, payload } of client.events({ types: ['fleet.moved'] })) show(type, payload)
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<ClientEvent, undefined> {
    return this.#runtime.events.listen({ ...optionsOf(options, 'options') })
  }

  /** The state of the stream of events. `on('connection')` reports changes. */
  get connection(): ConnectionView {
    return this.#runtime.events.connection
  }

  /** Returns the sessions of this client's user. Rejects as `request` does. */
  async sessions(): Promise<SessionInfo[]> {
    const { payload } = await this.#ask('cs.sessions')
    return (await loadChanges()).readSessions(payload)
  }

  /** Gives a session of this client's user a name for lists of devices. Rejects as `request` does. */
  async rename(deviceSessionId: string, name: string): Promise<void> {
    const device_session_id = textOf(deviceSessionId, 'deviceSessionId')
    await this.#ask('cs.rename', { device_session_id, name: textOf(name, 'name') })
  }

  /** Ends a session of this client's user, which may be its own. Rejects as `request` does. */
  async revoke(deviceSessionId: string): Promise<void> {
    const { session } = this.#runtime
    await this.#ask('cs.revoke', { device_session_id: textOf(deviceSessionId, 'deviceSessionId') })
    if (session?.id === deviceSessionId) this.#runtime.deviceSession.revoked(session)
  }

  /**
   * Ends this session for everybody, even when somebody else has replaced its key: for a day, the key before may still sign
   * this. Use it when requests fail with ERR_UNAUTHENTICATED and the user asked for no new key.
   * Rejects as `request` does.
   */
  async freeze(): Promise<void> {
    const { session } = await this.#runtime.context()
    await this.#ask('cs.freeze')
    this.#runtime.deviceSession.revoked(session)
  }

  /**
   * Replaces the device key by the best new one that can be made and stored here. The old key signs the change, and the
   * new one proves that the client holds it. One working key is left whatever happens, and to repeat it is safe. Two
   * tabs that rotate at the same time get one new key.
   * A gateway asks the user to confirm the new key, by a mailed code for example. Without `confirm`, or with a wrong code,
   * the call rejects with ERR_ROTATION_REFUSED, and the session goes on with the old key.
   * Rejects with ERR_ROTATION_REFUSED, ERR_ABORTED, a key or a storage error, or as `request` does.
   * @example
   * await client.rotateKey({ confirm: ({ thumbprint }) => prompt(`The code from your mail, for the key ${thumbprint}`) })
   */
  async rotateKey(options: RotateKeyOptions = {}): Promise<void> {
    const { session } = await this.#runtime.context()
    return (await loadChanges()).rotate(this.#runtime, session, optionsOf(options, 'options'))
  }

  /**
   * Returns the key's level and the browser's storage report. Rejects with ERR_LOAD_FAILED when its code does not load.
   */
  async storage(): Promise<(KeyLevel | { level: null; reason: null }) & StorageReport> {
    const { session, deviceSession } = this.#runtime
    const level = session ? levelOf(deviceSession.vault, session.key) : { level: null, reason: null }
    return { ...level, ...(await storageReport()) }
  }

  /**
   * Asks the gateway to end this session, and deletes the key. `revoked` is false when the gateway did not confirm the
   * end within 5000 ms.
   * Rejects with a storage error when the key could not be deleted.
   */
  async signOut(): Promise<{ revoked: boolean }> {
    const { session, state } = this.#runtime
    this.#runtime.checkOpen()
    const revoked = state === 'ready' && session !== undefined && (await this.#hasRevoked(session))
    await this.#runtime.deviceSession.forget()
    return { revoked }
  }

  /** Ends every call in flight with ERR_CLOSED, and resolves when no work is left. The session stays. */
  async close(): Promise<void> {
    return this.#runtime.close()
  }

  async #hasRevoked({ id }: Session): Promise<boolean> {
    const { settings, ends } = this.#runtime
    const timeoutMs = Math.min(settings.timeoutMs, SIGN_OUT_MS)
    const limits = { signal: undefined, timeoutMs, schedule: settings.schedule, ends }
    try {
      await withinLimits(limits, () => this.#ask('cs.revoke', { device_session_id: id }))
      return true
    } catch (error) {
      return isCountersignError(error) && error.code === 'ERR_SESSION_REVOKED'
    }
  }

  async #ask(type: string, members?: object): Promise<Answer> {
    const answer = await makeCall(await this.#runtime.context(), ownCall(this.#runtime, type, members))
    if (answer.resultCode === 'ok') return answer
    throw new CountersignError('ERR_UNKNOWN_RESULT', { resultCode: answer.resultCode })
  }
}

/**
 * Makes a client. It loads the core and the stored session, and sends nothing.
 *
 * Rejects with usage errors for its options, with ERR_INSECURE_CONTEXT or ERR_NO_CRYPTO for the environment, and with
 * load and storage errors.
 *
 * @example
 * const client = await connect({ url: location.origin, label: 'myapp', serverKeys: [{ id: 'k1', publicKey }] })
 * if (client.state !== 'ready') await emailEnrollment(client, { email, code: askForCode })
 * const { payload } = await client.request('demo.echo', 'hello')
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const settings = readOptions(options)
  if (globalThis.isSecureContext === false) {
    const detail = `${globalThis.location?.origin ?? 'this page'} has no WebCrypto; a phone on the LAN needs https too`
    throw new CountersignError('ERR_INSECURE_CONTEXT', { detail })
  }
  if (!canSign) throw new CountersignError('ERR_NO_CRYPTO')
  // This finds a generator that gives no bytes here, not at the first request.
  settings.random.id()
  return new Client(await ClientRuntime.start(settings))
}
