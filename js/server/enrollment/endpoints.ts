// SPDX-License-Identifier: MIT
// Enrolment after an e-mail code (PROTOCOL.md, R82 to R86), and the same for an application with a login of its own.

import { createHmac, randomInt } from 'node:crypto'
import type { BytesLike, Core } from '../../common/types.ts'
import { badArgument, copyOf, integerOf, labelOf, optionsOf, textOf } from '../../core/args.ts'
import { loadCore } from '../../core/index.ts'
import { readBody, unlimitedLease } from '../exchange/body.ts'
import { sourceOf } from '../exchange/rates.ts'
import { createCors } from '../http/cors.ts'
import { serveRequest } from '../http/web-handler.ts'
import { memoryCodeStore } from '../stores/memory/index.ts'
import { checkSigner, functionOf, partOf } from '../support/checks.ts'
import { decodeExact, emptyBytes, isSameBytes, isText } from '../support/encoding.ts'
import { readFlatObject } from '../support/flat-json.ts'
import { createGatewayClock } from '../support/gateway-clock.ts'
import type {
  CodeStore,
  From,
  Inbound,
  Mounted,
  Outbound,
  ServerSigner,
  SessionRecord,
  SessionStore
} from '../types.ts'
import { createEnroller, type Offer, type Problem, problems } from './enroll.ts'

/** A mail to send; the address exactly as it was given. */
export type Mail = { email: string; challengeId: string; code: string; expiresMs: number }

export type EnrollmentOptions = {
  label: string
  signer: ServerSigner
  sessions: SessionStore
  /** memoryCodeStore() by default. */
  codes?: CodeStore
  /** Sends a mail. Nobody waits for it: the answer must not tell which addresses a mail server likes. */
  mailer: (mail: Mail) => unknown
  /** Digits of a code, 6 by default and at least. */
  digits?: number
  /** Secret of at least 16 bytes, the same on all gateways: without it a stolen code store gives its codes away. */
  pepper?: Uint8Array
  /** The user an address belongs to; by default the address with A to Z in lower case. */
  userIdOf?: (email: string) => string
  /** Told of each enrolment before its answer leaves; what it throws refuses the enrolment. */
  onEnrolled?: (event: { session: SessionRecord; email: string; timeZone?: string }) => unknown
  /** Told what failed behind an answer: a mail, a store. */
  onFailure?: (error: unknown) => void
  /** Exact origins, where it is not mounted in a gateway. */
  origins?: readonly string[]
  now?: () => number
  core?: Core | Promise<Core>
}

/** What enrollment() makes: mount it in a gateway, or call `handle` yourself. */
export type Enrollment = Mounted & {
  handle(request: Request, from?: From): Promise<Response>
  /** For an application with its own login: a challenge for a user it vouches for; null where there is no room, ERR_INVALID_TEXT where the id cannot be signed. */
  challenge(userId: string): Promise<string | null>
  /** Enrols a key for that user: the Response to hand on as it is. */
  confirm(
    userId: string,
    offer: { challengeId: string; algorithm: string; publicKey: BytesLike; proof: BytesLike }
  ): Promise<Response>
}

const BASE = '/api/v1/public/auth/'
const BODY_BYTES = 4096
const BODY_MS = 10_000
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const LIFETIME_MS = 10 * MINUTE_MS
const MAILS_PER_ADDRESS = { limit: 5, windowMs: HOUR_MS }
const MAILS_PER_SOURCE = { limit: 100, windowMs: HOUR_MS }
const WRONG_PER_CHALLENGE = { limit: 5, windowMs: LIFETIME_MS }
const WRONG_PER_ADDRESS = { limit: 15, windowMs: 24 * HOUR_MS }

