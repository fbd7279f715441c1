// SPDX-License-Identifier: MIT
// Sets of server keys that the server delivers (R97, R126). The client asks for a set, checks it, and checks it again
// each time it loads one. A page loads this code when it has a set or needs one.

import { encodeBase64 } from '../../common/base64.ts'
import { DAY_MS } from '../../common/protocol.ts'
import { parseJson } from '../../common/text.ts'
import type { KeySet, Stored } from '../../common/types.ts'
import type { ClientCore } from '../../core/client-core.ts'
import type { Session } from '../keys/key-vault.ts'
import { type ClientSettings, type ServerKey, serverKeysOf } from '../options.ts'
import type { ServerClock } from '../server-clock.ts'
import type { HttpBinding, RawAnswer, SignedRequest } from '../transport/bindings/binding.ts'
import { splitFrame } from '../transport/bindings/frame.ts'
import type { Answer, Call, Trust } from '../transport/types.ts'

/** The message type that asks for the server's keys. */
const KEYS_TYPE = 'cs.keys'

const LONGEST_MS = 90 * DAY_MS
const MAX_BYTES = 32 * 1024

/** The parts of a client that a set of keys uses. */
export type KeyHost = {
  readonly settings: ClientSettings
  readonly core: ClientCore
  readonly clock: ServerClock
  readonly session: Session | undefined
  readonly binding: HttpBinding
  /** Makes a call and checks its answer with the keys of `trust`. */
  ask(call: Call, trust: Trust): Promise<Answer>
  /** Stores the facts about the server's keys for the next visit. */
  note(serverKeys: NonNullable<Stored['serverKeys']>): void
}

type DeliveredKey = { id: string; public_key: string; not_before?: number; not_after: number }

const refuse = (why: string): never => {
  throw new Error(why)
}

/** Asks for the next set and returns it, or undefined when the server has none. Rejects as a call does. */
export async function fetchSet(host: KeyHost, question: Call, trust: Trust): Promise<KeySet | undefined> {
  const { binding } = question
  let sent: SignedRequest | undefined
  let raw: RawAnswer | undefined
  const watched: HttpBinding = {
    ...binding,
    write(core, request) {
      sent = request
      return binding.write(core, request)
    },
    async read(...given) {
      raw = await binding.read(...given)
      return raw
    }
  }
  const call = { ...question, type: KEYS_TYPE, binding: watched }
  const { resultCode, payload } = await host.ask(call, trust).catch((error) => {
    // A signed `cs.stale` has set the clock, so the second try has the right time.
    if (error?.resultCode !== 'cs.stale') throw error
    return host.ask(call, trust)
  })
  if (resultCode !== 'ok' || !sent || !raw) return undefined
  const { requestId, timestampMs } = sent
  const frame = new Uint8Array(raw.envelope.length + payload.length)
  frame.set(raw.envelope)
  frame.set(payload, raw.envelope.length)
  return { frame, requestId, timestampMs }
}

/**
 * Verifies a set with the configured keys alone, and returns the configured and the delivered keys.
 * @throws when the set breaks a rule.
 */
export function readSet(
  { core, clock, session, settings }: KeyHost,
  { frame, requestId, timestampMs: askedMs }: KeySet
): { serial: number; keys: readonly ServerKey[] } {
  const { label, serverKeys: configured, compatible } = settings
  const { envelope, payload } = splitFrame(frame)
  if (payload.length > MAX_BYTES) refuse('the set is too large')
  const keys = core.keyRing(configured)
  const rules = { label, keys, requestId, timeFloorMs: clock.floorMs, anyKey: true }
  const { timestampMs } = core.openEnvelope(envelope, core.sha256(payload), rules)
  const question = {
    ...{ label, deviceSessionId: session?.id ?? '', messageType: KEYS_TYPE, timestampMs: askedMs },
    ...{ requestId: requestId.replace(/\..*/, ''), payloadHash: core.sha256(new Uint8Array(0)) }
  }
  // An answer to another question could carry a payload of an attacker's choice, above all the answer of an echo
  // (R126).
  if (!compatible && core.beginRequest(question).requestId !== requestId)
    refuse('the answer does not belong to cs.keys')
  const { serial, keys: listed } = parseJson(payload) as { serial: number; keys: DeliveredKey[] }
  if (!(Number.isSafeInteger(serial) && serial >= 0)) refuse('serial is not a whole number')
  const delivered = listed.flatMap(({ id, public_key: publicKey, not_before: notBefore, not_after: notAfter }) => {
    if (!(notAfter >= (notBefore ?? 0) && notAfter <= timestampMs + LONGEST_MS))
      refuse('not_after is too late or before not_before')
    const known = configured.find((key) => key.id === id)
    if (!known) return { id, publicKey, ...(notBefore === undefined ? {} : { notBefore }), notAfter }
    return encodeBase64(known.publicKey) === publicKey ? [] : refuse('a configured id has another key')
  })
  const all = serverKeysOf([...configured, ...delivered])
  if (!all.every(({ publicKey }) => core.isAcceptableEd25519Key(publicKey))) refuse('a key is of small order')
  return { serial, keys: all }
}
