// SPDX-License-Identifier: MIT
// The options of connect(), each read exactly once and checked; what follows works on the settings made here.

import { isAlgorithm, ladder } from './algorithms.ts'
import { decodeBase64 } from './base64.ts'
import type { WasmSource } from './core.ts'
import { badArgument, copyOf, integerOf, labelOf, optionsOf, textOf, timeOf } from './core-args.ts'
import { CountersignError } from './errors.ts'
import * as platform from './platform.ts'
import { Randomness } from './random.ts'
import type { Algorithm, Bytes, KeyStore, TrustedServerKey } from './types.ts'

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
  /** Stamps from the device's own clock while the server's is unknown, in place of asking for it first. */
  trustLocalClock?: boolean
  wasm?: WasmSource | Promise<WasmSource>
  fetch?: (input: string, init: RequestInit) => Promise<Response>
  /** The wall clock, in Unix milliseconds. */
  now?: () => number
  /** A clock that never steps, in milliseconds. */
  monotonicNow?: () => number
  /** Fills bytes with secure random ones, as crypto.getRandomValues does. */
  random?: platform.FillRandom
  /** Timers, for tests with a clock of their own. */
  schedule?: platform.Schedule
  logger?: Logger
}

export type ServerKey = { id: string; publicKey: Bytes; notBefore?: number; notAfter?: number }

export type Settings = ReturnType<typeof readOptions>

const MAX_TIMER_MS = 2 ** 31 - 1
const MIB = 2 ** 20
const MAX_KEYS = 64

const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** isSecureUrl tells whether a URL is https, or http on a loopback host (R33). */
export const isSecureUrl = ({ protocol, hostname }: URL): boolean =>
  protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname))

const parseUrl = (value: unknown, base?: string): URL => {
  try {
    return new URL(String(value), base)
  } catch (cause) {
    throw new CountersignError('ERR_INVALID_ARGUMENT', { cause, detail: 'not a URL' })
  }
}

const readOrigin = (value: unknown): string => {
  const url = parseUrl(value)
  if (!isSecureUrl(url)) throw new CountersignError('ERR_INSECURE_URL', { detail: 'url' })
  if (url.href !== `${url.origin}/`) throw badArgument('url is an origin: no path, query, fragment or credentials')
  return url.origin
}

/** resolveUrl gives the URL on the configured origin that a caller means; ERR_FOREIGN_ORIGIN for any other (R37). */
export const resolveUrl = (value: unknown, origin: string): URL => {
  const url = parseUrl(value, origin)
  if (url.origin !== origin) throw new CountersignError('ERR_FOREIGN_ORIGIN')
  if (url.username !== '' || url.password !== '') throw badArgument('credentials in a URL are never sent')
  url.hash = ''
  // Assigning the empty query drops a bare question mark too.
  if (url.search === '') url.search = ''
  return url
}

const readServerKey = (value: TrustedServerKey): ServerKey => {
  const { id, publicKey, notBefore, notAfter } = optionsOf(value, 'a server key')
  const bytes = typeof publicKey === 'string' ? decodeBase64(publicKey) : copyOf(publicKey, 'publicKey')
  if (bytes?.length !== 32) throw badArgument('publicKey of a server key is 32 bytes or their standard base64')
  return {
    id: textOf(id, 'id of a server key', 0),
    publicKey: bytes,
    ...(notBefore === undefined ? {} : { notBefore: timeOf(notBefore, 'notBefore') }),
    ...(notAfter === undefined ? {} : { notAfter: timeOf(notAfter, 'notAfter') })
  }
}

const readServerKeys = (value: unknown): readonly ServerKey[] => {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_KEYS)
    throw badArgument('serverKeys: 1 to 64 keys')
  const keys = Array.from(value as TrustedServerKey[], readServerKey)
  if (new Set(keys.map(({ id }) => id)).size < keys.length) throw badArgument('two server keys have one id')
  return Object.freeze(keys)
}

const readTypes = (value: unknown, name: string): Set<string> => {
  if (!Array.isArray(value)) throw badArgument(`${name} has to be a list of types`)
  return new Set(Array.from(value, (type) => textOf(type, name)))
}

