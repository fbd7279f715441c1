// SPDX-License-Identifier: MIT
// Detects the kind of some data and shows its content. Nothing here is verified, and the output says so.

import { createHash } from 'node:crypto'
import { tryDecodeText } from '../common/text.ts'
import type { Bytes, Core } from '../common/types.ts'
import { loadCore } from '../core/index.ts'
import { loadKnockCore } from '../profiles/knock/core.ts'
import { CliError, hexOf, printable, spellings } from './input.ts'

/** A recognised input: its kind, and its content as rows of name and value. */
export type Inspection = {
  kind:
    | 'frame'
    | 'signing input'
    | 'json request'
    | 'json answer'
    | 'stats event'
    | 'action proof'
    | 'knock packet'
    | 'knock datagram'
  rows: [name: string, value: string][]
  /** The bytes that were parsed. */
  bytes: Bytes
  /** The parsed content, for verification. */
  value: unknown
}

type Recognizer = (core: Core, bytes: Bytes) => Inspection | undefined | Promise<Inspection | undefined>

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

// A JSON message may have any text in place of a number, such as one that moves a terminal's cursor.
function timeRow(name: string, ms: unknown): [string, string] {
  const date = orUndefined(() => new Date(ms as number).toISOString())
  return [name, date && typeof ms === 'number' ? `${ms} (${date})` : printable(String(ms))]
}

function rowsOf(fields: object): [string, string][] {
  return Object.entries(fields).map(([given, value]) => {
    const name = printable(given)
    if (value instanceof Uint8Array) return [name, hexOf(value)]
    if (given === 'timestampMs') return timeRow(name, value)
    return [name, printable(typeof value === 'object' ? JSON.stringify(value) : String(value))]
  })
}

function payloadRows(payload: Uint8Array, hash: Uint8Array | undefined): [string, string][] {
  const text = tryDecodeText(payload)
  const shown = text === undefined ? hexOf(payload) : printable(text.length > 400 ? `${text.slice(0, 400)}…` : text)
  const made = createHash('sha256').update(payload).digest()
  const fits =
    hash === undefined ? [] : [['payload hash', made.equals(hash) ? 'fits' : `does NOT fit: ${made.toString('hex')}`]]
  return [
    ['payload', `${payload.length} bytes${payload.length > 0 ? `: ${shown}` : ''}`],
    ...(fits as [string, string][])
  ]
}

const frame: Recognizer = (core, bytes) => {
  const parts = orUndefined(() => core.parseFrame(bytes))
  const fields = parts && orUndefined(() => core.parseSigningInput(parts.signingInput))
  if (!parts || !fields) return undefined
  const hash = 'payloadHash' in fields ? fields.payloadHash : undefined
  const rows: [string, string][] = [
    ...rowsOf(fields),
    ['keyId', parts.keyId === '' ? '(none: a request)' : printable(parts.keyId)],
    ['signature', hexOf(parts.signature)],
    ['signing input', hexOf(parts.signingInput, 1024)],
    ...payloadRows(parts.payload, hash)
  ]
  return { kind: 'frame', rows, bytes, value: { parts, fields } }
}

const signingInput: Recognizer = (core, bytes) => {
  const fields = orUndefined(() => core.parseSigningInput(bytes))
  return fields && { kind: 'signing input', rows: rowsOf(fields), bytes, value: fields }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const json: Recognizer = (_core, bytes) => {
  const text = tryDecodeText(bytes)
  const value = text === undefined ? undefined : orUndefined(() => JSON.parse(text) as unknown)
  if (!isObject(value)) return undefined
  const has = (...names: string[]): boolean => names.every((name) => Object.hasOwn(value, name))
  const found = (kind: Inspection['kind'], of: object = value): Inspection => ({ kind, rows: rowsOf(of), bytes, value })
  const { action_proof: proof } = value as { action_proof?: unknown }
  if (isObject(proof)) return found('action proof', proof)
  if (has('type', 'deviceId', 'nonce')) return found('stats event')
  if (has('protocolVersion', 'deviceSessionId', 'signature')) return found('json request')
  if (has('protocolVersion', 'resultCode', 'signature')) return found('json answer')
  return undefined
}

const knock: Recognizer = async (_core, bytes) => {
  const looksSo = bytes.length === 245 || (bytes.length >= 47 && bytes.length <= 600)
  if (!looksSo) return undefined
  const core = await loadKnockCore()
  const datagram = orUndefined(() => core.datagram(bytes))
  if (datagram) return { kind: 'knock datagram', rows: rowsOf(datagram), bytes, value: datagram }
  const packet = bytes.length === 245 ? orUndefined(() => core.read(0, bytes)) : undefined
  if (!packet) return undefined
  const { payload, ...fields } = packet.knock
  const rows = [...rowsOf({ ...fields, tag: packet.tag, digest: packet.digest }), ...payloadRows(payload, undefined)]
  return { kind: 'knock packet', rows, bytes, value: packet }
}

const RECOGNIZERS: readonly Recognizer[] = [frame, signingInput, json, knock]

/**
 * Detects the kind of an input. It decodes hex and base64 first.
 * Rejects with a CliError for an unknown kind.
 */
export async function inspect(bytes: Bytes): Promise<Inspection> {
  const core = await loadCore()
  for (const spelling of spellings(bytes)) {
    for (const attempt of RECOGNIZERS) {
      const found = await attempt(core, spelling)
      if (found) return found
    }
  }
  throw new CliError('the input is not a frame, signing input, JSON message, event, proof or knock packet')
}

/** Writes an inspection as lines. */
export function show({ kind, rows }: Inspection): string {
  const width = rows.reduce((most, [name]) => Math.max(most, name.length), 0)
  return [`${kind} (not verified)`, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`), ''].join('\n')
}
