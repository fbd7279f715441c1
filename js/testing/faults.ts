// SPDX-License-Identifier: MIT
// What may go wrong between a client and its gateway.

import type { Bytes } from '../common/types.ts'
import { badArgument, finiteOf, optionsOf } from '../core/args.ts'
import type { InsecureRandom } from './random.ts'

/** A request or an answer on its way, as whoever sits on the network may change it. */
export type TestMessage = {
  /** Whose link it passes. */
  readonly client: string
  readonly way: 'up' | 'down'
  /**
   * The message type that the request names, unverified: `demo.echo`, `GET /api/orders`; a path where it names none; `event`
   * for an item of a stream.
   */
  readonly type: string
  headers: Record<string, string>
  body: Bytes
  /** Of an answer. */
  status?: number
}

/** An answer that no gateway signed. */
export type ProxyAnswer = 401 | 403 | 502 | 'captive-portal'

/**
 * One direction. Chances are from 0 to 1. On a stream of events, those of `down` hold for each item: a loss breaks the
 * stream, a cut silences it for good, a reordered item comes behind the next one.
 */
export type WayFaults = {
  /** How long a message takes, in milliseconds: always, or anything from the first to the second. */
  delayMs?: number | readonly [least: number, most: number]
  /** The connection breaks and the message with it; the client's fetch fails. */
  loss?: number
  /** Nothing gets through and nobody hears of it: the client waits. */
  cut?: boolean
  /** One item of a stream is missing from it. */
  swallow?: number
  /** The message comes a second time; of an answer that is no stream nobody sees that. */
  duplicate?: number
  /** The message is held back for up to half a second more, so that later ones overtake it. */
  reorder?: number
  /** Changes a message in place, or gives another one. */
  tamper?: (message: TestMessage) => TestMessage | undefined
}

/** What goes wrong on one client's link. */
export type LinkFaults = {
  up?: WayFaults
  down?: WayFaults
  /** A proxy answers in the gateway's place, with one of `answers`; `passesOn` where the request got through all the same. */
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

/** Throws ERR_INVALID_ARGUMENT or ERR_INVALID_TIME for faults that cannot be meant. */
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

/** Lays the members of one over those of the other. */
export function mergeFaults(base: LinkFaults, over: LinkFaults): LinkFaults {
  return {
    up: { ...base.up, ...over.up },
    down: { ...base.down, ...over.down },
    proxy: { ...base.proxy, ...over.proxy }
  }
}

const OVERTAKEN_MS = 500

/** Draws how long one message takes. */
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
 * Makes what a proxy says in place of the gateway: 401, 403, 502, or the page of a captive portal with status 200.
 */
export function proxyAnswer(kind: ProxyAnswer): Response {
  const page = pages[kind]
  if (page === undefined) throw badArgument('the answer of a proxy must be 401, 403, 502 or captive-portal')
  return new Response(page, {
    status: kind === 'captive-portal' ? 200 : kind,
    headers: { 'content-type': 'text/html', date: 'Thu, 01 Jan 1970 00:00:00 GMT' }
  })
}

/** Gives the proxy's answer where one stands in the way. */
export function drawProxy({ proxy = {} }: LinkFaults, random: InsecureRandom): Response | undefined {
  const { chance = 0, answers = PROXY_ANSWERS } = proxy
  return chance > 0 && random.chance(chance) ? proxyAnswer(random.pick(answers)) : undefined
}
