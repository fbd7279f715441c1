// SPDX-License-Identifier: MIT
// The options of connect(), each read exactly once and checked; what follows works on the settings made here.

import { isAlgorithm, ladder } from '../common/algorithms.ts'
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

/** Where a client tells what nobody waits for: a failed note of the clock, a listener that threw. No bytes of messages. */
export type Logger = { warn(message: string, error?: unknown): void }

export type ConnectOptions = {
  /** The gateway's origin: https, or http on a loopback host. */
  url: string | URL
  /** The application's name, `[a-z][a-z0-9.-]{0,31}`, inside every signed byte string. */
  label: string
  /** The server keys this application trusts, at least one. */
  serverKeys: readonly TrustedServerKey[]
  /** Where frames go, on the same origin; `/exchange` unless told. */
  endpoint?: string
  /** How `request` travels; `frame` unless told. */
  binding?: 'frame' | 'json'
  /** Where the device key lives; IndexedDB unless told. */
  store?: KeyStore
  /** Tells several accounts of one label and origin apart in the store: 1 to 64 of `[A-Za-z0-9._-]`. */
  namespace?: string
  /** Goes on with a key in memory, lost with the page, where the store fails; false unless told. */
  allowMemoryKey?: boolean
  /** Asks the browser, once after an enrolment, to keep this origin's storage; true unless told. */
  persist?: boolean
  /** Key algorithms to try, best first; `ed25519`, then `es256` unless told (`ed25519` alone where `compatible`). */
  algorithms?: readonly Algorithm[]
  /** How long an unopened `sign` stays open, in milliseconds: the gateway's window, 60000 and 10000 unless told. */
  pastMs?: number
  futureMs?: number
  /** The limit of a whole call with its retries, in milliseconds; 15000 unless told. */
  timeoutMs?: number
  /** Tries after the first one; 2 unless told. */
  retries?: number
  /** The largest payload either way, in bytes; 8 MiB unless told. */
  maxPayload?: number
  /** Message types without effect, which may be sent again when an answer is lost. */
  safeTypes?: readonly string[]
  /** The signing policy: the types (`METHOD /path` for `fetch`) this client signs at all; every one unless told. */
  allowTypes?: readonly string[] | ((type: string) => boolean)
  /** The gateway is an existing galaxy one. */
  compatible?: boolean
  /** Stamps from the device's own clock while the server's is unknown; one that is a day ahead then costs the session (R63). */
  trustLocalClock?: boolean
  wasm?: WasmSource | Promise<WasmSource>
  fetch?: (input: string, init: RequestInit) => Promise<Response>
  /** Makes a WebSocket, as `new WebSocket(url, protocol)` does, where the platform has none (Node before 22). */
  webSocket?: (url: string, protocol: string) => WebSocket
  /** The wall clock, in Unix milliseconds. */
  now?: () => number
  /** A clock that never steps, in milliseconds. */
  monotonicNow?: () => number
  /** Fills the buffer with secure random bytes, as crypto.getRandomValues does, or gives a new one of that length. */
  random?: platform.FillRandom
  /** Timers, for tests with a clock of their own. */
  schedule?: Schedule
  logger?: Logger
}

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

// R33: https, or http on a loopback host.
const originOf = (value: string | URL): string => {
  const url = parseUrl(value)
  const { protocol, hostname, origin } = url
  if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.test(hostname))) {
    throw new CountersignError('ERR_INSECURE_URL')
  }
  if (url.href !== `${origin}/`) throw badArgument('url must be an origin without path, query, fragment or credentials')
  return origin
}

/** resolveUrl gives the URL on the configured origin that a caller means; ERR_FOREIGN_ORIGIN for any other (R37). */
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
  const { id, publicKey, notBefore, notAfter } = optionsOf(value as TrustedServerKey, 'a server key')
  const bytes = typeof publicKey === 'string' ? decodeBase64(publicKey) : copyOf(publicKey, 'publicKey')
  if (bytes?.length !== 32) throw badArgument('publicKey of a server key must be 32 bytes or their standard base64')
  return {
    id: textOf(id, 'id', 0),
    publicKey: bytes,
    ...(notBefore === undefined ? {} : { notBefore: timeOf(notBefore, 'notBefore') }),
    ...(notAfter === undefined ? {} : { notAfter: timeOf(notAfter, 'notAfter') })
  }
}

