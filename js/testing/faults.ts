// SPDX-License-Identifier: MIT
// The faults between a client and its gateway.

import type { Bytes } from '../common/types.ts'
import { badArgument, finiteOf, optionsOf } from '../core/args.ts'
import type { InsecureRandom } from './random.ts'

/** A request or an answer on its way, as an attacker on the network may change it. */
export type TestMessage = {
  /** The name of the link. */
  readonly client: string
  readonly way: 'up' | 'down'
  /**
   * The message type that the request names, unverified: `demo.echo`, `GET /api/orders`. A path when it names none;
   * `event` for an item of a stream.
   */
  readonly type: string
  headers: Record<string, string>
  body: Bytes
  /** The status of an answer. */
  status?: number
}

/** An answer that no gateway signed. */
export type ProxyAnswer = 401 | 403 | 502 | 'captive-portal'

/**
 * The faults of one direction. Chances are from 0 to 1. On a stream of events, those of `down` apply to each item: a
 * loss breaks the stream, a cut silences it for good, a reordered item comes after the next one.
 */
export type WayFaults = {
  /** How long a message takes, in milliseconds: a fixed time, or a random time in a range. */
  delayMs?: number | readonly [least: number, most: number]
  /** The chance that the connection breaks and the message is lost. The client's fetch fails. */
  loss?: number
  /** Drops every message without an error: the client waits. */
  cut?: boolean
  /** The chance that one item is missing from a stream. */
  swallow?: number
  /** The chance that the message comes twice. For an answer that is no stream, this has no effect. */
  duplicate?: number
  /** The chance that the message is held back for up to 500 ms more, so that later ones overtake it. */
  reorder?: number
  /** Changes a message in place, or returns another one. */
  tamper?: (message: TestMessage) => TestMessage | undefined
}

/** The faults of one client's link. */
export type LinkFaults = {
  up?: WayFaults
  down?: WayFaults
  /**
   * A proxy that answers in the gateway's place with one of `answers`. With `passesOn` the request still reaches the
   * gateway.
   */
  proxy?: { chance?: number; answers?: readonly ProxyAnswer[]; passesOn?: boolean }
}

const PROXY_ANSWERS: readonly ProxyAnswer[] = [401, 403, 502, 'captive-portal']

function chanceOf(value: unknown, name: string): void {
  if (value !== undefined && !(typeof value === 'number' && value >= 0 && value <= 1)) {
    throw badArgument(`${name} must be a chance from 0 to 1`)
  }
}

function checkDelay(delay: WayFaults['delayMs'], name: string): void {
  const [least, most] = Array.isArray(delay) ? delay : [delay ?? 0, delay ?? 0]
  const isRange = finiteOf(least, name) >= 0 && finiteOf(most, name) >= least
  if (!isRange) throw badArgument(`${name} must be milliseconds: one number, or two in ascending order`)
}

function checkWay(way: WayFaults, name: string): void {
  const { delayMs, loss, cut, swallow, duplicate, reorder, tamper } = optionsOf(way, name)
  checkDelay(delayMs, `${name}.delayMs`)
  for (const [chance, of] of [
    [loss, 'loss'],
    [swallow, 'swallow'],
    [duplicate, 'duplicate'],
    [reorder, 'reorder']
  ] as const) {
    chanceOf(chance, `${name}.${of}`)
  }
  if (cut !== undefined && typeof cut !== 'boolean') throw badArgument(`${name}.cut must be true or false`)
  if (tamper !== undefined && typeof tamper !== 'function') throw badArgument(`${name}.tamper must be a function`)
}

/**
 * Checks faults.
 * @throws ERR_INVALID_ARGUMENT or ERR_INVALID_TIME when a fault is unknown or out of range.
 */
export function checkFaults(faults: LinkFaults): LinkFaults {
  const { up, down, proxy } = optionsOf(faults, 'faults')
  const known = new Set(['up', 'down', 'proxy'])
  for (const name of Object.keys(faults)) if (!known.has(name)) throw badArgument(`faults: there is no fault ${name}`)
  if (up) checkWay(up, 'up')
  if (down) checkWay(down, 'down')
  if (proxy) {
    chanceOf(proxy.chance, 'proxy.chance')
    for (const answer of proxy.answers ?? [])
      if (!PROXY_ANSWERS.includes(answer)) throw badArgument('proxy.answers must list 401, 403, 502 or captive-portal')
  }
  return faults
}

