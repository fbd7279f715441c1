// SPDX-License-Identifier: MIT
// The json binding (PROTOCOL.md, R43 to R45): protobuf's JSON form of a request. The gateway makes an envelope of the
// members, and checks that envelope.

import { CountersignError } from '../../../common/errors.ts'
import { PROTOCOL_VERSION } from '../../../common/protocol.ts'
import { badJson, encodeJson } from '../../../common/text.ts'
import type { Core } from '../../../common/types.ts'
import { decodeBase64, emptyBytes, encodeBase64, isText } from '../../support/encoding.ts'
import { parseFlatObject } from '../../support/flat-json.ts'

const REQUIRED = [
  'protocolVersion',
  'deviceSessionId',
  'messageType',
  'timestampMs',
  'requestId',
  'payloadHash',
  'signature'
] as const
const OPTIONAL = ['payloadBytes', 'traceId'] as const

/**
 * Parses a whole body and returns the envelope that its members stand for. The gateway reads the request back out of
 * that envelope, so it uses only bytes whose signature it checks (R11). Throws a malformed error, or a usage error of
 * the core for a member that is no text.
 */
export function parseJsonRequest(
  core: Core,
  body: Uint8Array,
  label: string
): { envelope: Uint8Array; payload: Uint8Array } {
  const members = parseFlatObject(body, REQUIRED, OPTIONAL)
  if (!members) throw badJson('the body must be one flat object with exactly the expected strings')
  if (members.traceId !== undefined && !isText(members.traceId)) throw badJson('traceId')
  const payload = members.payloadBytes ? parseBytes(members.payloadBytes, 'payloadBytes') : emptyBytes()
  const signature = parseBytes(members.signature, 'signature', 64)
  const { protocolVersion, deviceSessionId, messageType, requestId } = members
  const signingInput = core.requestSigningInput({
    label,
    protocolVersion,
    deviceSessionId,
    messageType,
    timestampMs: parseTime(members.timestampMs),
    requestId,
    payloadHash: parseBytes(members.payloadHash, 'payloadHash', 32)
  })
  return { envelope: core.buildFrame({ signingInput, keyId: '', signature }), payload }
}

/** Writes a signed answer as JSON. */
export function writeJsonAnswer(answer: {
  requestId: string
  timestampMs: number
  resultCode: string
  payload: Uint8Array
  payloadHash: Uint8Array
  signature: Uint8Array
}): Uint8Array {
  return encodeJson({
    protocolVersion: PROTOCOL_VERSION,
    requestId: answer.requestId,
    timestampMs: String(answer.timestampMs),
    resultCode: answer.resultCode,
    payloadBytes: encodeBase64(answer.payload, 'base64'),
    payloadHash: encodeBase64(answer.payloadHash, 'base64'),
    signature: encodeBase64(answer.signature, 'base64')
  })
}

function parseTime(text: string): number {
  const value = Number(text)
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) throw badJson('timestampMs is not a canonical decimal number')
  if (!Number.isSafeInteger(value)) throw new CountersignError('ERR_BAD_TIMESTAMP')
  return value
}

function parseBytes(text: string, name: string, size?: number): Uint8Array {
  const bytes = decodeBase64(text, 'base64')
  if (!bytes) throw new CountersignError('ERR_BAD_BASE64', { detail: name })
  if (size !== undefined && bytes.length !== size) throw new CountersignError('ERR_BAD_FIELD_SIZE', { detail: name })
  return bytes
}
