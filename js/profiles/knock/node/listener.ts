// SPDX-License-Identifier: MIT
// The daemon's side of a knock, for tests and for machines without siglatchd. It has one UDP socket. To a sender, all
// failures look the same.

import { createSocket, type RemoteInfo } from 'node:dgram'
import { isIP } from 'node:net'
import { isCountersignError } from '../../../common/errors.ts'
import { encodeText } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import { encodeHex } from '../../common/bytes.ts'
import { importMacKey } from '../../common/hmac.ts'
import { type KnockCore, loadKnockCore, type ParsedPacket } from '../core.ts'
import { derOfPem, type KnockKey, knockKeyOf } from '../keys.ts'
import { buildPacket, isTimely, parsePacket, WINDOW_SECONDS } from '../packet.ts'
import { decryptDatagram, sealPacket } from '../seal.ts'
import type { Knock, KnockVersion } from '../types.ts'
import { createRateLimit, createReplayMemory, type KnockRate } from './memory.ts'

/** A user who may knock. */
export type KnockUser = {
  key: KnockKey
  /** The actions that this user may ask for. */
  actions: readonly number[]
  /** The RSA key (PEM) that encrypts replies. A user without one gets no replies. */
  publicKeyPem?: string
}

/** An accepted knock, for the code that acts on it. */
export type AcceptedKnock = Knock & {
  address: string
  port: number
  /** The payload for scripts: no character of it has a meaning in a shell. */
  payloadBase64: string
}

/** The result of an action. `undefined` means done, without a text. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement is done
export type KnockOutcome = { ok?: boolean; text?: string } | void

/** Why a datagram was refused. For the log, never for the sender. */
export type KnockRefusal =
  | 'size'
  | 'rate'
  | 'sealed'
  | 'malformed'
  | 'payload_len'
  | 'user'
  | 'hmac'
  | 'timestamp'
  | 'action'
  | 'ascii'
  | 'replay'
  | 'full'

/** One log entry: a code and a text, without bytes of the knock. */
export type KnockEvent = {
  code: 'accepted' | 'replied' | 'action_failed' | KnockRefusal
  text: string
  address: string
  userId?: number
  actionId?: number
}

export type KnockListenerOptions = {
  /** The daemon's RSA key, PKCS#8 PEM. */
  privateKeyPem: string
  /** The users by id, or a function that finds one. */
  users: { readonly [userId: number]: KnockUser } | ((userId: number) => KnockUser | undefined)
  /** Called once for each accepted knock. An exception is logged and answered as a failed action. */
  onKnock: (knock: AcceptedKnock) => KnockOutcome | Promise<KnockOutcome>
  /** Default: 127.0.0.1. */
  address?: string
  /** Default: any free port. */
  port?: number
  /** Default: 300 s. */
  windowSeconds?: number
  /** Refuses payloads that are not printable ASCII. Default: false. */
  asciiOnly?: boolean
  /** The datagrams of one address. A refused one counts five times. Default: 5 a second, bursts of 20. */
  rate?: KnockRate
  /** The most knocks to remember at a time. A full memory refuses new knocks. Default: 65536. */
  capacity?: number
  onEvent?: (event: KnockEvent) => void
  /** Returns the present time, in Unix milliseconds. */
  now?: () => number
}

export interface KnockListener {
  readonly address: string
  readonly port: number
  /** Stops listening. Resolves when all knocks under way are done. */
  close(): Promise<void>
}

const texts: { readonly [Code in KnockEvent['code']]: string } = {
  accepted: 'a knock was accepted',
  replied: 'a reply was sent',
  action_failed: 'the action of a knock failed',
  size: 'a datagram of a size no knock has',
  rate: 'too many datagrams of this address',
  sealed: 'not encrypted to this key',
  malformed: 'no knock packet',
  payload_len: 'a payload length over the limit',
  user: 'an unknown user',
  hmac: 'a wrong tag',
  timestamp: 'outside the window of time',
  action: 'an action this user may not ask for',
  ascii: 'a payload that is not ASCII',
  replay: 'a knock that was seen before',
  full: 'no room to remember another knock'
}

const MAX_TEXT = 180
const STATUS_OK = 1
const STATUS_FAILED = 2
const TRUNCATED = 1
// Header, wrapped key, the shortest and the longest body, authentication tag.
const HYBRID = { least: 27 + 256 + 15 + 32 + 16, most: 27 + 256 + 30 + 15 + 199 + 32 + 16 }

