// SPDX-License-Identifier: MIT
// Finds the handler of a message type, or of a method and a target (PROTOCOL.md, R170 and R171). Which route serves a
// request depends on the routes alone, never on the order in which they were given.

import { badArgument } from '../../core/args.ts'
import { isText, pathOf } from '../support/encoding.ts'
import type { Handler } from '../types.ts'
import { isHeaderType, isReservedName, type RouteMatch } from './routes.ts'

/** Finds handlers. */
export type RouteTable = {
  /** Returns undefined where no handler serves the type. */
  ofType(type: string): RouteMatch | undefined
  /** Returns undefined where no handler serves the method and the target. */
  ofTarget(method: string, target: string): RouteMatch | undefined
  /**
   * Returns the methods that the path of a target has, sorted; `HEAD` too where `GET` is there, and `*` for a route of
   * every method. Empty: no route knows the path.
   */
  methodsOf(target: string): string[]
}

/** One HTTP route. `method` is empty where the route serves every method. */
type HttpRoute = { route: string; handler: Handler; method: string; segments: readonly string[] }

const NO_PARAMS = Object.freeze(Object.create(null)) as { readonly [name: string]: string }
const WILDCARD = '*'

const isName = (segment: string | undefined): boolean => segment?.startsWith(':') === true

function checkSegments(route: string, segments: readonly string[]): void {
  const names = segments.filter(isName)
  if (names.includes(':') || new Set(names).size < names.length)
    throw badArgument(`routes: each :name of ${route} must have a name of its own`)
  if (segments.slice(0, -1).some((segment) => segment.includes(WILDCARD)) || /.\*|\*./.test(segments.at(-1) ?? ''))
    throw badArgument(`routes: in ${route} the * must be the whole last segment`)
}

function readRoute(route: string, handler: Handler): HttpRoute {
  const [, method = '', path = ''] = /^(?:([A-Z]+) )?(\/[\x21\x22\x24-\x3e\x40-\x7e]*)$/.exec(route) ?? []
  if (path === '') throw badArgument(`routes: ${route} is no path, or has a query, which no route has`)
  // The gateway answers it as a preflight, which no client signs (R35).
  if (method === 'OPTIONS') throw badArgument('routes: no route can serve OPTIONS')
  const segments = path.split('/').slice(1)
  checkSegments(route, segments)
  return { route, handler, method, segments }
}

/** What the paths of two routes have in common. `first` and `second`: all paths of that route are the other's too. */
type Overlap = 'none' | 'same' | 'first' | 'second' | 'some'

function overlapOf({ segments: a }: HttpRoute, { segments: b }: HttpRoute): Overlap {
  let [isFirstNarrow, isSecondNarrow] = [false, false]
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [mine, other] = [a[at], b[at]]
    if (mine === undefined || other === undefined) return 'none'
    const [mineRank, otherRank] = [rankOf(mine), rankOf(other)]
    if (mineRank === 0 && otherRank === 0 && mine !== other) return 'none'
    isFirstNarrow ||= mineRank < otherRank
    isSecondNarrow ||= otherRank < mineRank
    if (mine === WILDCARD || other === WILDCARD) break
  }
  if (isFirstNarrow && isSecondNarrow) return 'some'
  if (isFirstNarrow) return 'first'
  return isSecondNarrow ? 'second' : 'same'
}

function rankOf(segment: string | undefined): number {
  if (segment === undefined) return 3
  if (segment === WILDCARD) return 2
  return isName(segment) ? 1 : 0
}

const isServed = (served: string, method: string): boolean =>
  served === '' || served === method || (served === 'GET' && method === 'HEAD')

// Of two routes with a path in common, the narrower one is first. With the same paths, a method of its own is.
function compareRoutes(first: HttpRoute, second: HttpRoute): number {
  const length = Math.max(first.segments.length, second.segments.length)
  for (let at = 0; at < length; at++) {
    const difference = rankOf(first.segments[at]) - rankOf(second.segments[at])
    if (difference !== 0) return difference
  }
  const weightOf = ({ method }: HttpRoute) => (method === 'HEAD' ? 0 : method === '' ? 2 : 1)
  return weightOf(first) - weightOf(second)
}

