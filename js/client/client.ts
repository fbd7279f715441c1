// SPDX-License-Identifier: MIT

import { CountersignError, isCountersignError } from '../common/errors.ts'
import type { Bytes, BytesLike } from '../common/types.ts'
import { copyOf, functionOf, optionsOf, textOf } from '../core/args.ts'
import {
  checkType,
  idempotencyKeyOf,
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
import { type ClientEvents, ClientRuntime, type Opened } from './runtime.ts'
import type { ClockView } from './server-clock.ts'
import type { ClientState } from './session/client-state.ts'
import type { Register } from './session/enroll.ts'
import type { SessionInfo } from './session/session-list.ts'
import { splitFrame } from './transport/bindings/frame.ts'
import { makeCall, ownCall, signFrame } from './transport/exchange.ts'
import { readTarget, type SignedFetchInit } from './transport/fetch-target.ts'
import type { Answer, Call } from './transport/types.ts'

/** A verified answer of the application. */
export type Reply = Omit<Answer, 'response'>

// Nobody who signs out should wait long for a gateway that cannot be reached.
const SIGN_OUT_MS = 5000

/** A client of one gateway under one label. It holds a device key that cannot leave the device; `connect` makes it. */
export class Client {
  readonly #runtime: ClientRuntime

  /** @internal */
  constructor(engine: ClientRuntime) {
    this.#runtime = engine
  }

  /** state says whether the client can send, and if not, why; `on('state')` tells changes. */
  get state(): ClientState {
    return this.#runtime.state
  }

  /** sessionId is the enrolled session's id, null without one. */
  get sessionId(): string | null {
    return this.#runtime.session?.id ?? null
  }

  /** key describes the device key, null without a session. */
  get key(): KeyInfo | null {
    const { session, deviceSession, core } = this.#runtime
    return session ? describeKey(core, deviceSession.vault, session.key) : null
  }

  /** clock is what is known of the server's time now, a snapshot. */
  get clock(): ClockView {
    this.#runtime.checkOpen()
    return this.#runtime.clock.view()
  }

  /**
   * on registers a listener for `state`, `clock`, `connection` or `stage` (each check of each answer and event, as it passes
   * or fails) and gives the function that removes it. It throws ERR_INVALID_ARGUMENT for another event.
   */
  on<Name extends keyof ClientEvents>(event: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#runtime.listeners.add(event, listener)
  }

  /**
   * enroll makes the device key where there is none, has `register` take it to the gateway, and keeps the session that the
   * verified answer names. It rejects with ERR_ENROLLMENT_REFUSED, ERR_ALREADY_ENROLLED, a key, a storage or a transport
   * error; repeating it is safe.
   *
   * @example
   * await client.enroll(async ({ publicKey, algorithm, prove, post }) =>
   *   post('/login/confirm', await confirmation({ publicKey, algorithm, proof: await prove(challengeId, userId) })))
   */
  async enroll(register: Register): Promise<void> {
    return this.#runtime.enroll(functionOf(register, 'register'))
  }

  /**
   * request sends a message and gives the application's verified answer, whatever its result code. It rejects with a
   * CountersignError for every refusal of the gateway, every failed check and every lost answer.
   *
   * @example
   * const { resultCode, payload } = await client.request('fleet.move', move, { idempotencyKey: orderId })
   */
  async request(type: string, payload?: BytesLike | string, options: RequestOptions = {}): Promise<Reply> {
    const { settings, binding } = this.#runtime
    checkType(settings, type)
    const bytes = payloadOf(settings, payload)
    const { signal, ...limits } = readRequest(settings, optionsOf(options, 'options'))
    const call: Call = { ...limits, type, payload: bytes, binding, isSafe: settings.safeTypes.has(type) }
    const { response: _, ...reply } = await makeCall(await this.#runtime.context(), call, signal)
    return reply
  }

  /**
   * fetch is fetch for the gateway's origin, signed: the request's method, path, query and body, and the answer's status and
   * body. Other headers are not signed. It rejects as request does.
   *
   * @example
   * const response = await client.fetch('/api/orders', { method: 'POST', body: JSON.stringify(order) })
   */
  async fetch(input: string | URL | Request, init: SignedFetchInit = {}): Promise<Response> {
    const { settings } = this.#runtime
    const target = readTarget(settings.origin, input, init)
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
   * sign makes the signed frame of a request without sending it, for a carrier of the caller's own; `open` opens the answer.
   * It rejects as request does before sending.
   *
   * @example
   * const { frame, requestId } = await client.sign('fleet.move', move)
   * const { payload } = await client.open(await carry(frame), { requestId })
   */
  async sign(
    type: string,
    payload?: BytesLike | string,
    options: Pick<RequestOptions, 'idempotencyKey'> = {}
  ): Promise<{ frame: Bytes; requestId: string }> {
    const { settings } = this.#runtime
    checkType(settings, type)
    const bytes = payloadOf(settings, payload)
    const idempotencyKey = idempotencyKeyOf(optionsOf(options, 'options').idempotencyKey)
    const context = await this.#runtime.context()
    const isRetriable = idempotencyKey !== undefined || settings.safeTypes.has(type)
    const signed = await signFrame(context, { type, payload: bytes, idempotencyKey }, isRetriable)
    this.#runtime.outstanding.add(signed.requestId, context.clock.monotonic(), context.session)
    return signed
  }

  /**
   * open verifies the answer to a frame that `sign` made, once: the id is forgotten then. It rejects with ERR_WRONG_REQUEST_ID
   * for an answer to anything else, and as request does for refusals and failed checks.
   */
  async open(frame: BytesLike, options: { requestId: string }): Promise<Opened> {
    return this.#runtime.open(
      splitFrame(copyOf(frame, 'frame')),
      textOf(optionsOf(options, 'options').requestId, 'requestId')
    )
  }

  /**
   * events gives the events that the gateway publishes for this session, in their order, none twice, each verified. The stream
   * opens when the first one is asked for and closes when the last listener leaves; it is resumed over broken connections, and
   * one stream serves all tabs. `next` rejects with what ends it: the session's end, a signed refusal, ERR_ABORTED,
   * ERR_CLOSED or a usage error.
   *
   * @example
   * for await (const { type, payload } of client.events({ types: ['fleet.moved'] })) show(type, payload)
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<ClientEvent, undefined> {
    return this.#runtime.events.listen({ ...optionsOf(options, 'options') })
  }

  /** connection says how the stream of events is doing; `on('connection')` tells changes. */
  get connection(): ConnectionView {
    return this.#runtime.events.connection
  }

  /** sessions lists the sessions of this client's user; rejects as request does. */
  async sessions(): Promise<SessionInfo[]> {
    const { payload } = await this.#ask('cs.sessions')
    return (await loadChanges()).readSessions(payload)
  }

  /** rename names a session of this client's user, for lists of devices; rejects as request does. */
  async rename(deviceSessionId: string, name: string): Promise<void> {
    await this.#ask('cs.rename', {
      device_session_id: textOf(deviceSessionId, 'deviceSessionId'),
      name: textOf(name, 'name')
    })
  }

  /** revoke ends a session of this client's user, its own included; rejects as request does. */
  async revoke(deviceSessionId: string): Promise<void> {
    const { session } = this.#runtime
    await this.#revoke(textOf(deviceSessionId, 'deviceSessionId'))
    if (session?.id === deviceSessionId) this.#runtime.deviceSession.revoked(session)
  }

  /**
   * rotateKey replaces the device key by a new one, the best that can be made and kept here: the old one signs the change, the
   * new one proves that it is there. It rejects with ERR_ROTATION_REFUSED, a key or a storage error, or as request does; one
   * working key is left whatever happens, and repeating it is safe. Where another tab rotates at the same time, one key comes of it.
   *
   * @example
   * await client.rotateKey()
   */
  async rotateKey(): Promise<void> {
    const { session } = await this.#runtime.context()
    return (await loadChanges()).rotate(this.#runtime, session)
  }

  /** storage tells where the key lies, why not in a better place, and what the browser says about keeping it. */
  async storage(): Promise<(KeyLevel | { level: null; reason: null }) & StorageReport> {
    const { session, deviceSession } = this.#runtime
    const level = session ? levelOf(deviceSession.vault, session.key) : { level: null, reason: null }
    return { ...level, ...(await storageReport()) }
  }

  /**
   * signOut tells the gateway that this session is over, deletes the key and resolves when it is gone. `revoked` is false
   * where the gateway could not be told; it rejects with a storage error where the key could not be deleted.
   */
  async signOut(): Promise<{ revoked: boolean }> {
    const { session, state } = this.#runtime
    this.#runtime.checkOpen()
    const revoked = state === 'ready' && session !== undefined && (await this.#hasRevoked(session))
    await this.#runtime.deviceSession.forget()
    return { revoked }
  }

  /** close ends every call in flight with ERR_CLOSED and resolves when nothing is left to do; the session stays. */
  async close(): Promise<void> {
    return this.#runtime.close()
  }

  #revoke(id: string): Promise<Answer> {
    return this.#ask('cs.revoke', { device_session_id: id })
  }

  async #hasRevoked({ id }: Session): Promise<boolean> {
    const { settings, ends } = this.#runtime
    const timeoutMs = Math.min(settings.timeoutMs, SIGN_OUT_MS)
    try {
      await withinLimits({ signal: undefined, timeoutMs, schedule: settings.schedule, ends }, () => this.#revoke(id))
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
 * connect makes a client: it loads the core and what the store has of an earlier visit, and sends nothing. It rejects with
 * usage errors for its options, ERR_INSECURE_CONTEXT or ERR_NO_CRYPTO for the environment, and with load and storage errors.
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
  // A generator that gives nothing is found here, not at the first request.
  settings.random.id()
  return new Client(await ClientRuntime.start(settings))
}
