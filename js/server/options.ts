// SPDX-License-Identifier: MIT
// A gateway's options, read once and checked before anything starts.

import { functionOf, integerOf, labelOf, optionsOf, partOf, refuse, signerOf } from './checks.ts'
import type { GatewayOptions, Limits } from './types.ts'

const MiB = 1024 * 1024
const DAY_MS = 86_400_000

const readLimits = (limits: Limits) => {
  const payloadBytes = integerOf(limits.payloadBytes ?? 8 * MiB, 'limits.payloadBytes', 0, 1024 * MiB)
  const json = limits.jsonPayloadBytes ?? Math.min(payloadBytes, MiB)
  const milliseconds = (name: 'envelopeMs' | 'bodyMs' | 'idleMs', value: number) =>
    integerOf(limits[name] ?? value, `limits.${name}`, 1, DAY_MS)
  return {
    payloadBytes,
    jsonPayloadBytes: integerOf(json, 'limits.jsonPayloadBytes', 0, payloadBytes),
    envelopeMs: milliseconds('envelopeMs', 10_000),
    bodyMs: milliseconds('bodyMs', 60_000),
    idleMs: milliseconds('idleMs', 10_000),
    bufferedBytes: integerOf(limits.bufferedBytes ?? 256 * MiB, 'limits.bufferedBytes', 0, Number.MAX_SAFE_INTEGER),
    storeMs: integerOf(limits.storeMs ?? 1000, 'limits.storeMs', 1, 1000)
  }
}

const checkParts = (options: GatewayOptions): void => {
  const { label, signer, sessions, replay, routes, enrollment } = optionsOf(options, 'createGateway')
  labelOf(label)
  signerOf(signer)
  partOf(sessions, ['get', 'create', 'revoke', 'listByUser'], 'sessions is a SessionStore')
  partOf(replay, ['reserve'], 'replay is a ReplayStore')
  optionsOf(routes, 'createGateway: routes')
  if (enrollment !== undefined) partOf(enrollment, ['owns', 'exchange'], 'enrollment: enrollment() makes one')
  for (const name of ['identify', 'mapTarget', 'onStage', 'onRefusal', 'now'] as const) functionOf(options[name], name)
}

const NINETY_DAYS_MS = 90 * DAY_MS

const checkManifest = ({ serverKeys }: GatewayOptions, nowMs: number): void => {
  if (serverKeys === undefined) return
  if (!Array.isArray(optionsOf(serverKeys, 'serverKeys').keys)) throw refuse('serverKeys: keys is a list')
  integerOf(serverKeys.serial, 'serverKeys.serial', 0, Number.MAX_SAFE_INTEGER)
  for (const key of serverKeys.keys) {
    const { id, publicKey, notBefore = 0, notAfter } = optionsOf(key, 'serverKeys: a key')
    if (typeof id !== 'string' || publicKey?.length !== 32) throw refuse('serverKeys: id and publicKey (32 bytes)')
    integerOf(notBefore, 'serverKeys: notBefore', 0, Number.MAX_SAFE_INTEGER)
    integerOf(notAfter, 'serverKeys: notAfter, within 90 days', notBefore, nowMs + NINETY_DAYS_MS)
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
    pastMs: integerOf(window.pastMs ?? 60_000, 'window.pastMs', 1, DAY_MS),
    futureMs: integerOf(window.futureMs ?? 10_000, 'window.futureMs', 1, DAY_MS),
    limits: readLimits(limits),
    handlerTimeoutMs: integerOf(handlerTimeoutMs, 'handlerTimeoutMs', 1, DAY_MS),
    rates: { ...rates, perSource: rates.perSource ?? 2000, perSession: rates.perSession ?? 2000 }
  }
}

/** What readOptions gives. */
export type Settings = ReturnType<typeof readOptions>