type DatagramVerdict =
  | { refusal: KnockRefusal; knock?: Knock }
  | { knock: Knock; version: KnockVersion; user: KnockUser }

function userOf(user: KnockUser): KnockUser {
  const { key, actions, publicKeyPem } = optionsOf(user, 'a user')
  knockKeyOf(key)
  if (!Array.isArray(actions)) throw badArgument('users: actions must be an array')
  if (publicKeyPem !== undefined) derOfPem(publicKeyPem, 'PUBLIC KEY')
  return { ...user, actions: [...actions] }
}

function readUsers(users: KnockListenerOptions['users']): (userId: number) => KnockUser | undefined {
  if (typeof users === 'function') return users
  const entries = Object.entries(optionsOf(users, 'users'))
  const known = new Map(entries.map(([id, user]) => [integerOf(Number(id), 0, 65_535, 'a user id'), userOf(user)]))
  return (userId) => known.get(userId)
}

function readOptions(options: KnockListenerOptions) {
  const { privateKeyPem, users, onKnock, onEvent, now = Date.now } = optionsOf(options, 'options')
  const { address = '127.0.0.1', port = 0, windowSeconds = WINDOW_SECONDS, asciiOnly = false } = options
  const { rate = { perSecond: 5, burst: 20 }, capacity = 65_536 } = options
  if (typeof onKnock !== 'function') throw badArgument('onKnock must be a function')
  if (onEvent !== undefined && typeof onEvent !== 'function') throw badArgument('onEvent must be a function')
  if (isIP(address) === 0) throw badArgument('address must be an IP address of this machine')
  return {
    der: derOfPem(privateKeyPem, 'PRIVATE KEY'),
    users: readUsers(users),
    onKnock,
    onEvent,
    now,
    address,
    asciiOnly: asciiOnly === true,
    port: integerOf(port, 0, 65_535, 'port'),
    window: integerOf(windowSeconds, 0, 86_400, 'windowSeconds'),
    capacity: integerOf(capacity, 1, 2 ** 24, 'capacity'),
    rate: {
      perSecond: integerOf(rate.perSecond, 1, 1e6, 'rate.perSecond'),
      burst: integerOf(rate.burst, 1, 1e6, 'rate.burst')
    }
  }
}

type ListenerSettings = ReturnType<typeof readOptions>

/** Creates the check of datagrams: RSA first, then the tag, then the fields that the tag protects. */
async function createDatagramCheck(core: KnockCore, settings: ListenerSettings) {
  const { der, users, window, capacity, asciiOnly, now } = settings
  const replays = createReplayMemory(window, capacity)
  // An unknown user's knock costs a tag check too, so its time does not reveal which users exist.
  const unknownUserKey = await importMacKey(globalThis.crypto.getRandomValues(new Uint8Array(32)))

  const checkPacket = async ({ knock, tag, digest }: ParsedPacket): Promise<DatagramVerdict> => {
    const user = users(knock.userId)
    const isTag = await (user?.key ?? unknownUserKey).isTag(digest, tag)
    if (!user) return { refusal: 'user' }
    if (!isTag) return { refusal: 'hmac' }
    const nowSeconds = Math.floor(now() / 1000)
    if (!isTimely(knock.timestamp, nowSeconds, window)) return { refusal: 'timestamp', knock }
    if (!user.actions.includes(knock.actionId)) return { refusal: 'action', knock }
    if (asciiOnly && knock.payload.some((byte) => byte < 0x20 || byte > 0x7e)) return { refusal: 'ascii', knock }
    const verdict = replays.take(encodeHex(tag), knock.timestamp, nowSeconds)
    if (verdict !== 'new') return { refusal: verdict === 'seen' ? 'replay' : 'full', knock }
    return { knock, version: knock.version, user }
  }

  return async (datagram: Bytes): Promise<DatagramVerdict> => {
    try {
      const { isGood, version, packet } = await decryptDatagram(core, datagram, der)
      const parsed = parsePacket(core, version, packet)
      if (!isGood) return { refusal: 'sealed' }
      return typeof parsed === 'string' ? { refusal: parsed } : await checkPacket(parsed)
    } catch (error) {
      if (isCountersignError(error) && error.category === 'malformed') return { refusal: 'malformed' }
      throw error
    }
  }
}

