// SPDX-License-Identifier: MIT
// Stages 0 and 1 (PROTOCOL.md, section 6). Stage 0 checks headers and declared sizes, and finds the binding. Stage 1,
// `parse`, turns the request into an envelope. It verifies nothing.

import { CountersignError } from '../../common/errors.ts'
import { FRAME_TYPE, JSON_TYPE, MAX_ENVELOPE } from '../../common/protocol.ts'
import type { Core, ParsedRequest } from '../../common/types.ts'
import type { GatewaySettings } from '../options.ts'
import { DeadlineError, within } from '../support/deadline.ts'
import { emptyBytes, pathOf } from '../support/encoding.ts'
import type { Binding, Inbound } from '../types.ts'
import { readEnvelope } from './bindings/frame.ts'
import { headerType, isTarget, parseHeader } from './bindings/header.ts'
import { parseJsonRequest } from './bindings/json.ts'
import { declaredLength, PieceError, readBody } from './body.ts'
import type { Lease } from './budget.ts'
import { isHeaderType } from './routes.ts'
import type { Trace } from './trace.ts'

/** A refusal without a signature: the gateway knows nothing of the sender yet (R54). */
export type PlainRefusal = { status: 400 | 413 | 415 | 429 | 503; code: string }

/** A request after stage 1, `parse`. Nothing in it is verified. */
export type ParsedInbound = {
  request: ParsedRequest
  /** The whole message type, also where the signed one is its hash. */
  type: string
  /** The signed target; empty outside the header binding. */
  target: string
  /** The beginning of the payload; in the json binding the whole payload. */
  first: Uint8Array
  isWhole: boolean
}

/** The parts that stage 1 needs beside the request. `trace` gets the request's id, also where only T of it is wrong. */
export type ParseContext = { core: Core; settings: GatewaySettings; lease: Lease; trace: Trace }

const JSON_SLACK = 4096

/** Returns the most bytes that a body of this binding may have. */
export function rawLimit(binding: Binding, { payloadBytes, jsonPayloadBytes }: GatewaySettings['limits']): number {
  if (binding === 'json') return Math.ceil((jsonPayloadBytes * 4) / 3) + JSON_SLACK
  return binding === 'frame' ? payloadBytes + MAX_ENVELOPE : payloadBytes
}

function bodyBinding(inbound: Inbound, endpoint: string | undefined): Binding | PlainRefusal {
  const isEndpoint = endpoint === undefined || pathOf(inbound.target) === endpoint
  if (inbound.method !== 'POST' || !isEndpoint) return { status: 400, code: 'ERR_BAD_MAGIC' }
  const [essence = '', ...parameters] = (inbound.header('content-type') ?? '').toLowerCase().split(';')
  if (essence.trim() === FRAME_TYPE) return 'frame'
  const isUtf8 = parameters.every((parameter) => /^\s*charset\s*=\s*"?utf-8"?\s*$/.test(parameter))
  return essence.trim() === JSON_TYPE && isUtf8 ? 'json' : { status: 415, code: 'unsupported_media_type' }
}

/** Stage 0: returns the binding of a request by its headers alone, or a plain refusal where it fits none. */
export function bindingOf(inbound: Inbound, { endpoint, limits }: GatewaySettings): Binding | PlainRefusal {
  if (inbound.header('content-encoding') !== null) return { status: 415, code: 'content_encoding' }
  const binding = inbound.header('countersign') === null ? bodyBinding(inbound, endpoint) : 'header'
  if (typeof binding !== 'string') return binding
  const declared = declaredLength(inbound)
  if (Number.isNaN(declared)) return { status: 400, code: 'content_length' }
  if (declared !== undefined && declared > rawLimit(binding, limits)) return { status: 413, code: 'ERR_TOO_LARGE' }
  return binding
}

