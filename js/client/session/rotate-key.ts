// SPDX-License-Identifier: MIT
// Gives a session a new key (R96, R120 to R123). The record holds both keys until the server has confirmed one. So the
// client has a key that works, whatever breaks on the way.

import { encodeBase64 } from '../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../common/errors.ts'
import { encodeJson } from '../../common/text.ts'
import type { ClientCore } from '../../core/client-core.ts'
import { promoteKey, retainKey, stageKey } from '../keys/create-key.ts'
import { type DeviceKey, isSameKey } from '../keys/device-key.ts'
import type { Session } from '../keys/key-vault.ts'
import type { ClientSettings } from '../options.ts'
import { probeCall } from '../transport/ask-time.ts'
import type { HttpBinding } from '../transport/bindings/binding.ts'
import { makeCall, ownCall, signRequest } from '../transport/exchange.ts'
import type { Call, CallContext } from '../transport/types.ts'
import type { DeviceSession } from './device-session.ts'

/** The parts of a client that a change of keys uses. */
export type RotationHost = {
  readonly settings: ClientSettings
  readonly deviceSession: DeviceSession
  readonly binding: HttpBinding
  readonly core: ClientCore
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

const send = async (host: RotationHost, session: Session, next: DeviceKey): Promise<void> => {
  const { core, settings } = host
  const { algorithm, publicKey } = next
  // The proof names its request, so each try has its own proof.
  const sign: Call['sign'] = async (context, call, _, timestampMs) => {
    const requestId = settings.random.id()
    const fields = { label: settings.label, deviceSessionId: session.id, requestId, algorithm, publicKey }
    const proof = encodeBase64(await next.sign(core.rotateSigningInput(fields)))
    const payload = encodeJson({ algorithm, public_key: encodeBase64(publicKey), proof })
    return signRequest(context, { ...call, payload }, core.sha256(payload), timestampMs, requestId)
  }
  // If the first try took effect, the server refuses the second one. Then the client asks which key counts.
  const { resultCode } = await makeCall(host.contextOf(session), { ...ownCall(host, 'cs.rotate_key'), sign })
  if (resultCode !== 'ok') throw new CountersignError('ERR_ROTATION_REFUSED', { resultCode })
}

/**
 * Replaces the key of a session, unless another tab has done so meanwhile. Rejects with ERR_ROTATION_REFUSED, with key
 * and storage errors, or as a request does. The session then works on with the key that the server has.
 */
export function rotate(host: RotationHost, asked: Session): Promise<void> {
  return host.deviceSession.vault.alone(async () => {
    const { deviceSession } = host
    await deviceSession.reload()
    const session = deviceSession.ready()
    if (session.id !== asked.id) throw new CountersignError('ERR_NO_SESSION')
    if (!isSameKey(session.key, asked.key)) return
    const next = await stageKey(deviceSession.vault, session)
    if (!next) throw new CountersignError('ERR_NO_SESSION')
    try {
      await send(host, session, next)
    } catch (error) {
      return failed(host, session, next, error)
    }
    await adoptKey(host, session, next)
  })
}

const failed = async (host: RotationHost, session: Session, next: DeviceKey, error: unknown): Promise<void> => {
  const { deviceSession } = host
  const code = resultOf(error)
  const isRefused = isCountersignError(error) && error.code === 'ERR_ROTATION_REFUSED'
  // The server would refuse the same key again, so the client keeps the old one.
  if (isRefused && code !== 'conflict') await adoptKey(host, session, session.key)
  else {
    deviceSession.replace({ ...session, next })
    if (isRefused || code === 'cs.unauthenticated') await resolveKey(host, session, next)
  }
  if (!deviceSession.session || !isSameKey(deviceSession.session.key, next)) throw error
}
