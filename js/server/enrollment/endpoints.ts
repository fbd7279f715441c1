// SPDX-License-Identifier: MIT
// Enrolment by an e-mail code (R82 to R86), and enrolment for an application with its own login.

import { ENROLLMENT_PATH, foldCode } from '../../common/codes.ts'
import type { BytesLike, Core } from '../../common/types.ts'
import { badArgument, copyOf, flagOf, integerOf, labelOf, optionsOf, textOf } from '../../core/args.ts'
import { loadCore } from '../../core/index.ts'
import { sourceOf } from '../exchange/rates.ts'
import { createCors } from '../http/cors.ts'
import { serveRequest } from '../http/web-handler.ts'
import { GUEST } from '../stores/common.ts'
import { memoryCodeStore } from '../stores/memory/index.ts'
import { usualHeaders } from '../support/answer-headers.ts'
import { callHook, checkSigner, functionOf, partOf } from '../support/checks.ts'
import { isText, pathOf } from '../support/encoding.ts'
import { createFaultLog } from '../support/fault-log.ts'
import { parseFlatObject } from '../support/flat-json.ts'
import { createGatewayClock } from '../support/gateway-clock.ts'
import { gatewayOptionsOf } from '../support/option-names.ts'
import { NO_ORIGIN, readOrigins } from '../support/origins.ts'
import type {
  CodeStore,
  CorsOptions,
  From,
  Inbound,
  Mounted,
  Outbound,
  ServerSigner,
  SessionRecord,
  SessionStore
} from '../types.ts'
import { createCodeMail, createMailedStepUp } from './code-mail.ts'
import { CHALLENGE_LIFETIME_MS, createEmailCodes } from './email-codes.ts'
import { createEnroller, type EnrollmentOffer, type EnrollmentProblem, type ProvenOffer, problems } from './enroller.ts'
import { isProblem, readConfirmation, readForm, writeChallenge, writeProblem } from './forms.ts'
import { createGuestChallenge, MAX_GUESTS } from './guests.ts'
import { createKeyedHashes, type Pepper } from './keyed-hashes.ts'
import { type EnrollmentLimits, readEnrollmentLimits } from './limits.ts'
import { createMails, foldAddress, isEmail, type Mail, nameOfSource } from './mails.ts'

/** The options of `enrollment`. Mounted in a gateway, it leaves pages of other origins to the gateway. */
export type EnrollmentOptions = CorsOptions & {
  label: string
  signer: ServerSigner
  sessions: SessionStore
  /** Keeps challenges and counters. Default: `memoryCodeStore()`. */
  codes?: CodeStore
  /** Sends a mail. The answer does not wait for it, since it must not show which addresses a mail server accepts. */
  mailer: (mail: Mail) => unknown
  /** The number of digits of a code, 6 to 12. Default: 6. */
  digits?: number
  /**
   * The secret that codes and sources are hashed with in the stores, the same on all gateways: at least 16 bytes, or a
   * signer of `serverKeyFile`, which derives one. The first of a list makes hashes, and all of it recognise them; while
   * a server key is changed, list the signers of the present, the earlier and the next key. Required where `signer`
   * derives no secret and other processes share `codes`. Default: `signer`.
   */
  pepper?: Pepper | readonly Pepper[]
  /**
   * The most mails an hour, of all addresses together. Over it, an address without a session still gets its answer and
   * no mail, so nobody can tell which addresses have one. `mails().held` counts them. Default: 5000.
   */
  mailsPerHour?: number
  /**
   * How often a person or a network may ask and guess. `development` lets a developer sign in again and again: 1000 of
   * each, and it is refused where NODE_ENV is `production`. Default: the limits of EnrollmentLimits.
   */
  enrollmentLimits?: EnrollmentLimits | 'development'
  /**
   * Where the paths of the enrolment begin. Everything below it is the enrolment's. Clients need the same option. Default:
   * `/api/v1/public/auth`.
   */
  enrollmentPath?: string
  /** Returns the user of an address. Default: the address with A to Z in lower case. */
  userIdOf?: (email: string) => string
  /**
   * Returns the address of a user, or undefined when there is none. A code to this address confirms a new key of the
   * user's session. Default: the user's id where it is an address; none with a `userIdOf` of your own.
   */
  emailOf?: (userId: string) => string | undefined
  /**
   * The most active sessions of a user, 1 to 1000000. A further one revokes the session that was seen least recently.
   * Default: 8.
   */
  maxSessions?: number
  /**
   * Whether anybody may enrol without a login, as a guest. The user id is `guest:` and 22 characters. Default: false.
   */
  guests?: boolean
  /** The most active guests of all, 1 to 16777216. Beyond it there are no new ones. Default: 65536. */
  maxGuests?: number
  /**
   * Is called when a guest has become a user, before the answer leaves: move what belongs to the guest. The guest's session
   * has ended. An exception refuses the enrolment. The client may then confirm again, which calls this again. So moving
   * twice must do no harm.
   */
  onUpgraded?: (event: { guestUserId: string; userId: string; session: SessionRecord }) => unknown
  /**
   * Is called for each enrolment before its answer leaves. An exception refuses the enrolment. `replaced` has the ids of
   * the sessions that the new one has revoked: tell the user of them. `email` is the user id of a guest, and of a user of
   * the application's own login.
   */
  onEnrolled?: (event: {
    session: SessionRecord
    email: string
    timeZone?: string
    replaced: readonly string[]
  }) => unknown
  /**
   * Is called with the fault behind an answer: of the mailer, of `onEnrolled` or of a store. Default: `console.error`
   * prints it, escaped.
   */
  onFailure?: (error: unknown) => void
  /** Returns the time in Unix milliseconds. Default: `Date.now`. */
  now?: () => number
  /** The core. Default: `loadCore()`. */
  core?: Core | Promise<Core>
}