/** Stage 1: parses a request in its binding. Rejects only with a fault that is not the sender's. */
export async function parseInbound(context: ParseContext, inbound: Inbound): Promise<ParsedInbound | PlainRefusal> {
  const { binding } = context.trace
  try {
    if (binding === 'frame') return await parseFrameBody(context, inbound)
    return binding === 'json' ? await parseJsonBody(context, inbound) : parseHeaderRequest(context, inbound)
  } catch (error) {
    const isSenders = error instanceof CountersignError && ['malformed', 'usage'].includes(error.category)
    if (isSenders) return { status: 400, code: error.code }
    throw error
  }
}

async function parseFrameBody(context: ParseContext, inbound: Inbound): Promise<ParsedInbound | PlainRefusal> {
  const { envelopeMs } = context.settings.limits
  let read: { head: Uint8Array; rest: Uint8Array }
  try {
    read = await within(envelopeMs, 'the envelope', () => readEnvelope(inbound))
  } catch (error) {
    if (error instanceof PieceError) throw error
    return { status: 400, code: error instanceof DeadlineError ? 'ERR_TIMEOUT' : 'ERR_ABORTED' }
  }
  return bodyRequest(parseEnvelope(context, read.head), read.rest, false)
}

async function parseJsonBody(context: ParseContext, inbound: Inbound): Promise<ParsedInbound | PlainRefusal> {
  const { core, settings, lease } = context
  const { envelopeMs } = settings.limits
  const bytes = rawLimit('json', settings.limits)
  const bounds = { bytes, idleMs: envelopeMs, untilMs: performance.now() + envelopeMs, lease }
  const body = await readBody(inbound, emptyBytes(), bounds)
  if (body.state === 'too-large') return { status: 413, code: 'ERR_TOO_LARGE' }
  if (body.state === 'share' || body.state === 'full') return { status: 429, code: 'busy' }
  if (body.state !== 'whole') return { status: 400, code: body.state === 'gone' ? 'ERR_ABORTED' : 'ERR_TIMEOUT' }
  const { envelope, payload } = parseJsonRequest(core, body.bytes, settings.label)
  return bodyRequest(parseEnvelope(context, envelope), payload, true)
}

function bodyRequest(request: ParsedRequest, first: Uint8Array, isWhole: boolean): ParsedInbound {
  if (isHeaderType(request.messageType)) throw new CountersignError('ERR_TYPE_MISMATCH')
  return { request, type: request.messageType, target: '', first, isWhole }
}

function parseHeaderRequest(context: ParseContext, inbound: Inbound): ParsedInbound {
  const envelope = parseHeader(inbound.header('countersign') ?? '')
  const request = parseEnvelope(context, envelope)
  if (request.envelopeLength !== envelope.length) throw new CountersignError('ERR_TRAILING_BYTES')
  const target = signedTarget(context.settings, inbound.target)
  const type = `${inbound.method} ${target}`
  if (!isTarget(target) || headerType(type) !== request.messageType) throw new CountersignError('ERR_TYPE_MISMATCH')
  return { request, type, target, first: emptyBytes(), isWhole: false }
}

/**
 * Returns the target that the client signed, for the one that arrived.
 * @throws ERR_TYPE_MISMATCH when the mapping of the application fails.
 */
export function signedTarget({ mapTarget }: Pick<GatewaySettings, 'mapTarget'>, rawTarget: string): string {
  if (!mapTarget) return rawTarget
  try {
    return String(mapTarget(rawTarget))
  } catch (cause) {
    // No client can have signed a target that the mapping does not know.
    throw new CountersignError('ERR_TYPE_MISMATCH', { cause })
  }
}

function parseEnvelope({ core, settings, trace }: ParseContext, envelope: Uint8Array): ParsedRequest {
  try {
    return core.openRequest(envelope, settings)
  } catch (error) {
    // A wrong T leaves an id that can be read: the operator's logs should have it.
    const isUnbound = error instanceof CountersignError && error.code === 'ERR_BAD_REQUEST_ID'
    if (isUnbound) trace.requestId = requestIdOf(core, envelope)
    throw error
  }
}

function requestIdOf(core: Core, envelope: Uint8Array): string | undefined {
  try {
    const fields = core.parseSigningInput(core.parseFrame(envelope).signingInput)
    return fields.kind === 'request' ? fields.requestId : undefined
  } catch {
    return undefined
  }
}
