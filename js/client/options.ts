// SPDX-License-Identifier: MIT
// Reads each option of connect() exactly once and checks it. The client works with the settings made here.

import { isAlgorithm, preferredAlgorithms } from '../common/algorithms.ts'
import { decodeBase64 } from '../common/base64.ts'
import { CountersignError } from '../common/errors.ts'
import type { Schedule } from '../common/platform.ts'
import * as platform from '../common/platform.ts'
import { MIB } from '../common/protocol.ts'
import type { Algorithm, Bytes, KeyStore, TrustedServerKey } from '../common/types.ts'
import {
  badArgument,
  copyOf,
  finiteOf,
  functionOf,
  integerOf,
  labelOf,
  optionsOf,
  textOf,
  timeOf,
  timeoutOf
} from '../core/args.ts'
import type { WasmSource } from '../core/load.ts'
import { schedule } from './call-options.ts'
import { Randomness } from './random.ts'

/**
 * Receives warnings that belong to no call, such as a failed note of the clock or a listener that threw. They quote no
 * bytes of messages.
 */
export type Logger = { warn(message: string, error?: unknown): void }

/** The options of `connect`. */
export type ConnectOptions = {
  /** The gateway's origin: https, or http on a loopback host. Nothing but TLS keeps messages secret (R100). */
  url: string | URL
  /** The application's name, `[a-z][a-z0-9.-]{0,31}`. It is inside every signed byte string. */
  label: string
  /** The server keys that this application trusts: 1 to 64. */
  serverKeys: readonly TrustedServerKey[]
  /** The path that receives frames, on the gateway's origin. Default: `/exchange`. */
  endpoint?: string
  /** The form of `request` in HTTP. Default: `frame`. */
  binding?: 'frame' | 'json'
  /** The store of the device key. Default: `indexedDbStore()`. */
  store?: KeyStore
  /** Tells several accounts of one label and origin apart in the store: 1 to 64 of `[A-Za-z0-9._-]`. Default: none. */
  namespace?: string
  /** Continues with a key in memory, which is lost with the page, when the store fails. Default: false. */
  allowMemoryKey?: boolean
  /** Asks the browser, once after an enrolment, to keep this origin's storage. Default: true. */
  persist?: boolean
  /** The key algorithms to try, best first. Default: `ed25519`, then `es256`; with `compatible`, `ed25519` alone. */
  algorithms?: readonly Algorithm[]
  /**
   * The gateway's window for the past, in milliseconds. A frame of `sign` stays open for the sum of the two windows.
   * Default: 60000 ms.
   */
  pastMs?: number
  /** The gateway's window for the future, in milliseconds. Default: 10000 ms. */
  futureMs?: number
  /** The limit of a whole call with its retries, in milliseconds. Default: 15000 ms. */
  timeoutMs?: number
  /** The number of tries after the first one, 0 to 10. Default: 2. */
  retries?: number
  /** The largest payload of a request and of an answer, in bytes. Default: 8388608 bytes (8 MiB). */
  maxPayload?: number
  /** The message types without effect. The client may send them again when an answer is lost. Default: none. */
  safeTypes?: readonly string[]
  /** The signing policy: the types that this client signs at all (`METHOD /path` for `fetch`). Default: every type. */
  allowTypes?: readonly string[] | ((type: string) => boolean)
  /** Says that the gateway is an existing galaxy one. Default: false. */
  compatible?: boolean
  /**
   * Stamps messages from the device's own clock while the server's time is unknown. A clock that is a day ahead then
   * costs the session (R63). Default: false.
   */
  trustLocalClock?: boolean
  /** The source of countersign-client.wasm. Default: the core inside this package's JavaScript. */
  wasm?: WasmSource | Promise<WasmSource>
  /** Sends the HTTP requests. Default: the platform's `fetch`. */
  fetch?: (input: string, init: RequestInit) => Promise<Response>
  /**
   * Makes a WebSocket, as `new WebSocket(url, protocol)` does. Node before 22 needs it. Default: the platform's
   * `WebSocket`.
   */
  webSocket?: (url: string, protocol: string) => WebSocket
  /** The wall clock, in Unix milliseconds. Default: `Date.now`. */
  now?: () => number
  /** A clock that never steps, in milliseconds. Default: `performance.now`. */
  monotonicNow?: () => number
  /**
   * Fills the buffer with secure random bytes, or returns a new one of that length. Default: `crypto.getRandomValues`.
   */
  random?: platform.FillRandom
  /** Starts a timer; tests pass one that follows their own clock. Default: the platform's `setTimeout`. */
  schedule?: Schedule
  /** Receives warnings that belong to no call. Default: none. */
  logger?: Logger
}

