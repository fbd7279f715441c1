// SPDX-License-Identifier: MIT
// CORS (PROTOCOL.md, R34, R35 and R166): the headers for pages of allowed origins, and a check that explains why a call
// from an origin fails.

import { CORS_CHECK_PATH, FRAME_TYPE, JSON_TYPE } from '../../common/protocol.ts'
import { encodeJson } from '../../common/text.ts'
import { optionsOf } from '../../core/args.ts'
import { hiddenHeaders, isHeaderName, readHeaderNames } from '../support/answer-headers.ts'
import { emptyBytes } from '../support/encoding.ts'
import { type CorsOptions, isOrigin, type OriginRules } from '../support/origins.ts'
import type { Inbound, Outbound } from '../types.ts'

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
/** The headers of every request that a client makes. */
const NEEDED = ['content-type', 'countersign']
const ALLOWED = NEEDED.join(', ')

/** No page can set or read these, whatever a gateway allows. */
const NEVER = /^(?:cookie2?|set-cookie2?|access-control-.*)$/
const MAX_ASKED = 32
const MAX_ASKED_BYTES = 1024

/** The headers of every answer, whoever asks. */
export const PLAIN_HEADERS = {
  'cache-control': 'no-store, no-transform',
  'x-content-type-options': 'nosniff',
  vary: 'origin'
}

/** The CORS part of a gateway. */
export type Cors = {
  /** Returns the headers of every answer, plain ones too. */
  headers(origin: string | null): Record<string, string>
  preflight(inbound: Inbound): Outbound
  /** Answers CORS_CHECK_PATH. */
  check(inbound: Inbound): Outbound
}

// Returns the names that a preflight asks for, or undefined where it asks as no browser does.
function askedNames(inbound: Inbound): string[] | undefined {
  const asked = inbound.header('access-control-request-headers') ?? ''
  if (asked === '') return []
  const names = asked.split(/[\t ]*,[\t ]*/)
  const isGood = asked.length <= MAX_ASKED_BYTES && names.length <= MAX_ASKED && names.every(isHeaderName)
  return isGood ? names : undefined
}

const listOf = (...names: readonly string[]): string => [...new Set(names)].join(', ')

/**
 * Returns the CORS part of a gateway (R35, R166). `answerHeaders` are the names that its handlers may set. Throws
 * ERR_INVALID_ARGUMENT when a list of names is not valid.
 */
export function createCors(
  settings: Omit<CorsOptions, 'origins'> & { origins: OriginRules; answerHeaders: ReadonlySet<string> }
): Cors {
  const { origins, allowHeaders, exposeHeaders } = settings
  const read = (names: readonly string[] | undefined, option: string): string[] | undefined =>
    names === undefined ? undefined : readHeaderNames(names, option, NEVER)
  const listed = read(allowHeaders, 'allowHeaders')
  const readable = read(exposeHeaders, 'exposeHeaders') ?? hiddenHeaders(settings.answerHeaders)
  const exposing = listOf('countersign', ...readable, 'retry-after')
  const headers = (origin: string | null): Record<string, string> => ({
    ...PLAIN_HEADERS,
    ...(origin !== null && origins.allows(origin)
      ? { 'access-control-allow-origin': origin, 'access-control-expose-headers': exposing }
      : {})
  })
  return {
    headers,
    preflight(inbound) {
      // The check tells any page the same, also one whose own script adds a header to each request.
      const isCheck = inbound.target === CORS_CHECK_PATH
      const isAllowed = isCheck || origins.allows(inbound.header('origin'))
      const names = isAllowed ? (listed ?? askedNames(inbound)) : undefined
      const grant: Record<string, string> = names
        ? {
            'access-control-allow-methods': METHODS,
            'access-control-allow-headers': listOf(...NEEDED, ...names),
            'access-control-max-age': '600',
            ...(isCheck ? { 'access-control-allow-origin': '*' } : {})
          }
        : {}
      return { status: 204, headers: grant, body: emptyBytes() }
    },
    check(inbound) {
      const origin = inbound.header('origin')
      const problem = origins.problemOf(origin)
      const report = { origin, allowed: problem === undefined, ...(problem ? { problem } : {}) }
      return {
        status: 200,
        // The refused page itself can read it: it contains only data that this page sent.
        headers: { 'content-type': JSON_TYPE, 'access-control-allow-origin': '*' },
        body: encodeJson(report)
      }
    }
  }
}

function expectHeader(problems: string[], where: string, headers: Headers, name: string, wanted: string): void {
  const value = headers.get(name)
  const parts = (value ?? '')
    .toLowerCase()
    .split(',')
    .map((part) => part.trim())
  if (value === null) problems.push(`${where}: ${name} is missing; it should be ${wanted}`)
  else if (!wanted.split(', ').every((part) => parts.includes(part)))
    problems.push(`${where}: ${name} is ${value}; it should have ${wanted}`)
  else if (name === 'access-control-allow-origin' && parts.length > 1)
    problems.push(`${where}: ${name} occurs twice: a front end adds its own`)
}

/**
 * Calls a gateway as a browser on `origin` would, and resolves to a list of problems, also of front ends on the way. An
 * empty list means that a page of this origin can call the gateway. Rejects only when the gateway cannot be reached at
 * all.
 *
 * @throws ERR_INVALID_ARGUMENT when the options are no object.
 *
 * @example
 * ```ts
 * const problems = await checkCors({ url: 'https://api.example/exchange', origin: 'https://app.example' })
 * for (const problem of problems) console.error(problem)
 * ```
 */
export async function checkCors(options: {
  url: string
  origin: string
  fetch?: typeof globalThis.fetch
}): Promise<string[]> {
  const { url, origin, fetch = globalThis.fetch } = optionsOf(options, 'checkCors', ['url', 'origin', 'fetch'])
  const problems: string[] = []
  if (!isOrigin(origin)) return ['origin must be scheme://host or scheme://host:port']
  const asked = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': ALLOWED }
  const preflight = await fetch(url, { method: 'OPTIONS', headers: asked, redirect: 'manual' })
  if (preflight.status !== 204)
    problems.push(`preflight: status ${preflight.status} instead of 204: another program answers before the gateway`)
  expectHeader(problems, 'preflight', preflight.headers, 'access-control-allow-origin', origin)
  expectHeader(problems, 'preflight', preflight.headers, 'access-control-allow-headers', ALLOWED)
  expectHeader(problems, 'preflight', preflight.headers, 'access-control-allow-methods', 'post')
  // An empty body is no frame. The page must be able to read the plain refusal too, or it sees a network error.
  const refused = await fetch(url, {
    method: 'POST',
    headers: { origin, 'content-type': FRAME_TYPE },
    redirect: 'manual'
  })
  await refused.arrayBuffer()
  if (refused.status !== 400)
    problems.push(`answer: status ${refused.status} instead of 400 to an empty frame: is this the gateway's endpoint?`)
  expectHeader(problems, 'answer', refused.headers, 'access-control-allow-origin', origin)
  expectHeader(problems, 'answer', refused.headers, 'access-control-expose-headers', 'countersign')
  expectHeader(problems, 'answer', refused.headers, 'vary', 'origin')
  expectHeader(problems, 'answer', refused.headers, 'cache-control', 'no-store, no-transform')
  return problems
}
