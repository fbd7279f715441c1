// SPDX-License-Identifier: MIT
// Checks a gateway's options once, before anything starts.

import { DAY_MS, HOUR_MS, MIB } from '../common/protocol.ts'
import { badArgument, integerOf, labelOf, optionsOf } from '../core/args.ts'
import { PHASES } from './migration-phase.ts'
import { readAnswerHeaders } from './support/answer-headers.ts'
import { checkSigner, functionOf, isBytes, partOf } from './support/checks.ts'
import { gatewayOptionsOf } from './support/option-names.ts'
import { readOrigins } from './support/origins.ts'
import type { GatewayOptions, GatewayWarning, Limits, MigrationPhase } from './types.ts'

/** The bytes of a request in its body beside its payload, roughly. */
const BODY_SLACK = 4096

const KEY_NAMES = ['id', 'publicKey', 'notBefore', 'notAfter']

const THIRTY_DAYS_MS = 30 * DAY_MS
const NINETY_DAYS_MS = 90 * DAY_MS

function readLimits(limits: Limits) {
  const payloadBytes = integerOf(limits.payloadBytes ?? 8 * MIB, 0, 1024 * MIB, 'limits.payloadBytes')
  const json = limits.jsonPayloadBytes ?? Math.min(payloadBytes, MIB)
  const bufferedBytes = integerOf(limits.bufferedBytes ?? 256 * MIB, 0, Number.MAX_SAFE_INTEGER, 'limits.bufferedBytes')
  // A share has room for one body at least, in the longest form of a payload.
  const oneBody = Math.ceil((payloadBytes * 4) / 3) + BODY_SLACK
  const share = (name: 'sourceBufferedBytes' | 'sessionBufferedBytes', part: number) => {
    const usual = Math.min(bufferedBytes, Math.max(Math.floor(bufferedBytes / part), oneBody))
    return integerOf(limits[name] ?? usual, 0, bufferedBytes, `limits.${name}`)
  }
  const milliseconds = (name: 'envelopeMs' | 'bodyMs' | 'idleMs', value: number) =>
    integerOf(limits[name] ?? value, 1, DAY_MS, `limits.${name}`)
  const read = {
    payloadBytes,
    jsonPayloadBytes: integerOf(json, 0, payloadBytes, 'limits.jsonPayloadBytes'),
    envelopeMs: milliseconds('envelopeMs', 10_000),
    bodyMs: milliseconds('bodyMs', 60_000),
    idleMs: milliseconds('idleMs', 10_000),
    bufferedBytes,
    sourceBufferedBytes: share('sourceBufferedBytes', 4),
    sessionBufferedBytes: share('sessionBufferedBytes', 16),
    inFlight: integerOf(limits.inFlight ?? 128, 1, 1_000_000, 'limits.inFlight'),
    sourceInFlight: integerOf(limits.sourceInFlight ?? 64, 1, 1_000_000, 'limits.sourceInFlight'),
    sourceWaiting: integerOf(limits.sourceWaiting ?? 256, 0, 1_000_000, 'limits.sourceWaiting'),
    sessionStreams: integerOf(limits.sessionStreams ?? 16, 1, 1_000_000, 'limits.sessionStreams'),
    streams: integerOf(limits.streams ?? 10_000, 1, 1_000_000, 'limits.streams'),
    heartbeatMs: integerOf(limits.heartbeatMs ?? 10_000, 1, 10_000, 'limits.heartbeatMs'),
    streamMs: integerOf(limits.streamMs ?? 900_000, 1, DAY_MS, 'limits.streamMs'),
    stalledMs: integerOf(limits.stalledMs ?? 30_000, 1, DAY_MS, 'limits.stalledMs'),
    storeMs: integerOf(limits.storeMs ?? 1000, 1, 1000, 'limits.storeMs')
  }
  optionsOf(limits, 'limits', Object.keys(read))
  return read
}

function readSessionLife(given: NonNullable<GatewayOptions['sessionLife']>) {
  const names = ['idleMs', 'guestIdleMs', 'revokedMs']
  const { idleMs, guestIdleMs = THIRTY_DAYS_MS, revokedMs = NINETY_DAYS_MS } = optionsOf(given, 'sessionLife', names)
  return {
    idleMs:
      idleMs === undefined
        ? Number.POSITIVE_INFINITY
        : integerOf(idleMs, HOUR_MS, Number.MAX_SAFE_INTEGER, 'sessionLife.idleMs'),
    guestIdleMs: integerOf(guestIdleMs, HOUR_MS, Number.MAX_SAFE_INTEGER, 'sessionLife.guestIdleMs'),
    revokedMs: integerOf(revokedMs, DAY_MS, Number.MAX_SAFE_INTEGER, 'sessionLife.revokedMs')
  }
}

