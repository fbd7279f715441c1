// SPDX-License-Identifier: MIT
// Gives a session a new key (R96, R120 to R123 and R150). The record holds both keys until the server has confirmed one. So the
// client has a key that works, whatever breaks on the way.

import { encodeBase64 } from '../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { encodeJson } from '../../common/text.ts'
import { badArgument, functionOf, optionsOf } from '../../core/args.ts'
import type { ClientCore } from '../../core/client-core.ts'
import { writeMessage } from '../../core/messages.ts'
import { signalOf, withinLimits } from '../call-options.ts'
import { promoteKey, retainKey, stageKey } from '../keys/create-key.ts'
import { type DeviceKey, isSameKey, thumbprintOf } from '../keys/device-key.ts'
import type { Session } from '../keys/key-vault.ts'
import type { ClientSettings } from '../options.ts'
import { probeCall } from '../transport/ask-time.ts'
import type { HttpBinding } from '../transport/bindings/binding.ts'
import { makeCall, ownCall, signRequest } from '../transport/exchange.ts'
import type { Answer, Call, CallContext } from '../transport/types.ts'
import type { DeviceSession } from './device-session.ts'
import type { Code } from './email-enrollment.ts'
import { memberOf } from './enroll.ts'

/** The parts of a client that a change of keys uses. */
export type RotationHost = {
  readonly settings: ClientSettings
  readonly deviceSession: DeviceSession
  readonly binding: HttpBinding
  readonly core: ClientCore
  readonly ends: Set<(error: CountersignError) => void>
  contextOf(session: Session): CallContext
}

const TRIES = 2

const resultOf = (error: unknown): string | undefined => (isCountersignError(error) ? error.resultCode : undefined)

/** Continues with the key that the server has confirmed, and stores it. */
const adoptKey = async (
  { deviceSession }: RotationHost,
  session: Session,
  key: DeviceKey,
  serverMs?: number
): Promise<void> => {
  if (!deviceSession.replace({ id: session.id, key })) return
  const { vault } = deviceSession
  if (isSameKey(key, session.key)) return retainKey(vault, session, serverMs)
  await promoteKey(vault, session, key)
  deviceSession.tell()
}

/**
 * Returns the server's time when the server has `key` for the session. Returns undefined when its signed answer says
 * that it has not.
 */
const timeUnderKey = async (host: RotationHost, { id }: Session, key: DeviceKey): Promise<number | undefined> => {
  const { binding, settings } = host
  const call = probeCall(binding, settings.timeoutMs)
  for (let tries = 1; ; tries++) {
    try {
      return (await makeCall(host.contextOf({ id, key }), call)).serverTimeMs
    } catch (error) {
      if (resultOf(error) === 'cs.unauthenticated') return undefined
      // The server checks the time after the signature, so `cs.stale` proves the key too, and it brings the time.
      if (resultOf(error) !== 'cs.stale' || tries === TRIES) throw error
    }
  }
}

/** Finds out which key the server has. It asks for the new key twice, for the rotation may arrive in between. */
const resolveKey = async (host: RotationHost, session: Session, next: DeviceKey): Promise<void> => {
  for (const key of [next, session.key, next]) {
    const serverMs = await timeUnderKey(host, session, key)
    if (serverMs !== undefined) return adoptKey(host, session, key, serverMs)
  }
  throw new CountersignError('ERR_UNAUTHENTICATED', { detail: 'the server refuses the old and the new key' })
}

/** Finds out which key the server has, when the record has two. Rejects as a request does. */
export function settle(host: RotationHost): Promise<void> {
  return host.deviceSession.vault.alone(async () => {
    const { deviceSession } = host
    const found = await deviceSession.reload()
    if (found.kind !== 'ready') return
    const { session } = found
    if (session.next) await resolveKey(host, session, session.next)
    else await adoptKey(host, session, session.key)
  })
}

/**
 * Returns the session with its present key after the server has refused the old one. Returns undefined when the record
 * has no other key, or when the session is no longer this client's.
 */
export async function renew(host: RotationHost, { id, key }: Session): Promise<Session | undefined> {
  const { deviceSession } = host
  const current = (): Session | undefined => {
    const { session, state } = deviceSession
    return state === 'ready' && session?.id === id && !isSameKey(session.key, key) ? session : undefined
  }
  const found = await deviceSession.reload()
  if (found.kind === 'ready' && found.session.next && !current()) await settle(host)
  return current()
}

/** The answer of the user to the gateway's question whether a new key is wanted. */
type Confirmation = { challengeId: string; code: string }

/** A question of the gateway, and the new key that it is about. */
type Question = { challengeId: string; next: DeviceKey }

const send = (
  host: RotationHost,
  session: Session,
  next: DeviceKey,
  confirmation: Confirmation | undefined
): Promise<Answer> => {
  const { core, settings } = host
  const { algorithm, publicKey } = next
  // The proof names its request, so each try has its own proof.
  const sign: Call['sign'] = async (context, call, _, timestampMs) => {
    const requestId = settings.random.id()
    const fields = { label: settings.label, deviceSessionId: session.id, requestId, algorithm, publicKey }
    const proof = encodeBase64(await next.sign(writeMessage(core.wasm, 'rotate', fields)))
    const payload = encodeJson({
      algorithm,
      public_key: encodeBase64(publicKey),
      proof,
      ...(confirmation && { confirmation: { challenge_id: confirmation.challengeId, code: confirmation.code } })
    })
    return signRequest(context, { ...call, payload }, core.sha256(payload), timestampMs, requestId)
  }
  // If the first try took effect, the server refuses the second one. Then the client asks which key counts.
  return makeCall(host.contextOf(session), { ...ownCall(host, 'cs.rotate_key'), sign })
}

