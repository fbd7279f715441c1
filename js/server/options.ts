// SPDX-License-Identifier: MIT
// A gateway's options, read once and checked before anything starts.

import { CountersignError } from '../errors.ts'
import type { GatewayOptions, Limits } from './types.ts'

const MiB = 1024 * 1024
const DAY_MS = 86_400_000

const refuse = (detail: string): CountersignError => new CountersignError('ERR_INVALID_ARGUMENT', { detail })

const integer = (value: unknown, name: string, least: number, most: number): number => {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
  throw refuse(`${name} is an integer from ${least} to ${most}`)
}

const readLimits = (limits: Limits) => {
  const payloadBytes = integer(limits.payloadBytes ?? 8 * MiB, 'limits.payloadBytes', 0, 1024 * MiB)
  const json = limits.jsonPayloadBytes ?? Math.min(payloadBytes, MiB)
  const milliseconds = (name: 'envelopeMs' | 'bodyMs' | 'idleMs', value: number) =>
    integer(limits[name] ?? value, `limits.${name}`, 1, DAY_MS)
  return {
    payloadBytes,
    jsonPayloadBytes: integer(json, 'limits.jsonPayloadBytes', 0, payloadBytes),
    envelopeMs: milliseconds('envelopeMs', 10_000),
    bodyMs: milliseconds('bodyMs', 60_000),
    idleMs: milliseconds('idleMs', 10_000),
    bufferedBytes: integer(limits.bufferedBytes ?? 256 * MiB, 'limits.bufferedBytes', 0, Number.MAX_SAFE_INTEGER),
    storeMs: integer(limits.storeMs ?? 1000, 'limits.storeMs', 1, 1000)
  }
}

const hasMethods = (value: unknown, names: readonly string[]): boolean =>
  typeof value === 'object' && value !== null && names.every((name) => typeof Reflect.get(value, name) === 'function')

const checkParts = ({ label, signer, sessions, replay, routes }: GatewayOptions): void => {
  if (typeof label !== 'string' || !/^[a-z][a-z0-9.-]{0,31}$/.test(label))
    throw new CountersignError('ERR_INVALID_LABEL')
  if (!hasMethods(signer, ['sign']) || signer.publicKey?.length !== 32 || typeof signer.keyId !== 'string') {
    throw refuse('signer has keyId, publicKey (32 bytes) and sign(); serverKeyFile makes one')
  }
  if (!hasMethods(sessions, ['get', 'create', 'revoke', 'listByUser'])) throw refuse('sessions is a SessionStore')
  if (!hasMethods(replay, ['reserve'])) throw refuse('replay is a ReplayStore')
  if (typeof routes !== 'object' || routes === null) throw refuse('routes is an object of handlers')
}

const NINETY_DAYS_MS = 90 * DAY_MS

const checkManifest = ({ serverKeys }: GatewayOptions, nowMs: number): void => {
  if (!serverKeys) return
  integer(serverKeys.serial, 'serverKeys.serial', 0, Number.MAX_SAFE_INTEGER)
  for (const { id, publicKey, notBefore = 0, notAfter } of serverKeys.keys) {
    if (typeof id !== 'string' || publicKey?.length !== 32) throw refuse('serverKeys: id and publicKey (32 bytes)')
    integer(notBefore, 'serverKeys: notBefore', 0, Number.MAX_SAFE_INTEGER)
    integer(notAfter, 'serverKeys: notAfter, within 90 days', notBefore, nowMs + NINETY_DAYS_MS)
  }
}

/** readOptions checks options and fills in defaults; throws ERR_INVALID_LABEL or ERR_INVALID_ARGUMENT with a hint. */
export const readOptions = (options: GatewayOptions) => {
  checkParts(options)
  checkManifest(options, options.now?.() ?? Date.now())
  const { window = {}, rates = {}, limits = {}, handlerTimeoutMs = 10_000, compatible = false, origins = [] } = options
  return {
    ...options,
    compatible: compatible === true,
    origins,
    pastMs: integer(window.pastMs ?? 60_000, 'window.pastMs', 1, DAY_MS),
    futureMs: integer(window.futureMs ?? 10_000, 'window.futureMs', 1, DAY_MS),
    limits: readLimits(limits),
    handlerTimeoutMs: integer(handlerTimeoutMs, 'handlerTimeoutMs', 1, DAY_MS),
    rates: { ...rates, perSource: rates.perSource ?? 2000, perSession: rates.perSession ?? 2000 }
  }
}

/** What readOptions gives. */
export type Settings = ReturnType<typeof readOptions>