/** Merges two sets of faults. The members of `over` win. */
function mergeFaults(base: LinkFaults, over: LinkFaults): LinkFaults {
  return {
    up: { ...base.up, ...over.up },
    down: { ...base.down, ...over.down },
    proxy: { ...base.proxy, ...over.proxy }
  }
}

type OneShot = { faults: LinkFaults; isMeant: (type: string) => boolean; left: number }

/** The faults of a link: lasting ones, and one-shots over them. */
export class FaultPlan {
  readonly #once: OneShot[] = []
  #faults: LinkFaults = {}

  /** Replaces the lasting faults. */
  set(faults: LinkFaults): void {
    this.#faults = checkFaults(faults)
  }

  /** Adds faults for the next exchanges whose message type passes `isMeant`. */
  once(faults: LinkFaults, options: { times?: number; isMeant?: (type: string) => boolean }): void {
    const { times = 1, isMeant = () => true } = optionsOf(options, 'options')
    if (!Number.isSafeInteger(times) || times < 1) throw badArgument('times must be a positive whole number')
    if (typeof isMeant !== 'function') throw badArgument('isMeant must be a function')
    this.#once.push({ faults: checkFaults(faults), isMeant, left: times })
  }

  /** Adds a cut in one direction or both to the lasting faults. */
  cut(way: 'up' | 'down' | 'both'): void {
    if (!['up', 'down', 'both'].includes(way)) throw badArgument('cut must be up, down or both')
    const { up, down } = this.#faults
    this.#faults = {
      ...this.#faults,
      up: { ...up, cut: way !== 'down' || up?.cut === true },
      down: { ...down, cut: way !== 'up' || down?.cut === true }
    }
  }

  /** Ends a cut. */
  heal(): void {
    const { up, down } = this.#faults
    this.#faults = { ...this.#faults, up: { ...up, cut: false }, down: { ...down, cut: false } }
  }

  /** Returns whether the lasting faults cut this direction. */
  isCut(way: 'up' | 'down'): boolean {
    return this.#faults[way]?.cut === true
  }

  /** Returns the faults of the next message of a type, and uses up a one-shot. */
  take(type: string): LinkFaults {
    const shot = this.#once.find(({ isMeant }) => isMeant(type))
    if (!shot) return this.#faults
    shot.left -= 1
    if (shot.left === 0) this.#once.splice(this.#once.indexOf(shot), 1)
    return mergeFaults(this.#faults, shot.faults)
  }
}

const OVERTAKEN_MS = 500

/** Draws how long one message takes, in milliseconds. */
export function delayOf({ delayMs = 0, reorder = 0 }: WayFaults, random: InsecureRandom): number {
  const takesMs = typeof delayMs === 'number' ? delayMs : random.between(delayMs[0], delayMs[1])
  return reorder > 0 && random.chance(reorder) ? takesMs + random.between(0, OVERTAKEN_MS) : takesMs
}

const pages = {
  401: 'Authentication is required by this proxy.',
  403: 'Your administrator has blocked this page.',
  502: 'Bad Gateway',
  'captive-portal': '<title>Welcome</title><p>Your session has ended. Please sign in to use this network.'
}

/**
 * Creates the answer of a proxy in place of the gateway: 401, 403, 502, or the page of a captive portal with status
 * 200.
 */
export function proxyAnswer(kind: ProxyAnswer): Response {
  const page = pages[kind]
  if (page === undefined) throw badArgument('the answer of a proxy must be 401, 403, 502 or captive-portal')
  return new Response(page, {
    status: kind === 'captive-portal' ? 200 : kind,
    headers: { 'content-type': 'text/html', date: 'Thu, 01 Jan 1970 00:00:00 GMT' }
  })
}

/** Draws whether a proxy answers, and returns its answer. */
export function drawProxy({ proxy = {} }: LinkFaults, random: InsecureRandom): Response | undefined {
  const { chance = 0, answers = PROXY_ANSWERS } = proxy
  return chance > 0 && random.chance(chance) ? proxyAnswer(random.pick(answers)) : undefined
}