// These codes say that the server refuses this key or this request for ever.
const FINAL = /^(?:invalid_|unknown_type|too_many_rotations)/

/** Ends a rotation that has no `ok`. Returns the gateway's question when there is one; otherwise rejects. */
const refused = async (
  host: RotationHost,
  session: Session,
  next: DeviceKey,
  { resultCode, serverTimeMs, payload }: Answer
): Promise<Question | undefined> => {
  const error = new CountersignError('ERR_ROTATION_REFUSED', { resultCode })
  if (resultCode === 'conflict') return failed(host, session, next, error)
  // The server has the old key. An earlier try may still be on its way, so the new key stays beside it for a while.
  await adoptKey(host, session, session.key, FINAL.test(resultCode) ? undefined : serverTimeMs)
  if (resultCode !== 'confirmation_required') throw error
  const challengeId = memberOf(payload, 'challenge_id')
  if (typeof challengeId !== 'string') throw error
  return { challengeId, next }
}

/** Goes on after a call that failed, or lost against another one. Rejects unless the server has the new key. */
const failed = async (host: RotationHost, session: Session, next: DeviceKey, error: unknown): Promise<undefined> => {
  const { deviceSession } = host
  const code = resultOf(error)
  deviceSession.replace({ ...session, next })
  if (code === 'conflict' || code === 'cs.unauthenticated') await resolveKey(host, session, next)
  if (!deviceSession.session || !isSameKey(deviceSession.session.key, next)) throw error
}

/**
 * Replaces the key of a session, unless another tab has done so meanwhile. Returns the gateway's question when the user
 * has to confirm it; the session then goes on with the old key.
 */
const attempt = (
  host: RotationHost,
  asked: Session,
  answered?: { question: Question; code: string }
): Promise<Question | undefined> =>
  host.deviceSession.vault.alone(async () => {
    const { deviceSession } = host
    await deviceSession.reload()
    const session = deviceSession.ready()
    if (session.id !== asked.id) throw new CountersignError('ERR_NO_SESSION')
    if (!isSameKey(session.key, asked.key)) return
    const wanted = answered?.question.next
    const next = await stageKey(deviceSession.vault, session, wanted)
    if (!next) throw new CountersignError('ERR_NO_SESSION')
    // Another tab has made another key meanwhile, and the server may have that one.
    if (wanted && !isSameKey(next, wanted))
      throw new CountersignError('ERR_ROTATION_REFUSED', { resultCode: 'conflict' })
    let answer: Answer
    try {
      answer = await send(host, session, next, answered && { ...answered.question, code: answered.code })
    } catch (error) {
      return failed(host, session, next, error)
    }
    if (answer.resultCode !== 'ok') return refused(host, session, next, answer)
    await adoptKey(host, session, next)
  })

/** The options of `rotateKey`. */
export type RotateKeyOptions = {
  /**
   * Asks the user for the code that the gateway has mailed, or for what else it wants (`stepUp`). Show the thumbprint of
   * the new key: the user must compare it with the one in the mail. Returns null when the user gives up. Absent: a
   * gateway that asks is a refusal.
   */
  confirm?: (question: { challengeId: string; thumbprint: string; signal: AbortSignal }) => Code | Promise<Code>
  /** Ends the wait for `confirm`; the call rejects with ERR_ABORTED. */
  signal?: AbortSignal
}

/** The time for a user to find the code: that of a mailed code. */
const CONFIRM_MS = 600_000

/**
 * Replaces the key of a session, unless another tab has done so meanwhile. Rejects with ERR_ROTATION_REFUSED, with key
 * and storage errors, or as a request does. The session then works on with the key that the server has.
 */
export async function rotate(host: RotationHost, asked: Session, options: RotateKeyOptions): Promise<void> {
  const { confirm, signal } = optionsOf(options, 'options', ['confirm', 'signal'])
  const ask = confirm === undefined ? undefined : functionOf(confirm, 'confirm')
  const limits = { signal: signalOf(signal), timeoutMs: CONFIRM_MS, schedule: host.settings.schedule, ends: host.ends }
  const question = await attempt(host, asked)
  if (!question) return
  if (!ask) throw new CountersignError('ERR_ROTATION_REFUSED', { resultCode: 'confirmation_required' })
  // No lock is held while the user looks for the code: other tabs go on with the old key.
  const { challengeId, next } = question
  const thumbprint = thumbprintOf(host.core, next)
  const code: unknown = await withinLimits(limits, async (inner) => ask({ challengeId, thumbprint, signal: inner }))
  if (code === null || code === undefined)
    throw new CountersignError('ERR_ABORTED', { detail: 'confirm returned null' })
  if (typeof code !== 'string' || code === '') throw badArgument('confirm must return a string')
  const again = await attempt(host, asked, { question, code })
  // A second question would be about the same key: a gateway asks once.
  if (again) throw new CountersignError('ERR_ROTATION_REFUSED', { resultCode: 'confirmation_required' })
}