/** A configured or delivered server key. The times are in Unix milliseconds, inclusive. */
export type ServerKey = { id: string; publicKey: Bytes; notBefore?: number; notAfter?: number }

const MAX_KEYS = 64

const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

const parseUrl = (value: string | URL, base?: string): URL => {
  try {
    return new URL(value, base)
  } catch (cause) {
    throw new CountersignError('ERR_INVALID_ARGUMENT', { cause, detail: 'the URL is not valid' })
  }
}

// Only https, or http on a loopback host, is allowed (R33).
const originOf = (value: string | URL): string => {
  const url = parseUrl(value)
  const { protocol, hostname, origin } = url
  if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.test(hostname))) {
    throw new CountersignError('ERR_INSECURE_URL')
  }
  if (url.href !== `${origin}/`) throw badArgument('url must be an origin without path, query, fragment or credentials')
  return origin
}

/**
 * Returns the URL on the configured origin that a caller means.
 * @throws ERR_FOREIGN_ORIGIN when it has another origin (R37), and ERR_INVALID_ARGUMENT when it is no valid URL.
 */
export function resolveUrl(value: unknown, origin: string): URL {
  if (typeof value !== 'string') throw badArgument('the URL must be a string')
  const url = parseUrl(value, origin)
  if (url.origin !== origin) throw new CountersignError('ERR_FOREIGN_ORIGIN')
  if (url.username !== '' || url.password !== '') throw badArgument('the URL must not contain credentials')
  url.hash = ''
  // Assigning the empty query drops a bare question mark too.
  if (url.search === '') url.search = ''
  return url
}

const listOf = (value: unknown, name: string): unknown[] => {
  if (!Array.isArray(value)) throw badArgument(`${name} must be an array`)
  return Array.from(value)
}

const serverKeyOf = (value: unknown): ServerKey => {
  const known = ['id', 'publicKey', 'notBefore', 'notAfter']
  const { id, publicKey, notBefore, notAfter } = optionsOf(value as TrustedServerKey, 'a server key', known)
  const bytes = typeof publicKey === 'string' ? decodeBase64(publicKey) : copyOf(publicKey, 'publicKey')
  if (bytes?.length !== 32) throw badArgument('publicKey of a server key must be 32 bytes or their standard base64')
  return {
    id: textOf(id, 'id', 0),
    publicKey: bytes,
    ...(notBefore === undefined ? {} : { notBefore: timeOf(notBefore, 'notBefore') }),
    ...(notAfter === undefined ? {} : { notAfter: timeOf(notAfter, 'notAfter') })
  }
}

/**
 * Checks a list of server keys and returns them.
 * @throws usage errors.
 */
export function serverKeysOf(value: unknown): readonly ServerKey[] {
  const keys = listOf(value, 'serverKeys').map(serverKeyOf)
  const ids = new Set(keys.map(({ id }) => id))
  if (keys.length === 0 || keys.length > MAX_KEYS || ids.size < keys.length) {
    throw badArgument('serverKeys must hold 1 to 64 keys with different ids')
  }
  return Object.freeze(keys)
}

const policyOf = (value: ConnectOptions['allowTypes']): ((type: string) => boolean) => {
  if (typeof value === 'function') return (type) => value(type) === true
  // Types of the header binding may be longer than a text field, so the list is not checked as text fields.
  const types = new Set(listOf(value, 'allowTypes'))
  return (type) => types.has(type)
}

const algorithmsOf = (value: unknown): readonly Algorithm[] => {
  const algorithms = listOf(value, 'algorithms')
  if (algorithms.length > 0 && algorithms.every(isAlgorithm)) return algorithms
  throw badArgument('algorithms must list ed25519, es256 or both')
}

const bindingOf = (value: unknown): 'frame' | 'json' => {
  if (value === 'frame' || value === 'json') return value
  throw badArgument('binding must be frame or json')
}

const namespaceOf = (value: unknown): string => {
  if (typeof value === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(value)) return value
  throw badArgument('namespace must be 1 to 64 characters of [A-Za-z0-9._-]')
}

const storeOf = (value: KeyStore): KeyStore => {
  const names = ['get', 'add', 'put', 'delete', 'lock'] as const
  const methods = names.map((name) => [name, functionOf(optionsOf(value, 'store')[name], `store.${name}`).bind(value)])
  return { ...Object.fromEntries(methods), scope: value.scope } as KeyStore
}

const flagOf = (value: unknown, name: string): boolean => {
  if (typeof value !== 'boolean') throw badArgument(`${name} must be true or false`)
  return value
}

