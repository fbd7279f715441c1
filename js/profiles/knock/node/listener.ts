// SPDX-License-Identifier: MIT
// A daemon's side of a knock, for tests and for people without siglatchd: one UDP socket, and one outcome for every failure.

import { createSocket, type RemoteInfo } from 'node:dgram'
import { isIP } from 'node:net'
import { isCountersignError } from '../../../common/errors.ts'
import type { Bytes } from '../../../common/types.ts'
import { badArgument, integerOf, optionsOf } from '../../../core/args.ts'
import { encodeHex } from '../../common/hex.ts'
import { importMacKey } from '../../common/hmac.ts'
import { type KnockCore, loadKnockCore, type ParsedPacket } from '../core.ts'
import { derOfPem, type KnockKey, knockKeyOf } from '../keys.ts'
import { buildPacket, isTimely, parsePacket, WINDOW_SECONDS } from '../packet.ts'
import { decryptDatagram, sealPacket } from '../seal.ts'
import type { Knock, KnockVersion } from '../types.ts'
import { createRateLimit, createReplayMemory } from './memory.ts'

/** Who may knock, and for what. */
export type KnockUser = {
  key: KnockKey
  /** The actions this user may ask for. */
  actions: readonly number[]
  /** Replies are encrypted to this RSA key (PEM); a user without one gets none. */
  publicKeyPem?: string
}

/** An accepted knock, for whoever acts on it. */
export type AcceptedKnock = Knock & {
  address: string
  port: number
  /** For scripts: no byte of it means anything to a shell. */
  payloadBase64: string
}

/** What became of an action; nothing counts as done without a text. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement is done
export type KnockOutcome = { ok?: boolean; text?: string } | void

/** Why a datagram came to nothing; for the log, never for its sender. */
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

/** One line for a log: a code and a text, no bytes of the knock. */
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
  /** By user id; or a function that finds one, for users who come and go. */
  users: { readonly [userId: number]: KnockUser } | ((userId: number) => KnockUser | undefined)
  /** Called once for each accepted knock; what it throws is logged and answered as failed. */
  onKnock: (knock: AcceptedKnock) => KnockOutcome | Promise<KnockOutcome>
  /** 127.0.0.1 unless told. */
  address?: string
  /** Any free one unless told. */
  port?: number
  /** 300 unless told. */
  windowSeconds?: number
  /** Refuses payloads that are not printable ASCII. */
  asciiOnly?: boolean
  /** Datagrams of one address: 5 a second, bursts of 20 unless told; one that fails counts five times. */
  rate?: { perSecond: number; burst: number }
  /** Knocks remembered at one time, 65,536 unless told; a full memory refuses. */
  capacity?: number
  onEvent?: (event: KnockEvent) => void
  /** Unix milliseconds. */
  now?: () => number
}