// One address and nothing else: no list, no display name, no comment that a mailer could read as more.
const isEmail = (value: string): boolean =>
  isText(value) && /^[^\s@,;:<>()[\]\\"]+@[^\s@,;:<>()[\]\\".]+(\.[^\s@,;:<>()[\]\\".]+)*$/.test(value)

// Only A to Z: Unicode's own lower case would make one user of several addresses that are not the same mailbox.
const foldAddress = (email: string): string => email.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

function checkOptions(options: EnrollmentOptions): void {
  const { label, signer, sessions, codes, mailer, digits } = optionsOf(options, 'enrollment')
  labelOf(label)
  checkSigner(signer)
  partOf(sessions, ['create'], 'sessions must be a SessionStore')
  if (codes !== undefined) partOf(codes, ['create', 'get', 'take', 'giveBack', 'redeem'], 'codes must be a CodeStore')
  if (typeof mailer !== 'function') throw badArgument('mailer must be a function')
  if (digits !== undefined) integerOf(digits, 6, 12, 'digits')
  for (const name of ['userIdOf', 'onEnrolled', 'onFailure', 'now'] as const) functionOf(options[name], name)
}

const isProblem = (value: object): value is Problem => 'title' in value

const writeProblem = ({ status, code, title, retryAfterMs }: Problem): Outbound => ({
  status,
  headers: {
    'content-type': 'application/problem+json',
    ...(retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }),
    ...(status === 405 ? { allow: 'POST' } : {})
  },
  body: Buffer.from(JSON.stringify({ type: 'about:blank', title, status, code }))
})

const tooMany = (retryAfterMs: number): Problem => ({ ...problems.tooMany, retryAfterMs })

async function readForm(inbound: Inbound): Promise<Uint8Array | Problem> {
  if (inbound.method !== 'POST') return problems.notAllowed
  const type = (inbound.header('content-type') ?? '').toLowerCase()
  if (!/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/.test(type)) return problems.unsupported
  if (inbound.header('content-encoding') !== null) return problems.unsupported
  const bounds = { bytes: BODY_BYTES, untilMs: performance.now() + BODY_MS, idleMs: BODY_MS, lease: unlimitedLease }
  const body = await readBody(inbound, emptyBytes(), bounds)
  if (body.state === 'whole') return body.bytes
  return body.state === 'too-large' ? problems.tooLarge : problems.invalidRequest
}

/**
 * enrollment makes the endpoints that register a device key after an e-mail code. Give it to `createGateway` or mount its
 * `handle`. Failures are problem+json; it throws ERR_INVALID_LABEL or ERR_INVALID_ARGUMENT for options that cannot work.
 *
 * @example
 * ```ts
 * const enrolling = enrollment({ label: 'myapp', signer, sessions, codes, mailer: ({ email, code }) => sendMail(email, code) })
 * const gateway = createGateway({ label: 'myapp', signer, sessions, replay, routes, enrollment: enrolling })
 * ```
 */
export function enrollment(options: EnrollmentOptions): Enrollment {
  checkOptions(options)
  const {
    codes = memoryCodeStore(),
    mailer,
    digits = 6,
    pepper = emptyBytes(),
    userIdOf = foldAddress,
    onEnrolled,
    onFailure
  } = options
  const clock = createGatewayClock(options.now)
  const cors = createCors(options.origins ?? [])
  const enroller = createEnroller({ ...options, codes, clock, userIdOf, core: async () => options.core ?? loadCore() })
  const hashCode = (id: string, code: string): Uint8Array =>
    createHmac('sha256', pepper).update(`${id}\n${code}`).digest()

  const failed = (error: unknown): void => {
    try {
      onFailure?.(error)
    } catch {
      // A logger's fault must not become the client's.
    }
  }

  // All or none: what one counter gave goes back where another refuses. Taken at once, for one commit of a store.
  const takeAll = async (
    wanted: readonly (readonly [string, { limit: number; windowMs: number }])[]
  ): Promise<number> => {
    const nowMs = clock.now()
    const waits = await Promise.all(wanted.map(([key, bound]) => codes.take(key, { ...bound, nowMs })))
    const wait = Math.max(...waits)
    if (wait > 0) await Promise.all(wanted.map(([key], at) => (waits[at] === 0 ? codes.giveBack(key) : undefined)))
    return wait
  }

  const sendCode = async (body: Uint8Array, source: string): Promise<Outbound | Problem> => {
    const email = readFlatObject(body, ['email'])?.email
    if (email === undefined || !isEmail(email)) return problems.invalidRequest
    const wait = await takeAll([
      [`mail/source/${source}`, MAILS_PER_SOURCE],
      [`mail/address/${foldAddress(email)}`, MAILS_PER_ADDRESS]
    ])
    if (wait > 0) return tooMany(wait)
    const code = String(randomInt(10 ** digits)).padStart(digits, '0')
    const challenge = await enroller.challenge(email, LIFETIME_MS, (id) => hashCode(id, code))
    if (!challenge) return tooMany(MINUTE_MS)
    const { id, expiresMs } = challenge
    const mailing = (async () => mailer({ email, challengeId: id, code, expiresMs }))()
    mailing.catch(failed)
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ challenge_id: id }))
    }
  }

  // The attempt is taken before the code is looked at, so that guesses made at once count like guesses made in turn.
  const tryCode = async (
    challenge: { id: string; email: string; codeHash?: Uint8Array },
    code: string
  ): Promise<Problem | undefined> => {
    const counters = [
      [`wrong/challenge/${challenge.id}`, WRONG_PER_CHALLENGE],
      [`wrong/address/${foldAddress(challenge.email)}`, WRONG_PER_ADDRESS]
    ] as const
    const wait = await takeAll(counters)
    if (wait > 0) return tooMany(wait)
    const isRight = challenge.codeHash !== undefined && isSameBytes(hashCode(challenge.id, code), challenge.codeHash)
    if (!isRight) return problems.invalidCode
    await Promise.all(counters.map(([key]) => codes.giveBack(key)))
    return undefined
  }

  const finish = async (
    offer: Offer,
    proven: Parameters<typeof enroller.enroll>[1],
    timeZone?: string
  ): Promise<Outbound | Problem> => {
    const enrolled = await enroller.enroll(offer, proven)
    if (isProblem(enrolled)) return enrolled
    const { session, out } = enrolled
    await onEnrolled?.({ session, email: proven.challenge.email, ...(timeZone === undefined ? {} : { timeZone }) })
    return out
  }

  const confirmCode = async (body: Uint8Array): Promise<Outbound | Problem> => {
    const required = ['challenge_id', 'code', 'client_public_key', 'algorithm', 'proof'] as const
    const form = readFlatObject(body, required, ['time_zone'])
    const publicKey = decodeExact(form?.client_public_key ?? '', 'base64')
    const proof = decodeExact(form?.proof ?? '', 'base64')
    if (!form || !publicKey || !proof || !isText(form.code)) return problems.invalidRequest
    if (form.time_zone !== undefined && !/^[A-Za-z0-9_+/-]{1,64}$/.test(form.time_zone)) return problems.invalidRequest
    const offer = { challengeId: form.challenge_id, algorithm: form.algorithm, publicKey, proof }
    const proven = await enroller.prove(offer)
    if (isProblem(proven)) return proven
    const refused = await tryCode(proven.challenge, form.code)
    return refused ?? finish(offer, proven, form.time_zone)
  }

  const settle = async (work: () => Promise<Outbound | Problem>): Promise<Outbound> => {
    try {
      const given = await work()
      return isProblem(given) ? writeProblem(given) : given
    } catch (error) {
      failed(error)
      return writeProblem({ ...problems.unavailable, retryAfterMs: 1000 })
    }
  }

  const exchange = (inbound: Inbound, source: string): Promise<Outbound> =>
    settle(async () => {
      const path = inbound.target.split('?', 1)[0]
      if (path !== `${BASE}send-email-code` && path !== `${BASE}confirm-email-code`) return problems.notFound
      const body = await readForm(inbound)
      if (!(body instanceof Uint8Array)) return body
      return path === `${BASE}send-email-code` ? sendCode(body, source) : confirmCode(body)
    })

  return {
    owns: (target) => target.startsWith(BASE),
    exchange,
    handle: (request, from = {}) =>
      serveRequest(request, from, async (inbound) => {
        const isPreflight = inbound.method === 'OPTIONS'
        const out = isPreflight ? cors.preflight(inbound) : await exchange(inbound, sourceOf(inbound.remoteAddress))
        return { ...out, headers: { ...cors.headers(inbound.header('origin')), ...out.headers } }
      }),
    async challenge(userId) {
      return (await enroller.challenge(textOf(userId, 'userId'), LIFETIME_MS))?.id ?? null
    },
    async confirm(userId, offered) {
      const { challengeId, algorithm, publicKey, proof } = optionsOf(offered, 'confirm')
      const offer = {
        challengeId,
        algorithm,
        publicKey: copyOf(publicKey, 'publicKey'),
        proof: copyOf(proof, 'proof')
      }
      const { status, headers, body } = await settle(async () => {
        const proven = await enroller.prove(offer)
        if (isProblem(proven)) return proven
        const { email, codeHash } = proven.challenge
        // A challenge that waits for a code is not to be had without it, nor one of another user.
        return email !== userId || codeHash !== undefined ? problems.invalidCode : finish(offer, proven)
      })
      return new Response(body as Uint8Array<ArrayBuffer>, { status, headers: { ...cors.headers(null), ...headers } })
    }
  }
}