/** The enrolment of `enrollment()`. Mount it in a gateway, or call `handle`. */
export type Enrollment = Mounted & {
  /** Answers a request to one of the endpoints. */
  handle(request: Request, from?: From): Promise<Response>
  /** Returns how many mails were sent, held back over `mailsPerHour`, or refused by the mailer, since the start. */
  mails(): { sent: number; held: number; failed: number }
  /**
   * Creates a challenge for a user that an application with its own login vouches for. Resolves to its id, or to null
   * when the code store is full. Rejects with ERR_INVALID_TEXT when the user id cannot be signed.
   */
  challenge(userId: string): Promise<string | null>
  /** Enrols a key for that user. Resolves to the Response for the client, which must not be changed. */
  confirm(
    userId: string,
    offer: {
      challengeId: string
      algorithm: string
      publicKey: BytesLike
      proof: BytesLike
      /** The guest's session that becomes the user's, and its signature: `guest` of the client's Registration. */
      guest?: { sessionId: string; proof: BytesLike }
    }
  ): Promise<Response>
}

/** A beginning of raw targets. They are compared as they arrive, so it has no segment that a client would rewrite. */
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/
/** Eight sessions of a user hold an eighth of a replay store at most. */
const MAX_SESSIONS = 8
/** Answers the request of one endpoint. `isOpaque`: it comes from a page without an origin. */
type Step = (body: Uint8Array, source: string, isOpaque: boolean) => Promise<Outbound | EnrollmentProblem>

const GUESTS_MOST = 2 ** 24