function replyPayload(actionId: number, isDone: boolean, text: string): Bytes {
  const bytes = encodeText(text)
  const cut = bytes.subarray(0, MAX_TEXT)
  const flags = cut.length < bytes.length ? TRUNCATED : 0
  return Uint8Array.from([isDone ? STATUS_OK : STATUS_FAILED, actionId, flags, ...cut])
}

/**
 * Creates a UDP listener that calls `onKnock` for each valid and new datagram. A valid one is encrypted to the
 * listener's key, has its user's tag, lies within the window, and asks for an action of that user. All other
 * datagrams get no answer, and one entry for `onEvent`.
 * Rejects with ERR_BAD_RSA_KEY, usage errors, or the system's error when it cannot listen.
 *
 * @example
 * const users = { 7: { key, actions: [1] } }
 * const listener = await createKnockListener({ privateKeyPem, users, onKnock: openTheDoor })
 */
export async function createKnockListener(options: KnockListenerOptions): Promise<KnockListener> {
  const settings = readOptions(options)
  const { der, onKnock, onEvent, now } = settings
  const core = await loadKnockCore()
  const blockSize = core.privateKeySize(der)
  const checkDatagram = await createDatagramCheck(core, settings)
  const rateLimit = createRateLimit(settings.rate)
  const socket = createSocket(isIP(settings.address) === 6 ? 'udp6' : 'udp4')
  const underWay = new Set<Promise<void>>()

  const report = (code: KnockEvent['code'], address: string, knock?: Knock): void => {
    const ids = knock ? { userId: knock.userId, actionId: knock.actionId } : {}
    try {
      // An async handler may reject, and no other code would handle that.
      Promise.resolve(onEvent?.({ code, text: texts[code], address, ...ids })).catch(() => {})
    } catch {
      // The sender must not notice that the log failed.
    }
  }

  const reply = async (knock: Knock, user: KnockUser, outcome: { isDone: boolean; text: string }, to: RemoteInfo) => {
    if (user.publicKeyPem === undefined) return
    const { version, userId, challenge } = knock
    const payload = replyPayload(knock.actionId, outcome.isDone, outcome.text)
    const numbers: [number, number, number, number, number] = [version, Math.floor(now() / 1000), userId, 0, challenge]
    const packet = await buildPacket(core, { version, numbers, payload }, user.key)
    const datagram = await sealPacket(core, version, packet, derOfPem(user.publicKeyPem, 'PUBLIC KEY'))
    await new Promise<void>((resolve) => socket.send(datagram, to.port, to.address, () => resolve()))
    report('replied', to.address, knock)
  }

  const act = async (knock: Knock, user: KnockUser, from: RemoteInfo): Promise<void> => {
    const { address, port } = from
    const payloadBase64 = Buffer.from(knock.payload).toString('base64')
    let outcome = { isDone: false, text: '' }
    try {
      const given = await onKnock({ ...knock, address, port, payloadBase64 })
      outcome = { isDone: given?.ok !== false, text: String(given?.text ?? '') }
    } catch {
      report('action_failed', address, knock)
    }
    await reply(knock, user, outcome, from)
  }

  const take = async (datagram: Bytes, from: RemoteInfo): Promise<void> => {
    const { address } = from
    const { length } = datagram
    const isSized = length === blockSize || (length >= HYBRID.least && length <= HYBRID.most)
    if (!rateLimit.take(address, now())) return report('rate', address)
    const verdict: DatagramVerdict = isSized ? await checkDatagram(datagram) : { refusal: 'size' }
    if ('refusal' in verdict) {
      rateLimit.penalize(address, now())
      return report(verdict.refusal, address, verdict.knock)
    }
    report('accepted', address, verdict.knock)
    await act(verdict.knock, verdict.user, from)
  }

  let closing: Promise<void> | undefined
  socket.on('message', (message, from) => {
    // While closing, the socket stays open only for the replies to knocks under way.
    if (closing) return
    const work = take(new Uint8Array(message), from)
      .catch(() => report('malformed', from.address))
      .finally(() => underWay.delete(work))
    underWay.add(work)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ address: settings.address, port: settings.port, exclusive: true }, () => {
      socket.off('error', reject)
      // Some systems report an unreachable reply address here.
      socket.on('error', () => {})
      resolve()
    })
  })
  const { address, port } = socket.address()
  return {
    address,
    port,
    close() {
      closing ??= Promise.allSettled([...underWay]).then(() => new Promise((resolve) => socket.close(() => resolve())))
      return closing
    }
  }
}
