// SPDX-License-Identifier: MIT
// Stage 0 and `parse`: which binding a request is in, whether its size and headers let it be one, and its envelope.

import { CountersignError } from '../../common/errors.ts'
import { FRAME_TYPE, MAX_ENVELOPE } from '../../common/protocol.ts'
import type { Core, ParsedRequest } from '../../common/types.ts'
import type { Settings } from '../options.ts'
import { DeadlineError, within } from '../support/deadline.ts'
import { emptyBytes } from '../support/encoding.ts'
import type { Binding, Inbound } from '../types.ts'
import { readEnvelope } from './bindings/frame.ts'
import { headerType, isTarget, readHeader } from './bindings/header.ts'
import { readJson } from './bindings/json.ts'
import { declaredLength, type Lease, readBody } from './body.ts'
import { isHeaderType } from './routes.ts'

/** A refusal without a signature: nothing is known of the sender yet (R54). */
export type Plain = { status: 400 | 413 | 415 | 429 | 503; code: string }

/** A request after `parse`; nothing of it has been verified. */
export type Opened = {
  request: ParsedRequest
  /** The message type in full, also where the signed one is its hash. */
  type: string
  /** The signed target; empty outside the header binding. */
  target: string
  /** The beginning of the payload, or in the json binding all of it. */
  first: Uint8Array
  isWhole: boolean
}

const JSON_SLACK = 4096

/** rawLimit is the longest body a binding takes. */
export function rawLimit(binding: Binding, { payloadBytes, jsonPayloadBytes }: Settings['limits']): number {
  if (binding === 'json') return Math.ceil((jsonPayloadBytes * 4) / 3) + JSON_SLACK
  return binding === 'frame' ? payloadBytes + MAX_ENVELOPE : payloadBytes
}

function bodyBinding(inbound: Inbound, endpoint: string | undefined): Binding | Plain {
  const isEndpoint = endpoint === undefined || inbound.target.split('?', 1)[0] === endpoint
  if (inbound.method !== 'POST' || !isEndpoint) return { status: 400, code: 'ERR_BAD_MAGIC' }
  const [essence = '', ...parameters] = (inbound.header('content-type') ?? '').toLowerCase().split(';')
  if (essence.trim() === FRAME_TYPE) return 'frame'
  const isUtf8 = parameters.every((parameter) => /^\s*charset\s*=\s*"?utf-8"?\s*$/.test(parameter))
  return essence.trim() === 'application/json' && isUtf8 ? 'json' : { status: 415, code: 'unsupported_media_type' }
}

/** bindingOf says which binding a request is in, by headers alone, or the plain refusal of one that can be none. */
export function bindingOf(inbound: Inbound, { endpoint, limits }: Settings): Binding | Plain {
  if (inbound.header('content-encoding') !== null) return { status: 415, code: 'content_encoding' }
  const binding = inbound.header('countersign') === null ? bodyBinding(inbound, endpoint) : 'header'
  if (typeof binding !== 'string') return binding
  const declared = declaredLength(inbound)
  if (Number.isNaN(declared)) return { status: 400, code: 'content_length' }
  if (declared !== undefined && declared > rawLimit(binding, limits)) return { status: 413, code: 'ERR_TOO_LARGE' }
  return binding
}

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && 'status' in value

/** plainOf gives the plain refusal of whatever opening threw; a fault that is not the sender's is thrown again. */
export function plainOf(error: unknown): Plain {
  if (isPlain(error)) return error
  if (error instanceof DeadlineError) return { status: 400, code: 'ERR_TIMEOUT' }
  if (error instanceof CountersignError && (error.category === 'malformed' || error.category === 'usage')) {
    return { status: 400, code: error.code }
  }
  throw error
}

/** What opening needs beside the request: `note` is told the id of a request that parses but for its T. */
export type OpenContext = { core: Core; settings: Settings; lease: Lease; note: (requestId: string) => void }

function readId(core: Core, envelope: Uint8Array): string | undefined {
  try {
    const fields = core.parseSigningInput(core.parseFrame(envelope).signingInput)
    return fields.kind === 'request' ? fields.requestId : undefined
  } catch {
    return undefined
  }
}

function parse({ core, settings, note }: OpenContext, envelope: Uint8Array): ParsedRequest {
  try {
    return core.openRequest(envelope, settings)
  } catch (error) {
    const isUnbound = error instanceof CountersignError && error.code === 'ERR_BAD_REQUEST_ID'
    const requestId = isUnbound ? readId(core, envelope) : undefined
    if (requestId !== undefined) note(requestId)
    throw error
  }
}

const mismatch = (): CountersignError => new CountersignError('ERR_TYPE_MISMATCH')

function opened(request: ParsedRequest, first: Uint8Array, isWhole: boolean): Opened {
  if (isHeaderType(request.messageType)) throw mismatch()
  return { request, type: request.messageType, target: '', first, isWhole }
}

async function openFrameBody(context: OpenContext, inbound: Inbound): Promise<Opened> {
  const reading = within(context.settings.limits.envelopeMs, 'the envelope', () => readEnvelope(inbound))
  const { head, rest } = await reading.catch((error) => {
    throw error instanceof DeadlineError ? error : ({ status: 400, code: 'ERR_ABORTED' } satisfies Plain)
  })
  return opened(parse(context, head), rest, false)
}

async function openJsonBody(context: OpenContext, inbound: Inbound): Promise<Opened> {
  const { core, settings, lease } = context
  const { envelopeMs } = settings.limits
  const bounds = {
    bytes: rawLimit('json', settings.limits),
    idleMs: envelopeMs,
    untilMs: performance.now() + envelopeMs,
    lease
  }
  const body = await readBody(inbound, emptyBytes(), bounds)
  if (body.state === 'too-large') throw { status: 413, code: 'ERR_TOO_LARGE' } satisfies Plain
  if (body.state === 'busy') throw { status: 429, code: 'busy' } satisfies Plain
  if (body.state !== 'whole')
    throw { status: 400, code: body.state === 'gone' ? 'ERR_ABORTED' : 'ERR_TIMEOUT' } satisfies Plain
  const { envelope, payload } = readJson(core, body.bytes, settings.label)
  return opened(parse(context, envelope), payload, true)
}

function mapped({ mapTarget }: Settings, rawTarget: string): string {
  if (!mapTarget) return rawTarget
  try {
    return String(mapTarget(rawTarget))
  } catch (cause) {
    // A target the mapping was not made for is one nobody can have signed.
    throw new CountersignError('ERR_TYPE_MISMATCH', { cause })
  }
}

function openHeader(context: OpenContext, inbound: Inbound): Opened {
  const envelope = readHeader(inbound.header('countersign') ?? '')
  const request = parse(context, envelope)
  if (request.envelopeLength !== envelope.length) throw new CountersignError('ERR_TRAILING_BYTES')
  const target = mapped(context.settings, inbound.target)
  const type = `${inbound.method} ${target}`
  if (!isTarget(target) || headerType(type) !== request.messageType) throw mismatch()
  return { request, type, target, first: emptyBytes(), isWhole: false }
}

/** openInbound parses a request in its binding; it rejects with something plainOf understands. */
export async function openInbound(context: OpenContext, inbound: Inbound, binding: Binding): Promise<Opened> {
  if (binding === 'frame') return openFrameBody(context, inbound)
  return binding === 'json' ? openJsonBody(context, inbound) : openHeader(context, inbound)
}
