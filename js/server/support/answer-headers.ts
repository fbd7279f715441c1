// SPDX-License-Identifier: MIT
// The headers that a handler adds to its answer (PROTOCOL.md, R153). Nobody signs them. So only names on a list go out,
// and none that acts on the connection, on caches, on cookies or on the page.

import { badArgument } from '../../core/args.ts'

/** Headers of an answer by their names in lower case. */
export type AnswerHeaders = { readonly [name: string]: string }

/** The headers that a handler may return: an object, a `Headers` or pairs. A value that is undefined counts as absent. */
export type AnswerHeadersInit =
  | { readonly [name: string]: string | undefined }
  | Iterable<readonly [name: string, value: string | undefined]>

const DEFAULT_NAMES = [
  'allow',
  'content-disposition',
  'content-language',
  'content-type',
  'etag',
  'last-modified',
  'link',
  'location',
  'retry-after',
  'x-request-id'
]
/** With these, a browser tells a page of another origin the headers that it would hide. It hides no others. */
const ALWAYS_READABLE: ReadonlySet<string> = new Set(['content-language', 'content-type', 'last-modified'])

const NEVER =
  /^(?:set-cookie2?|clear-site-data|refresh|access-control-.*|content-security-policy.*|cache-control|vary|countersign.*|content-length|content-encoding|x-content-type-options|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/
/** A token of RFC 9110 in lower case. Among names, `*` would stand for every name. */
const NAME = /^(?!\*$)[a-z\d!#$%&'*+.^_`|~-]+$/
// Latin-1 has no one spelling on the way, and a line break would begin another header.
const VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/

const MAX_NAMES = 32
const MAX_LENGTH = 64
/** With the envelope and the gateway's own headers, all fit into the 4 KiB that front ends commonly have for a head. */
const MAX_BYTES = 2048

/** Tells whether a text is the name of one header, in lower case. */
export function isHeaderName(text: string): boolean {
  return NAME.test(text)
}

/**
 * Checks a list of names of headers and returns it in lower case. `option` begins the error's hint.
 * @throws ERR_INVALID_ARGUMENT when it is no list of at most 32 names, or has one of `never`.
 */
export function readHeaderNames(names: readonly string[], option: string, never: RegExp): string[] {
  if (!Array.isArray(names) || names.length > MAX_NAMES)
    throw badArgument(`${option} must be an array of at most ${MAX_NAMES} names`)
  return names.map((given: unknown) => {
    const name = typeof given === 'string' ? given.toLowerCase() : ''
    if (name.length > MAX_LENGTH || !isHeaderName(name) || never.test(name))
      throw badArgument(`${option}: no such header may be named: ${JSON.stringify(given) ?? typeof given}`)
    return name
  })
}

/**
 * Checks the option `answerHeaders`, and returns the names that answers may carry: the usual ones and these.
 * @throws ERR_INVALID_ARGUMENT when an entry is no name of a header, or one that no handler may set.
 */
export function readAnswerHeaders(names: readonly string[] = []): ReadonlySet<string> {
  return new Set([...DEFAULT_NAMES, ...readHeaderNames(names, 'answerHeaders', NEVER)])
}

/** The names that answers may carry where the gateway has no list of its own. */
export const usualHeaders: ReadonlySet<string> = readAnswerHeaders()

/** Returns the names of answer headers that a browser has to be told of, so that pages of other origins can read them. */
export function hiddenHeaders(names: ReadonlySet<string>): string[] {
  return [...names].filter((name) => !ALWAYS_READABLE.has(name))
}

const pairsOf = (given: AnswerHeadersInit): Iterable<readonly [string, string | undefined]> => {
  if (typeof given !== 'object' || given === null) throw new TypeError('headers must be an object')
  return Symbol.iterator in given ? given : Object.entries(given)
}

/**
 * Checks the headers of a handler's result, and returns them with their names in lower case.
 * @throws TypeError when a name is not in `names` or comes twice, when a value is no printable ASCII, when they are over
 * 2048 bytes together, or when `location` stands with a redirect, which no client follows.
 */
export function checkHeaders(
  given: AnswerHeadersInit | undefined,
  names: ReadonlySet<string>,
  status: number
): AnswerHeaders {
  const headers: { [name: string]: string } = {}
  if (given === undefined) return headers
  let bytes = 0
  for (const [key, value] of pairsOf(given)) {
    if (value === undefined) continue
    const name = String(key).toLowerCase()
    if (!names.has(name)) throw new TypeError(`the header ${name} is not in answerHeaders of createGateway`)
    if (Object.hasOwn(headers, name)) throw new TypeError(`the header ${name} comes twice`)
    if (typeof value !== 'string' || !VALUE.test(value))
      throw new TypeError(`the value of the header ${name} must be printable ASCII without blanks around it`)
    headers[name] = value
    bytes += name.length + value.length
  }
  if (bytes > MAX_BYTES) throw new TypeError(`the headers of an answer must have at most ${MAX_BYTES} bytes`)
  if (headers.location !== undefined && status >= 300 && status < 400)
    throw new TypeError('no client follows a redirect: location must not stand with a 3xx status')
  return headers
}

/** Returns those of kept headers that answers may still carry. */
export function pickHeaders(kept: AnswerHeaders = {}, names: ReadonlySet<string>): AnswerHeaders {
  return Object.fromEntries(Object.entries(kept).filter(([name]) => names.has(name)))
}