/** serverKeysOf checks a list of server keys; throws usage errors. */
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
  // Types of the header binding may be longer than a text field, so this list is not read as one.
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
        // There is nobody left to tell.
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

/** A reader of an option that may be left out; what stands in for it is not read. */
const or =
  <T>(fallback: T, read: (value: never, name: string) => T) =>
  (value: unknown, name: string): T =>
    value === undefined ? fallback : read(value as never, name)

const bytesUpTo = (value: unknown, name: string): number => integerOf(value, 0, 1024 * MIB, name)

// One reader per option, so that each is read once and none is forgotten.
const readers = {
  url: originOf,
  label: labelOf,
  serverKeys: serverKeysOf,
  endpoint: or('/exchange', (value: string) => value),
  binding: or<'frame' | 'json'>('frame', bindingOf),
  store: or<KeyStore | undefined>(undefined, storeOf),
  namespace: or<string | undefined>(undefined, namespaceOf),
  allowMemoryKey: or(false, flagOf),
  persist: or(true, flagOf),
  compatible: or(false, flagOf),
  algorithms: or<readonly Algorithm[] | undefined>(undefined, algorithmsOf),
  pastMs: or(60_000, timeOf),
  futureMs: or(10_000, timeOf),
  timeoutMs: or(15_000, timeoutOf),
  retries: or(2, (value, name) => integerOf(value, 0, 10, name)),
  maxPayload: or(8 * MIB, bytesUpTo),
  safeTypes: or<ReadonlySet<unknown>>(new Set(), (value, name) => new Set(listOf(value, name))),
  allowTypes: or<((type: string) => boolean) | undefined>(undefined, policyOf),
  trustLocalClock: or(false, flagOf),
  wasm: (value: ConnectOptions['wasm']) => value,
  fetch: or<NonNullable<ConnectOptions['fetch']>>(platform.platformFetch ?? noFetch, functionOf),
  webSocket: or<NonNullable<ConnectOptions['webSocket']>>(platformSocket, functionOf),
  now: or(platform.wallNow, clockOf),
  monotonicNow: or(platform.monotonicNow, clockOf),
  random: or(platform.fillRandom, functionOf),
  schedule: or(schedule, functionOf),
  logger: or<Logger | undefined>(undefined, loggerOf)
} satisfies { readonly [Name in keyof Required<ConnectOptions>]: unknown }

type ReadOptions = { readonly [Name in keyof typeof readers]: ReturnType<(typeof readers)[Name]> }

/** What a client works with: its options, checked and completed. */
export type ClientSettings = Omit<ReadOptions, 'url' | 'random' | 'algorithms'> & {
  readonly origin: string
  /** The record's name in the store. */
  readonly name: string
  readonly algorithms: readonly Algorithm[]
  readonly random: Randomness
}

/** readOptions checks the options of connect, each read exactly once; throws usage errors. */
export function readOptions(options: ConnectOptions): ClientSettings {
  optionsOf(options, 'options')
  const entries = Object.entries(readers as { [name: string]: (value: unknown, name: string) => unknown })
  const read = Object.fromEntries(
    entries.map(([name, reader]) => [name, reader(options[name as keyof ConnectOptions], name)])
  ) as ReadOptions
  const { url: origin, label, namespace, compatible, algorithms = compatible ? ladder.slice(0, 1) : ladder } = read
  return {
    ...read,
    origin,
    endpoint: resolveUrl(read.endpoint, origin).href,
    name: namespace === undefined ? label : `${label}/${namespace}`,
    algorithms,
    random: new Randomness(read.random)
  }
}