function checkOptions(options: EnrollmentOptions): void {
  const { label, signer, sessions, codes, mailer, digits, mailsPerHour, maxSessions, guests, maxGuests } =
    gatewayOptionsOf(options, 'enrollment')
  labelOf(label)
  checkSigner(signer)
  partOf(sessions, ['create', 'listByUser'], 'sessions must be a SessionStore')
  if (codes !== undefined) partOf(codes, ['create', 'get', 'take', 'giveBack', 'redeem'], 'codes must be a CodeStore')
  if (typeof mailer !== 'function') throw badArgument('mailer must be a function')
  if (digits !== undefined) integerOf(digits, 6, 12, 'digits')
  if (mailsPerHour !== undefined) integerOf(mailsPerHour, 1, 1_000_000, 'mailsPerHour')
  if (maxSessions !== undefined) integerOf(maxSessions, 1, 1_000_000, 'maxSessions')
  if (maxGuests !== undefined) integerOf(maxGuests, 1, GUESTS_MOST, 'maxGuests')
  if (guests !== undefined) flagOf(guests, 'guests')
  const { enrollmentPath } = options
  if (enrollmentPath !== undefined && !(typeof enrollmentPath === 'string' && PATH.test(enrollmentPath)))
    throw badArgument('enrollmentPath must be a path that begins with a slash and does not end with one')
  if (guests && !sessions.guests) throw badArgument('guests: the session store must bound them (SessionStore.guests)')
  for (const name of ['userIdOf', 'emailOf', 'onEnrolled', 'onUpgraded', 'onFailure', 'now'] as const)
    functionOf(options[name], name)
}

/**
 * Creates the endpoints that register a device key after an e-mail code. Pass them to `createGateway`, or mount their
 * `handle`. They refuse requests with problem+json.
 *
 * @throws ERR_INVALID_LABEL or ERR_INVALID_ARGUMENT when an option is wrong.
 *
 * @example
 * ```ts
 * const mailer = ({ email, code }) => sendMail(email, code)
 * const enrolling = enrollment({ label: 'myapp', signer, sessions, codes, mailer })
 * const gateway = createGateway({ label: 'myapp', signer, sessions, replay, routes, enrollment: enrolling })
 * ```
 */
