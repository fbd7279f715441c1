// SPDX-License-Identifier: MIT
// The origins whose pages may call a gateway (PROTOCOL.md, R35, R165 and R168). An origin says which page a browser runs. It
// says nothing about who sits in front of it.

import { badArgument, flagOf } from '../../core/args.ts'

/** The options for pages of other origins. */
export type CorsOptions = {
  /**
   * The origins whose pages may call: exact ones of any scheme (`https://app.example.com`, `chrome-extension://…`,
   * `capacitor://localhost`), and patterns for exactly one label (`https://*.example.com`). `capacitor://localhost` is
   * every application that is built so. A list of origins is no login. Default: none.
   */
  origins?: readonly string[]
  /**
   * Whether pages without an origin of their own may call, such as sandboxed frames and files. Their browsers send
   * `Origin: null`. Anybody can make such a page, so they get no WebSocket, and their guests are few. Default: false.
   */
  allowOpaqueOrigin?: boolean
  /**
   * The request headers that these pages may send beside `content-type` and `countersign`, at most 32 names. Nobody
   * signs them. Default: all that a page asks for.
   */
  allowHeaders?: readonly string[]
  /**
   * The answer headers that these pages may read beside `countersign` and `retry-after`, at most 32 names. Default:
   * those that handlers may set.
   */
  exposeHeaders?: readonly string[]
}

/** Decides about the header `Origin` of a request. */
export type OriginRules = {
  /** Tells whether pages of this origin may call. */
  allows(origin: string | null): boolean
  /** Returns why pages of this origin may not call, or undefined where they may. */
  problemOf(origin: string | null): string | undefined
}

/** What browsers send for a page without an origin of its own. */
export const NO_ORIGIN = 'null'

/** The names of loopback hosts, as URLs have them (R33). */
export const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
/** No page with an origin of its own has one of these schemes. */
const PAGELESS = /^(?:about|blob|data|file|ftp|javascript|wss?):$/
/** Other characters could end the value of a header, or begin another entry of a list. */
const HOST = /^(?:[\w.~-]+|\[[\da-f:.]+\])$/
const FIRST_LABEL = /^([a-z][a-z\d+.-]*:\/\/)[a-z\d_-]+(\..+)$/

/** Tells whether a text is an origin as browsers write it: a scheme and a host, and a port where it is not the usual one. */
export function isOrigin(text: unknown): text is string {
  if (typeof text !== 'string' || !URL.canParse(text)) return false
  // `URL.origin` is the word null for any scheme but those of the web, so the parts are compared.
  const { protocol, host, hostname } = new URL(text)
  return text === `${protocol}//${host}` && HOST.test(hostname)
}

/** Returns the pattern that an origin would match: `https://*.example.com` for `https://a.example.com`. */
const patternOf = (origin: string): string | undefined => {
  const [, scheme, rest] = FIRST_LABEL.exec(origin) ?? []
  return scheme && `${scheme}*${rest}`
}

function checkEntry(entry: unknown): string {
  const wrong = (what: string) => badArgument(`origins: ${JSON.stringify(entry) ?? typeof entry} ${what}`)
  if (typeof entry !== 'string') throw wrong('is no text')
  if (entry === NO_ORIGIN) throw wrong('is no origin; allowOpaqueOrigin admits pages that have none')
  const sample = entry.replace('://*.', '://x.')
  if (sample.includes('*')) throw wrong('has a * that is not the whole first label, as in https://*.example.com')
  if (!isOrigin(sample))
    throw wrong('must be scheme://host or scheme://host:port as browsers write it, with nothing behind it')
  const { protocol, hostname } = new URL(sample)
  if (PAGELESS.test(protocol)) throw wrong('has a scheme whose pages have no origin of their own')
  if (protocol === 'http:' && !LOOPBACK.test(hostname))
    throw wrong('must use https, or http on a loopback host; other pages have no WebCrypto')
  const labels = hostname.split('.')
  if (sample !== entry && (labels.length < 3 || labels.includes('')))
    throw wrong('must have two labels at least behind the *')
  return entry
}

function nearestProblem(origin: string, allowed: ReadonlySet<string>): string {
  const { host, hostname, protocol } = new URL(origin)
  const near = [...allowed].map((entry) => new URL(entry))
  if (near.some((entry) => entry.host === host)) return `the scheme differs: origins does not allow ${protocol}`
  if (near.some((entry) => entry.hostname === hostname)) return 'the port differs from the allowed one'
  if (near.some((entry) => entry.hostname.startsWith('*') && hostname.endsWith(entry.hostname.slice(1))))
    return 'a pattern in `origins` has the same end; it stands for exactly one label, one scheme and one port'
  return 'this origin is not in `origins`'
}

/**
 * Checks the options `origins` and `allowOpaqueOrigin`, and returns the rules that they make (R165, R168).
 * @throws ERR_INVALID_ARGUMENT when an entry is an origin that no browser sends, or a pattern of another form.
 */
export function readOrigins({ origins = [], allowOpaqueOrigin = false }: CorsOptions): OriginRules {
  if (!Array.isArray(origins)) throw badArgument('origins must be an array')
  flagOf(allowOpaqueOrigin, 'allowOpaqueOrigin')
  const allowed: ReadonlySet<string> = new Set(origins.map(checkEntry))
  // Nobody's page has the pattern itself as its origin.
  const exact = (origin: string): boolean => allowed.has(origin) && !origin.includes('*')
  const allows = (origin: string | null): boolean =>
    origin === NO_ORIGIN
      ? allowOpaqueOrigin
      : origin !== null && (exact(origin) || allowed.has(patternOf(origin) ?? ''))
  return {
    allows,
    problemOf(origin) {
      if (origin === null)
        return 'no Origin header arrived: same-origin calls need none; for other calls, a front end removed it'
      if (allows(origin)) return undefined
      if (origin === NO_ORIGIN)
        return 'the page has an opaque origin (a sandboxed frame, a file:// page): allowOpaqueOrigin is not set'
      if (allowed.size === 0) return 'no origin is allowed: pass `origins`'
      if (!isOrigin(origin)) return 'the Origin header is not an origin: a proxy may rewrite it'
      return nearestProblem(origin, allowed)
    }
  }
}
