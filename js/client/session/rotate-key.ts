// SPDX-License-Identifier: MIT
// A session gets a new key (R120 to R123). Both keys are in the record until the server has confirmed one of them, so that
// whatever breaks on the way leaves one that works.

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

/** What a change of keys needs of its client. */
export type RotationHost = {
  readonly settings: ClientSettings
  readonly deviceSession: DeviceSession
  readonly binding: HttpBinding
  readonly core: ClientCore
  contextOf(session: Session): CallContext
}

const TRIES = 2

const resultOf = (error: unknown): string | undefined => (isCountersignError(error) ? error.resultCode : undefined)

/** use goes on with the key that the server has confirmed, and stores that. */
const use = async (
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

/** ask gives the server's time where it has `key` for the session; undefined where it says, signed, that it has not. */
const ask = async (host: RotationHost, { id }: Session, key: DeviceKey): Promise<number | undefined> => {
  const { binding, settings } = host
  const call = probeCall(binding, settings.timeoutMs)
  for (let tries = 1; ; tries++) {
    try {
      return (await makeCall(host.contextOf({ id, key }), call)).serverTimeMs
    } catch (error) {
      if (resultOf(error) === 'cs.unauthenticated') return undefined
      // Judged after the signature, and it brings the time.
      if (resultOf(error) !== 'cs.stale' || tries === TRIES) throw error
    }
  }
}

/** resolve finds out which key the server has; the new one is asked once more, for its rotation may arrive in between. */
const resolve = async (host: RotationHost, session: Session, next: DeviceKey): Promise<void> => {
  for (const key of [next, session.key, next]) {
    const serverMs = await ask(host, session, key)
    if (serverMs !== undefined) return use(host, session, key, serverMs)
  }
  throw new CountersignError('ERR_UNAUTHENTICATED', { detail: 'the server refuses the old and the new key' })
}

/** settle finds out which key the server has, where the record has two; rejects as a request does. */
export function settle(host: RotationHost): Promise<void> {
  return host.deviceSession.vault.alone(async () => {
    const { deviceSession } = host
    const found = await deviceSession.reload()
    if (found.kind !== 'ready') return
    const { session } = found
    if (session.next) await resolve(host, session, session.next)
    else await use(host, session, session.key)
  })
}

/**
 * renew gives a session whose key the server has refused with its present key, where the record has another one by now;
 * undefined where it has none, or where the session is no longer this client's.
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
  // The proof names the request it goes in, so each try has one of its own.
  const sign: Call['sign'] = async (context, call, _, timestampMs) => {
    const requestId = settings.random.id()
    const fields = { label: settings.label, deviceSessionId: session.id, requestId, algorithm, publicKey }
    const proof = encodeBase64(await next.sign(core.rotateSigningInput(fields)))
    const payload = encodeJson({ algorithm, public_key: encodeBase64(publicKey), proof })
    return signRequest(context, { ...call, payload }, core.sha256(payload), timestampMs, requestId)
  }
  // A second try after a first that came through is refused, and then it is asked which key counts.
  const { resultCode } = await makeCall(host.contextOf(session), { ...ownCall(host, 'cs.rotate_key'), sign })
  if (resultCode !== 'ok') throw new CountersignError('ERR_ROTATION_REFUSED', { resultCode })
}

/**
 * rotate replaces the key of a session, unless another tab has done so meanwhile. It rejects with ERR_ROTATION_REFUSED, a key
 * or a storage error, or as a request does; the session then works on with whichever key the server has.
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
    await use(host, session, next)
  })
}

const failed = async (host: RotationHost, session: Session, next: DeviceKey, error: unknown): Promise<void> => {
  const { deviceSession } = host
  const code = resultOf(error)
  const isRefused = isCountersignError(error) && error.code === 'ERR_ROTATION_REFUSED'
  // Refused for what it is, it would be refused again.
  if (isRefused && code !== 'conflict') await use(host, session, session.key)
  else {
    deviceSession.replace({ ...session, next })
    if (isRefused || code === 'cs.unauthenticated') await resolve(host, session, next)
  }
  if (!deviceSession.session || !isSameKey(deviceSession.session.key, next)) throw error
}