export interface KnockListener {
  readonly address: string
  readonly port: number
  /** Stops listening; resolves when what was under way is done. */
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
// header, wrapped key, the shortest and the longest body, seal.
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

/** Judges datagrams: RSA first, then the tag, then everything the tag protects. */
async function createDatagramCheck(core: KnockCore, settings: ListenerSettings) {
  const { der, users, window, capacity, asciiOnly, now } = settings
  const seen = createReplayMemory(window, capacity)
  // Whoever names an unknown user is made to wait for a tag all the same.
  const nobody = await importMacKey(globalThis.crypto.getRandomValues(new Uint8Array(32)))

  const judgePacket = async ({ knock, tag, digest }: ParsedPacket): Promise<DatagramVerdict> => {
    const user = users(knock.userId)
    const isTag = await (user?.key ?? nobody).isTag(digest, tag)
    if (!user) return { refusal: 'user' }
    if (!isTag) return { refusal: 'hmac' }
    const nowSeconds = Math.floor(now() / 1000)
    if (!isTimely(knock.timestamp, nowSeconds, window)) return { refusal: 'timestamp', knock }
    if (!user.actions.includes(knock.actionId)) return { refusal: 'action', knock }
    if (asciiOnly && knock.payload.some((byte) => byte < 0x20 || byte > 0x7e)) return { refusal: 'ascii', knock }
    const verdict = seen.take(encodeHex(tag), knock.timestamp, nowSeconds)
    if (verdict !== 'new') return { refusal: verdict === 'seen' ? 'replay' : 'full', knock }
    return { knock, version: knock.version, user }
  }

  return async (datagram: Bytes): Promise<DatagramVerdict> => {
    try {
      const { isGood, version, packet } = await decryptDatagram(core, datagram, der)
      const read = parsePacket(core, version, packet)
      if (!isGood) return { refusal: 'sealed' }
      return typeof read === 'string' ? { refusal: read } : await judgePacket(read)
    } catch (error) {
      if (isCountersignError(error) && error.category === 'malformed') return { refusal: 'malformed' }
      throw error
    }
  }
}

function replyPayload(actionId: number, isDone: boolean, text: string): Bytes {
  const bytes = new TextEncoder().encode(text)
  const cut = bytes.subarray(0, MAX_TEXT)
  const flags = cut.length < bytes.length ? TRUNCATED : 0
  return Uint8Array.from([isDone ? STATUS_OK : STATUS_FAILED, actionId, flags, ...cut])
}

/**
 * Listens on a UDP socket and calls `onKnock` for each datagram that was encrypted to its key, carries its
 * user's tag, is within the window, asks for an action of that user, and was never seen before. Everything else is silence, and
 * one line for `onEvent`. It rejects with ERR_BAD_RSA_KEY, usage errors, or the system's error where it cannot listen.
 *
 * @example
 * const listener = await createKnockListener({ privateKeyPem, users: { 7: { key, actions: [1] } }, onKnock: openTheDoor })
 */
export async function createKnockListener(options: KnockListenerOptions): Promise<KnockListener> {
  const settings = readOptions(options)
  const { der, onKnock, onEvent, now } = settings
  const core = await loadKnockCore()
  const blockSize = core.privateKeySize(der)
  const judge = await createDatagramCheck(core, settings)
  const patience = createRateLimit(settings.rate)
  const socket = createSocket(isIP(settings.address) === 6 ? 'udp6' : 'udp4')
  const underWay = new Set<Promise<void>>()

  const tell = (code: KnockEvent['code'], address: string, knock?: Knock): void => {
    const who = knock ? { userId: knock.userId, actionId: knock.actionId } : {}
    try {
      // One that is async may reject, which nobody else would hear.
      Promise.resolve(onEvent?.({ code, text: texts[code], address, ...who })).catch(() => {})
    } catch {
      // A log that fails is not the sender's business.
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
    tell('replied', to.address, knock)
  }

  const act = async (knock: Knock, user: KnockUser, from: RemoteInfo): Promise<void> => {
    const { address, port } = from
    const payloadBase64 = Buffer.from(knock.payload).toString('base64')
    let outcome = { isDone: false, text: '' }
    try {
      const given = await onKnock({ ...knock, address, port, payloadBase64 })
      outcome = { isDone: given?.ok !== false, text: String(given?.text ?? '') }
    } catch {
      tell('action_failed', address, knock)
    }
    await reply(knock, user, outcome, from)
  }

  const take = async (datagram: Bytes, from: RemoteInfo): Promise<void> => {
    const { address } = from
    const { length } = datagram
    const isSized = length === blockSize || (length >= HYBRID.least && length <= HYBRID.most)
    if (!patience.mayTry(address, now())) return tell('rate', address)
    const judged: DatagramVerdict = isSized ? await judge(datagram) : { refusal: 'size' }
    if ('refusal' in judged) {
      patience.blame(address, now())
      return tell(judged.refusal, address, judged.knock)
    }
    tell('accepted', address, judged.knock)
    await act(judged.knock, judged.user, from)
  }

  let closing: Promise<void> | undefined
  socket.on('message', (message, from) => {
    // The socket stays open for the replies to what is under way, and for nothing else.
    if (closing) return
    const work = take(new Uint8Array(message), from)
      .catch(() => tell('malformed', from.address))
      .finally(() => underWay.delete(work))
    underWay.add(work)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ address: settings.address, port: settings.port, exclusive: true }, () => {
      socket.off('error', reject)
      // An unreachable reply address is reported here by some systems.
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
