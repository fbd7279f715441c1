// SPDX-License-Identifier: MIT
// The json binding (PROTOCOL.md, R43 to R45): protobuf's JSON form of a request. Its members are turned into an envelope,
// and that is what is judged.

import { CountersignError } from '../../../common/errors.ts'
import { badJson } from '../../../common/text.ts'
import type { Core } from '../../../common/types.ts'
import { decodeExact, emptyBytes, encodeText, isText } from '../../support/encoding.ts'
import { readFlatObject } from '../../support/flat-json.ts'

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

function readTime(text: string): number {
  const value = Number(text)
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) throw badJson('timestampMs is not a canonical decimal number')
  if (!Number.isSafeInteger(value)) throw new CountersignError('ERR_BAD_TIMESTAMP')
  return value
}

function readBytes(text: string, name: string, size?: number): Uint8Array {
  const bytes = decodeExact(text, 'base64')
  if (!bytes) throw new CountersignError('ERR_BAD_BASE64', { detail: name })
  if (size !== undefined && bytes.length !== size) throw new CountersignError('ERR_BAD_FIELD_SIZE', { detail: name })
  return bytes
}

/**
 * readJson turns a whole body into the envelope it stands for: what goes on is read back out of the bytes whose signature
 * will be checked (R11). It throws a malformed error, or a usage error of the core for a text that is none.
 */
export function readJson(core: Core, body: Uint8Array, label: string): { envelope: Uint8Array; payload: Uint8Array } {
  const members = readFlatObject(body, REQUIRED, OPTIONAL)
  if (!members) throw badJson('the body must be one flat object with exactly the expected strings')
  if (members.traceId !== undefined && !isText(members.traceId)) throw badJson('traceId')
  const payload = members.payloadBytes ? readBytes(members.payloadBytes, 'payloadBytes') : emptyBytes()
  const signature = readBytes(members.signature, 'signature', 64)
  const { protocolVersion, deviceSessionId, messageType, requestId } = members
  const signingInput = core.requestSigningInput({
    label,
    protocolVersion,
    deviceSessionId,
    messageType,
    timestampMs: readTime(members.timestampMs),
    requestId,
    payloadHash: readBytes(members.payloadHash, 'payloadHash', 32)
  })
  return { envelope: core.buildFrame({ signingInput, keyId: '', signature }), payload }
}

/** writeJson writes a signed answer. */
export function writeJson(answer: {
  protocolVersion: string
  requestId: string
  timestampMs: number
  resultCode: string
  payload: Uint8Array
  payloadHash: Uint8Array
  signature: Uint8Array
}): string {
  return JSON.stringify({
    protocolVersion: answer.protocolVersion,
    requestId: answer.requestId,
    timestampMs: String(answer.timestampMs),
    resultCode: answer.resultCode,
    payloadBytes: encodeText(answer.payload, 'base64'),
    payloadHash: encodeText(answer.payloadHash, 'base64'),
    signature: encodeText(answer.signature, 'base64')
  })
}