function checkParts(options: GatewayOptions): void {
  const { label, signer, sessions, replay, events, routes, enrollment } = gatewayOptionsOf(options, 'createGateway')
  labelOf(label)
  checkSigner(signer)
  if (options.keySigner !== undefined) checkSigner(options.keySigner)
  partOf(sessions, ['get', 'create', 'revoke', 'listByUser'], 'sessions must be a SessionStore')
  partOf(replay, ['reserve'], 'replay must be a ReplayStore')
  if (events !== undefined) partOf(events, ['append', 'read', 'drop', 'watch'], 'events must be an EventStore')
  optionsOf(routes, 'createGateway: routes')
  if (enrollment !== undefined)
    partOf(enrollment, ['owns', 'exchange'], 'enrollment must be the result of enrollment()')
  if (enrollment?.takesGuests && !replay.shares)
    throw badArgument('guests: the replay store must bound them (ReplayStore.shares)')
  const { rotation = 'confirm', stepUp } = options
  if (rotation !== 'confirm' && rotation !== 'trusted') throw badArgument('rotation must be confirm or trusted')
  functionOf(stepUp, 'stepUp')
  if (rotation === 'trusted' && stepUp) throw badArgument("stepUp is never asked with rotation: 'trusted'")
  optionsOf(options.window ?? {}, 'window', ['pastMs', 'futureMs'])
  optionsOf(options.rates ?? {}, 'rates', ['perSource', 'perSourceFailures', 'perSession', 'perUser', 'perType'])
  optionsOf(options.rates?.perType ?? {}, 'rates.perType')
  optionsOf(options.limits ?? {}, 'limits')
  for (const name of [
    'identify',
    'mapTarget',
    'onStage',
    'onRefusal',
    'onWarning',
    'onRotated',
    'now',
    'schedule',
    'actionSecret'
  ] as const)
    functionOf(options[name], name)
}

function runLater(run: () => void, afterMs: number): () => void {
  const timer = setTimeout(run, afterMs)
  return () => clearTimeout(timer)
}

function emitWarning({ message }: GatewayWarning): void {
  process.emitWarning(message, { type: 'CountersignWarning', code: 'COUNTERSIGN_CLOCK_AHEAD' })
}

function checkManifest({ serverKeys }: GatewayOptions, nowMs: number): void {
  if (serverKeys === undefined) return
  if (!Array.isArray(optionsOf(serverKeys, 'serverKeys', ['serial', 'keys']).keys))
    throw badArgument('serverKeys: keys must be an array')
  integerOf(serverKeys.serial, 0, Number.MAX_SAFE_INTEGER, 'serverKeys.serial')
  for (const key of serverKeys.keys) {
    const { id, publicKey, notBefore = 0, notAfter } = optionsOf(key, 'serverKeys: a key', KEY_NAMES)
    if (typeof id !== 'string' || !isBytes(publicKey, 32))
      throw badArgument('serverKeys: each key must have an id and a publicKey of 32 bytes')
    integerOf(notBefore, 0, Number.MAX_SAFE_INTEGER, 'serverKeys: notBefore')
    integerOf(notAfter, notBefore, nowMs + NINETY_DAYS_MS, 'serverKeys: notAfter, within 90 days')
  }
}

function phaseOf({ phase = 'enforce', endpoint, legacy }: GatewayOptions): MigrationPhase {
  if (!PHASES.includes(phase)) throw badArgument(`phase must be one of ${PHASES.join(', ')}`)
  functionOf(legacy, 'legacy')
  // Without `endpoint`, any JSON that is posted to any path would count as a message.
  if (phase !== 'enforce' && endpoint === undefined) throw badArgument('phase: pass endpoint, the path of frames')
  return phase
}

// What lies below the path of the enrolment never reaches a route.
function checkPlaces({ enrollment, endpoint, routes }: GatewayOptions): void {
  const paths = Object.keys(routes).map((route) => route.slice(route.indexOf(' ') + 1))
  const lost = [endpoint ?? '', ...paths].find((path) => enrollment?.owns(path))
  if (lost !== undefined) throw badArgument(`${lost} lies below the path of the enrolment (enrollmentPath)`)
}

/** Checks options and fills in defaults. Throws ERR_INVALID_LABEL or ERR_INVALID_ARGUMENT with a hint. */
export function readOptions(options: GatewayOptions) {
  checkParts(options)
  checkPlaces(options)
  checkManifest(options, options.now?.() ?? Date.now())
  const { handlerTimeoutMs = 10_000, compatible = false } = options
  if (options.endpoint !== undefined && !/^\/[^?#]*$/.test(options.endpoint))
    throw badArgument('endpoint must be a path that begins with a slash')
  const window = options.window ?? {}
  const rates = options.rates ?? {}
  const limits = options.limits ?? {}
  return {
    ...options,
    compatible: compatible === true,
    phase: phaseOf(options),
    rotation: options.rotation ?? 'confirm',
    schedule: options.schedule ?? runLater,
    onWarning: options.onWarning ?? emitWarning,
    origins: readOrigins(options),
    answerHeaders: readAnswerHeaders(options.answerHeaders),
    pastMs: integerOf(window.pastMs ?? 60_000, 1, DAY_MS, 'window.pastMs'),
    futureMs: integerOf(window.futureMs ?? 10_000, 1, DAY_MS, 'window.futureMs'),
    limits: readLimits(limits),
    sessionLife: readSessionLife(options.sessionLife ?? {}),
    handlerTimeoutMs: integerOf(handlerTimeoutMs, 1, DAY_MS, 'handlerTimeoutMs'),
    rates: {
      ...rates,
      perSource: rates.perSource ?? 2000,
      perSourceFailures: rates.perSourceFailures ?? 600,
      perSession: rates.perSession ?? 2000
    }
  }
}

/** The checked options of a gateway. */
export type GatewaySettings = ReturnType<typeof readOptions>