const readPolicy = (value: ConnectOptions['allowTypes']): ((type: string) => boolean) => {
  if (value === undefined) return () => true
  if (typeof value === 'function') return (type) => value(type) === true
  // Types of the header binding may be longer than a text field, so this list is not read as one.
  if (!Array.isArray(value)) throw badArgument('allowTypes has to be a list of types or a function')
  const types = new Set(value as readonly string[])
  return (type) => types.has(type)
}

const readAlgorithms = (value: unknown): readonly Algorithm[] => {
  if (!Array.isArray(value)) throw badArgument('algorithms has to be a list')
  const algorithms = Array.from(value)
  if (algorithms.length === 0 || !algorithms.every(isAlgorithm)) throw badArgument('algorithms: ed25519, es256')
  return algorithms
}

const readBinding = (value: unknown): 'frame' | 'json' => {
  if (value !== 'frame' && value !== 'json')
    throw badArgument("binding is 'frame' or 'json'; see fetch for the header binding")
  return value
}

const readNamespace = (value: unknown): string => {
  if (typeof value !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(value)) throw badArgument('namespace')
  return value
}

/** functionOf checks that an argument is a function. */
export const functionOf = <T>(value: T, name: string): T => {
  if (typeof value !== 'function') throw badArgument(`${name} has to be a function`)
  return value
}

const storeOf = (store: KeyStore): KeyStore => {
  const names = ['get', 'add', 'put', 'delete', 'lock'] as const
  const methods = names.map((name) => [name, functionOf(optionsOf(store, 'store')[name], `store.${name}`).bind(store)])
  return Object.fromEntries(methods) as KeyStore
}

const noFetch = (): never => {
  throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'this environment has no fetch; pass one' })
}

/** timeoutOf checks a time limit in milliseconds. */
export const timeoutOf = (value: unknown): number => integerOf(value, 1, MAX_TIMER_MS, 'timeoutMs')

/** readOptions checks the options of connect and gives the settings a client works with; throws usage errors. */
export const readOptions = (options: ConnectOptions) => {
  const {
    url,
    label,
    serverKeys,
    endpoint = '/exchange',
    binding = 'frame',
    store,
    namespace,
    allowMemoryKey = false,
    compatible = false,
    algorithms = compatible ? ladder.slice(0, 1) : ladder,
    pastMs = 60_000,
    futureMs = 10_000,
    timeoutMs = 15_000,
    retries = 2,
    maxPayload = 8 * MIB,
    safeTypes = [],
    allowTypes,
    trustLocalClock = false,
    wasm,
    fetch = platform.platformFetch ?? noFetch,
    now = platform.wallNow,
    monotonicNow = platform.monotonicNow,
    random = platform.fillRandom,
    schedule = platform.schedule,
    logger
  } = optionsOf(options, 'options')
  const origin = readOrigin(url)
  const name = labelOf(label)
  return {
    origin,
    label: name,
    keys: readServerKeys(serverKeys),
    endpoint: resolveUrl(endpoint, origin).href,
    binding: readBinding(binding),
    store: store === undefined ? undefined : storeOf(store),
    name: namespace === undefined ? name : `${name}/${readNamespace(namespace)}`,
    allowMemoryKey: allowMemoryKey === true,
    algorithms: readAlgorithms(algorithms),
    windowMs: timeOf(pastMs, 'pastMs') + timeOf(futureMs, 'futureMs'),
    timeoutMs: timeoutOf(timeoutMs),
    retries: integerOf(retries, 0, 10, 'retries'),
    maxPayload: integerOf(maxPayload, 0, 1024 * MIB, 'maxPayload'),
    safeTypes: readTypes(safeTypes, 'safeTypes'),
    isAllowed: readPolicy(allowTypes),
    compatible: compatible === true,
    trustLocalClock: trustLocalClock === true,
    wasm,
    fetch: functionOf(fetch, 'fetch'),
    now: functionOf(now, 'now'),
    monotonicNow: functionOf(monotonicNow, 'monotonicNow'),
    random: new Randomness(functionOf(random, 'random')),
    schedule: functionOf(schedule, 'schedule'),
    logger: logger === undefined ? undefined : optionsOf(logger, 'logger')
  }
}