export function enrollment(options: EnrollmentOptions): Enrollment {
  checkOptions(options)
  const { codes = memoryCodeStore(), userIdOf = foldAddress, onEnrolled, onUpgraded, onFailure } = options
  const clock = createGatewayClock(options.now)
  const cors = createCors({ ...options, origins: readOrigins(options), answerHeaders: usualHeaders })
  const core = async () => options.core ?? loadCore()
  const { maxSessions = MAX_SESSIONS, enrollmentPath = ENROLLMENT_PATH } = options
  const maxGuests = options.guests ? (options.maxGuests ?? MAX_GUESTS) : undefined
  const enroller = createEnroller({ ...options, codes, clock, userIdOf, core, maxSessions, maxGuests })
  const hashes = createKeyedHashes({ ...options, codes })
  const bounds = readEnrollmentLimits(options.enrollmentLimits)
  const emailCodes = createEmailCodes({ ...options, codes, clock, hashes, bounds })

  const logFault = createFaultLog()
  const reportFailure = (error: unknown): void =>
    onFailure ? callHook(() => onFailure(error)) : logFault('the enrolment failed', error)
  const mails = createMails({ ...options, codes, clock, hashes, bounds, userIdOf, reportFailure })
  const mailCode = createCodeMail({ mails, emailCodes, enroller, hashes })
  const guestChallenge = createGuestChallenge({ codes, clock, hashes, bounds, enroller })
  // By default a user's id is an address. An id of the application's own says nothing about one.
  const emailOf = options.emailOf ?? (options.userIdOf ? () => undefined : (userId: string) => userId)

  const sendCode: Step = async (body, source) => {
    const email = parseFlatObject(body, ['email'])?.email
    if (email === undefined || !isEmail(email)) return problems.invalidRequest
    return writeChallenge(await mailCode(email, source, { purpose: 'enroll' }))
  }

  const challengeGuest: Step = async (body, source, isOpaque) =>
    parseFlatObject(body, []) ? writeChallenge(await guestChallenge(source, isOpaque)) : problems.invalidRequest

  const finish = async (
    offer: EnrollmentOffer,
    proven: ProvenOffer,
    { source, timeZone }: { source?: string; timeZone?: string | undefined } = {}
  ): Promise<Outbound | EnrollmentProblem> => {
    const enrolled = await enroller.enroll(offer, proven, source)
    if (isProblem(enrolled)) return enrolled
    const { session, replaced, out } = enrolled
    const { guest } = proven
    if (guest) await onUpgraded?.({ guestUserId: guest.userId, userId: session.userId, session })
    const zone = timeZone === undefined ? {} : { timeZone }
    await onEnrolled?.({ session, email: proven.challenge.email, ...zone, replaced })
    return out
  }

  const confirmCode: Step = async (body, source) => {
    const form = readConfirmation(body, ['code'], ['guest_session_id', 'guest_proof'])
    if (!form || !isText(foldCode(form.texts.code))) return problems.invalidRequest
    const proven = await enroller.checkProof(form.offer)
    if (isProblem(proven)) return proven
    const refused = await emailCodes.check(proven.challenge, form.texts.code, source)
    return refused ?? finish(form.offer, proven, { source: nameOfSource(hashes, source), timeZone: form.timeZone })
  }

  const confirmGuest: Step = async (body, source) => {
    const form = readConfirmation(body, [], [])
    if (!form) return problems.invalidRequest
    const proven = await enroller.checkProof(form.offer)
    if (isProblem(proven)) return proven
    // A challenge that an application has made for a user of its own needs no code either, and is none of a guest.
    if (proven.challenge.email !== GUEST + proven.challenge.id) return problems.invalidCode
    return finish(form.offer, proven, { source: nameOfSource(hashes, source), timeZone: form.timeZone })
  }

  const base = `${enrollmentPath}/`
  const steps = new Map<string, Step>([
    [`${base}send-email-code`, sendCode],
    [`${base}confirm-email-code`, confirmCode]
  ])
  if (options.guests) {
    steps.set(`${base}guest-challenge`, challengeGuest)
    steps.set(`${base}confirm-guest`, confirmGuest)
  }

  const settle = async (work: () => Promise<Outbound | EnrollmentProblem>): Promise<Outbound> => {
    try {
      const outcome = await work()
      return isProblem(outcome) ? writeProblem(outcome) : outcome
    } catch (error) {
      reportFailure(error)
      return writeProblem({ ...problems.unavailable, retryAfterMs: 1000 })
    }
  }

  const exchange = (inbound: Inbound, source: string): Promise<Outbound> =>
    settle(async () => {
      const step = steps.get(pathOf(inbound.target))
      if (!step) return problems.notFound
      const body = await readForm(inbound)
      return body instanceof Uint8Array ? step(body, source, inbound.header('origin') === NO_ORIGIN) : body
    })

  return {
    owns: (target) => target.startsWith(base),
    follow: clock.follow,
    userIdOf,
    takesGuests: options.guests === true,
    exchange,
    mails: mails.counts,
    stepUp: createMailedStepUp({ mailCode, emailCodes, codes, clock, emailOf }),
    handle: (request, from = {}) =>
      serveRequest(request, from, async (inbound) => {
        const isPreflight = inbound.method === 'OPTIONS'
        const out = isPreflight ? cors.preflight(inbound) : await exchange(inbound, sourceOf(inbound.remoteAddress))
        return { ...out, headers: { ...cors.headers(inbound.header('origin')), ...out.headers } }
      }),
    async challenge(userId) {
      textOf(userId, 'userId')
      if (options.guests && userId.startsWith(GUEST)) throw badArgument(`userId: ${GUEST} begins the ids of guests`)
      return (await enroller.challenge(userId, CHALLENGE_LIFETIME_MS))?.id ?? null
    },
    async confirm(userId, offered) {
      const { challengeId, algorithm, publicKey, proof, guest } = optionsOf(offered, 'confirm')
      const offer = {
        challengeId,
        algorithm,
        publicKey: copyOf(publicKey, 'publicKey'),
        proof: copyOf(proof, 'proof'),
        ...(guest ? { guest: { sessionId: guest.sessionId, proof: copyOf(guest.proof, 'guest.proof') } } : {})
      }
      const { status, headers, body } = await settle(async () => {
        const proven = await enroller.checkProof(offer)
        if (isProblem(proven)) return proven
        const { email, codeHash } = proven.challenge
        // Refuses a challenge of another user, and one that needs a code.
        return email !== userId || codeHash !== undefined ? problems.invalidCode : finish(offer, proven)
      })
      return new Response(body as Uint8Array<ArrayBuffer>, { status, headers: { ...cors.headers(null), ...headers } })
    }
  }
}