function checkPairs(routes: readonly HttpRoute[]): void {
  for (const [at, first] of routes.entries()) {
    for (const second of routes.slice(at + 1)) {
      const overlap = overlapOf(first, second)
      const isSame = overlap === 'same' && first.method === second.method
      const isMixed = isServed(first.method, second.method) || isServed(second.method, first.method)
      if (isSame || (overlap === 'some' && isMixed))
        throw badArgument(`routes: ${first.route} and ${second.route} serve the same requests, and neither is narrower`)
    }
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

// A handler may hand these segments on as a path. None of them may lead out of the route's own part (R171). No client
// sends them by itself: `URL` resolves them before the signature.
function isBelow(segments: readonly string[]): boolean {
  if (segments.some((segment, at) => segment === '' && (at === 0 || at < segments.length - 1))) return false
  return segments.every((segment) => {
    const text = decode(segment)
    if (text === undefined || segment.includes('\\') || /[\0-\x1f\x7f]/.test(text)) return false
    return !text.split(/[/\\]/).some((part) => part === '.' || part === '..')
  })
}

const isFixed = (segment: string): boolean => rankOf(segment) === 0

function paramsOf({ segments }: HttpRoute, given: readonly string[]): RouteMatch['params'] | undefined {
  const isOpen = segments.at(-1) === WILDCARD
  if (isOpen ? given.length < segments.length : given.length !== segments.length) return undefined
  // Most routes end here, before anything is decoded.
  if (segments.some((segment, at) => isFixed(segment) && segment !== given[at])) return undefined
  const params: { [name: string]: string } = Object.create(null)
  for (const [at, wanted] of segments.entries()) {
    if (wanted === WILDCARD) return isBelow(given.slice(at)) ? params : undefined
    if (isName(wanted)) {
      const value = decode(given[at] as string)
      if (value === undefined || value === '' || value === '.' || value === '..') return undefined
      params[wanted.slice(1)] = value
    }
  }
  return params
}

/** The HTTP routes of a table: those of one path each, and those of many, the narrower ones first. */
function createHttpRoutes(routes: HttpRoute[]) {
  const single = new Map<string, HttpRoute[]>()
  const many: HttpRoute[] = []
  for (const route of routes.sort(compareRoutes)) {
    const path = `/${route.segments.join('/')}`
    if (route.segments.every(isFixed)) single.set(path, [...(single.get(path) ?? []), route])
    else many.push(route)
  }
  checkPairs(many)
  return function* (path: string) {
    for (const route of single.get(path) ?? []) yield { ...route, params: NO_PARAMS }
    const segments = path.split('/').slice(1)
    for (const route of many) {
      const params = paramsOf(route, segments)
      if (params) yield { ...route, params }
    }
  }
}

/**
 * Compiles routes. With `reserved` the routes are the protocol's own (R98).
 * @throws ERR_RESERVED_TYPE or ERR_INVALID_TEXT when an application may not register a message type.
 * @throws ERR_INVALID_ARGUMENT when a handler is no function, a path is not valid, or two routes serve the same requests.
 */
export function createRouteTable(routes: { readonly [route: string]: Handler }, { reserved = false } = {}): RouteTable {
  const types = new Map<string, RouteMatch>()
  const paths: HttpRoute[] = []
  for (const [route, handler] of Object.entries(routes)) {
    if (typeof handler !== 'function') throw badArgument('routes: each handler must be a function')
    if (!reserved && /^(?:[A-Z]+ )?\//.test(route)) {
      paths.push(readRoute(route, handler))
      continue
    }
    if (!reserved && (isReservedName(route) || isHeaderType(route))) throw badArgument('routes', 'ERR_RESERVED_TYPE')
    if (!isText(route)) throw badArgument('routes', 'ERR_INVALID_TEXT')
    types.set(route, { handler, route, params: NO_PARAMS })
  }
  const matching = createHttpRoutes(paths)
  return {
    ofType: (type) => types.get(type),
    ofTarget(method, target) {
      for (const match of matching(pathOf(target))) if (isServed(match.method, method)) return match
      return undefined
    },
    methodsOf(target) {
      const methods = new Set<string>()
      for (const { method } of matching(pathOf(target))) methods.add(method || WILDCARD)
      if (methods.has('GET')) methods.add('HEAD')
      return [...methods].sort()
    }
  }
}
