// SPDX-License-Identifier: MIT
// CORS (PROTOCOL.md, R34, R35 and R166): the headers for pages of allowed origins, and a check that explains why a call
// from an origin fails.

import { CORS_CHECK_PATH, FRAME_TYPE, JSON_TYPE } from '../../common/protocol.ts'
import { encodeJson } from '../../common/text.ts'
import { optionsOf, textOf } from '../../core/args.ts'
import { hiddenHeaders, isHeaderName, readHeaderNames } from '../support/answer-headers.ts'
import { emptyBytes } from '../support/encoding.ts'
import { type CorsOptions, isOrigin, NO_ORIGIN, type OriginRules } from '../support/origins.ts'
import type { Inbound, Outbound } from '../types.ts'

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
/** The headers of every request that a client makes. */
const NEEDED = ['content-type', 'countersign']

/** No page can set or read these, whatever a gateway allows. */
const NEVER = /^(?:cookie2?|set-cookie2?|access-control-.*)$/
const PROBLEM_TYPE = 'application/problem+json'
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

/** One call of a page, as a browser makes it. */
type PageCall = {
  url: string
  origin: string
  fetch: typeof globalThis.fetch
  /** What the lines about it begin with. */
  what: string
  sends: readonly string[]
  reads: readonly string[]
  type: string
  body?: string
}

const namesIn = (value: string | null): string[] => (value ?? '').split(',').map((name) => name.trim())

function problemsOfNames(headers: Headers, name: string, wanted: readonly string[]): string[] {
  const given = namesIn(headers.get(name)).map((text) => text.toLowerCase())
  if (!headers.has(name)) return [`${name} is missing; it should have ${wanted.join(', ')}`]
  const missing = wanted.filter((text) => !given.includes(text))
  return missing.length > 0 ? [`${name} is ${headers.get(name)}; it should have ${missing.join(', ')}`] : []
}

function problemsOfOrigin(headers: Headers, origin: string): string[] {
  const name = 'access-control-allow-origin'
  const given = namesIn(headers.get(name))
  if (!headers.has(name)) return [`${name} is missing; it should be ${origin}`]
  // Origins are compared as they stand, in the case that they have.
  if (!given.includes(origin)) return [`${name} is ${headers.get(name)}; it should be ${origin}`]
  return given.length > 1 ? [`${name} occurs twice: a front end adds its own`] : []
}

// Calls the gateway as a page would. The page must be able to read a refusal too, or it sees a network error.
async function problemsOfCall(call: PageCall): Promise<string[]> {
  const { url, origin, fetch, what, sends, reads, type, body } = call
  const asked = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': [...sends].sort().join(',')
  }
  const preflight = await fetch(url, { method: 'OPTIONS', headers: asked, redirect: 'manual' })
  const another = `status ${preflight.status} instead of 204: another program answers before the gateway`
  const headers = { origin, 'content-type': type }
  const refused = await fetch(url, { method: 'POST', headers, redirect: 'manual', ...(body ? { body } : {}) })
  await refused.arrayBuffer()
  // A gateway without an endpoint of its own takes JSON on any path, and refuses it there with an empty body.
  const isThere = refused.status === 400 && (!body || refused.headers.get('content-type') === PROBLEM_TYPE)
  const elsewhere = body
    ? `status ${refused.status} to ${body}: it is not that of an enrolment; is this its path?`
    : `status ${refused.status} instead of 400 to an empty frame: is this the gateway's endpoint?`
  return [
    ...[
      ...(preflight.status === 204 ? [] : [another]),
      ...problemsOfOrigin(preflight.headers, origin),
      ...problemsOfNames(preflight.headers, 'access-control-allow-headers', sends),
      ...problemsOfNames(preflight.headers, 'access-control-allow-methods', ['post'])
    ].map((problem) => `${what}preflight: ${problem}`),
    ...[
      ...(isThere ? [] : [elsewhere]),
      ...problemsOfOrigin(refused.headers, origin),
      ...problemsOfNames(refused.headers, 'access-control-expose-headers', reads),
      ...problemsOfNames(refused.headers, 'vary', ['origin']),
      ...problemsOfNames(refused.headers, 'cache-control', ['no-store', 'no-transform'])
    ].map((problem) => `${what}answer: ${problem}`)
  ]
}

/**
 * Calls a gateway as a browser on `origin` would, and resolves to a list of problems, also of front ends on the way. An
 * empty list means that a page of this origin can call the gateway. `origin` is one of a page and no pattern; it is
 * `null` for a page without an origin. `allowHeaders` are the headers that the page sends beside the client's own, and
 * `exposeHeaders` those that it reads. With `enrollmentPath`, where the paths of the enrolment begin, it checks these
 * too, and no mail is sent. Rejects only when the gateway cannot be reached at all. Default: no further headers, and no
 * enrolment.
 *
 * @throws ERR_INVALID_ARGUMENT when the options are no object, or one of them is not valid.
 *
 * @example
 * ```ts
 * const enrollmentPath = '/api/v1/public/auth'
 * const problems = await checkCors({ url: 'https://api.example/exchange', origin: 'https://app.example', enrollmentPath })
 * for (const problem of problems) console.error(problem)
 * ```
 */
export async function checkCors(options: {
  url: string
  origin: string
  allowHeaders?: readonly string[]
  exposeHeaders?: readonly string[]
  enrollmentPath?: string
  fetch?: typeof globalThis.fetch
}): Promise<string[]> {
  const known = ['url', 'origin', 'allowHeaders', 'exposeHeaders', 'enrollmentPath', 'fetch']
  const { url, origin, fetch = globalThis.fetch, enrollmentPath } = optionsOf(options, 'checkCors', known)
  const sends = readHeaderNames(options.allowHeaders ?? [], 'allowHeaders', NEVER)
  const reads = readHeaderNames(options.exposeHeaders ?? [], 'exposeHeaders', NEVER)
  if (origin !== NO_ORIGIN && !isOrigin(origin))
    return ['origin must be scheme://host or scheme://host:port of a page, or null for a page without an origin']
  const page = { origin, fetch, reads: ['countersign', 'retry-after', ...reads] }
  const problems = await problemsOfCall({ ...page, url, what: '', sends: [...NEEDED, ...sends], type: FRAME_TYPE })
  if (enrollmentPath === undefined) return problems
  const { href } = new URL(`${textOf(enrollmentPath, 'enrollmentPath')}/send-email-code`, url)
  const form = { what: 'enrolment ', sends: ['content-type', ...sends], type: JSON_TYPE, body: '{}' }
  return [...problems, ...(await problemsOfCall({ ...page, ...form, url: href }))]
}