const clockOf = (value: () => number, name: string): (() => number) => {
  functionOf(value, name)
  return () => {
    let time: unknown
    try {
      time = value()
    } catch (cause) {
      throw new CountersignError('ERR_INVALID_TIME', { cause, detail: name })
    }
    return finiteOf(time, name)
  }
}

const loggerOf = (value: Logger): Logger => {
  const warn = functionOf(optionsOf(value, 'logger').warn, 'logger.warn')
  return {
    warn(message, error) {
      try {
        warn.call(value, message, error)
      } catch {
        // A logger that throws has no logger of its own.
      }
    }
  }
}

const noFetch = (): never => {
  throw badArgument('this environment has no fetch; pass one')
}

const platformSocket = (url: string, protocol: string): WebSocket => {
  const { WebSocket: Socket } = globalThis
  if (typeof Socket !== 'function')
    throw new CountersignError('ERR_NETWORK', { detail: 'this environment has no WebSocket', retry: 'never' })
  return new Socket(url, protocol)
}

/** Returns the reader of an optional option. The reader does not check the fallback. */
const optional =
  <T>(fallback: T, read: (value: never, name: string) => T) =>
  (value: unknown, name: string): T =>
    value === undefined ? fallback : read(value as never, name)

const bytesUpTo = (value: unknown, name: string): number => integerOf(value, 0, 1024 * MIB, name)

// One reader an option, so that each option is read once and none is forgotten.
const readers = {
  url: originOf,
  label: labelOf,
  serverKeys: serverKeysOf,
  endpoint: optional('/exchange', (value: string) => value),
  binding: optional<'frame' | 'json'>('frame', bindingOf),
  store: optional<KeyStore | undefined>(undefined, storeOf),
  namespace: optional<string | undefined>(undefined, namespaceOf),
  allowMemoryKey: optional(false, flagOf),
  persist: optional(true, flagOf),
  compatible: optional(false, flagOf),
  algorithms: optional<readonly Algorithm[] | undefined>(undefined, algorithmsOf),
  pastMs: optional(60_000, timeOf),
  futureMs: optional(10_000, timeOf),
  timeoutMs: optional(15_000, timeoutOf),
  retries: optional(2, (value, name) => integerOf(value, 0, 10, name)),
  maxPayload: optional(8 * MIB, bytesUpTo),
  safeTypes: optional<ReadonlySet<unknown>>(new Set(), (value, name) => new Set(listOf(value, name))),
  allowTypes: optional<((type: string) => boolean) | undefined>(undefined, policyOf),
  trustLocalClock: optional(false, flagOf),
  wasm: (value: ConnectOptions['wasm']) => value,
  fetch: optional<NonNullable<ConnectOptions['fetch']>>(platform.platformFetch ?? noFetch, functionOf),
  webSocket: optional<NonNullable<ConnectOptions['webSocket']>>(platformSocket, functionOf),
  now: optional(platform.wallNow, clockOf),
  monotonicNow: optional(platform.monotonicNow, clockOf),
  random: optional(platform.fillRandom, functionOf),
  schedule: optional(schedule, functionOf),
  logger: optional<Logger | undefined>(undefined, loggerOf)
} satisfies { readonly [Name in keyof Required<ConnectOptions>]: unknown }

type ReadOptions = { readonly [Name in keyof typeof readers]: ReturnType<(typeof readers)[Name]> }

/** The settings of a client: its options, checked and completed. */
export type ClientSettings = Omit<ReadOptions, 'url' | 'random' | 'algorithms'> & {
  readonly origin: string
  /** The record's name in the store. */
  readonly name: string
  readonly algorithms: readonly Algorithm[]
  readonly random: Randomness
}

/**
 * Checks the options of connect, each read exactly once.
 * @throws usage errors.
 */
export function readOptions(options: ConnectOptions): ClientSettings {
  optionsOf(options, 'options', Object.keys(readers))
  const entries = Object.entries(readers as { [name: string]: (value: unknown, name: string) => unknown })
  const read = Object.fromEntries(
    entries.map(([name, reader]) => [name, reader(options[name as keyof ConnectOptions], name)])
  ) as ReadOptions
  const {
    url: origin,
    label,
    namespace,
    compatible,
    algorithms = compatible ? preferredAlgorithms.slice(0, 1) : preferredAlgorithms
  } = read
  return {
    ...read,
    origin,
    endpoint: resolveUrl(read.endpoint, origin).href,
    name: namespace === undefined ? label : `${label}/${namespace}`,
    algorithms,
    random: new Randomness(read.random)
  }
}
