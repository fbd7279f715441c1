// SPDX-License-Identifier: MIT
// The JSON binding: protobuf's JSON form of requests and answers, for galaxy-compatible gateways (R43 to R45). Only a
// client of such a gateway loads it.

import { decodeBase64, encodeBase64 } from '../../../common/base64.ts'
import { isCountersignError } from '../../../common/errors.ts'
import { JSON_TYPE } from '../../../common/protocol.ts'
import { badJson, decodeText } from '../../../common/text.ts'
import type { Bytes } from '../../../common/types.ts'
import type { ClientCore } from '../../../core/client-core.ts'
import { writeMessage } from '../../../core/messages.ts'
import type { ClientSettings } from '../../options.ts'
import { essence, unsignedAnswer } from '../exchange.ts'
import { type HttpBinding, isApplicationResult, type RawAnswer } from './binding.ts'

const PAYLOAD = 'payloadBytes'
const REQUIRED = ['protocolVersion', 'requestId', 'timestampMs', 'resultCode', 'payloadHash', 'signature'] as const
const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, PAYLOAD])

const HASH_BYTES = 32
const SIGNATURE_BYTES = 64

type Members = { readonly [name: string]: string }

const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/g

/**
 * Parses one flat JSON object of strings. JSON.parse hides a member that stands twice. But in an object of strings each
 * member is two strings of the text, so a count finds it.
 * @throws ERR_BAD_JSON for any other text.
 */
const readMembers = (text: string): Members => {
  let object: Members
  try {
    object = JSON.parse(text)
  } catch {
    throw badJson('the text is not JSON')
  }
  const members = Object.entries(object ?? {})
  const isFlat = !Array.isArray(object) && members.every(([, value]) => typeof value === 'string')
  if (!isFlat || text.match(STRINGS)?.length !== 2 * members.length)
    throw badJson('members must be strings without duplicates')
  return object
}

const bytesOfMember = (members: Members, name: string, size?: number): Bytes => {
  const bytes = decodeBase64(members[name] ?? '')
  if (!bytes || (size !== undefined && bytes.length !== size)) throw badJson(name)
  return bytes
}

const timeOfMember = (members: Members): number => {
  const text = members.timestampMs ?? ''
  const time = Number(text)
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(time)) throw badJson('timestampMs')
  return time
}

/** Builds the signing input from the members, so that no second copy of a field counts (R45). */
const readAnswer = (core: ClientCore, label: string, members: Members): RawAnswer => {
  const names = Object.keys(members)
  if (!names.every((name) => KNOWN.has(name)) || !REQUIRED.every((name) => names.includes(name)))
    throw badJson('members')
  const payload = bytesOfMember(members, PAYLOAD)
  const { protocolVersion, requestId, resultCode } = members
  const payloadHash = bytesOfMember(members, 'payloadHash', HASH_BYTES)
  const signature = bytesOfMember(members, 'signature', SIGNATURE_BYTES)
  const fields = { label, protocolVersion, requestId, resultCode, timestampMs: timeOfMember(members), payloadHash }
  try {
    const signingInput = writeMessage(core.wasm, 'response', fields)
    return { envelope: core.buildFrame({ signingInput, keyId: '', signature }), payload, anyKey: true }
  } catch (cause) {
    // A text that no message may carry is a fault of the sender here, not of the caller.
    throw isCountersignError(cause) && cause.category === 'usage' ? badJson('a text') : cause
  }
}

/** Returns the JSON binding of a client. */
export function jsonBinding({ endpoint, label, maxPayload }: ClientSettings): HttpBinding {
  const headers = { 'content-type': JSON_TYPE }
  const cap = Math.ceil((maxPayload * 4) / 3) + 4096
  return {
    write(_core, request) {
      const body = JSON.stringify({
        protocolVersion: 'v1',
        deviceSessionId: request.deviceSessionId,
        messageType: request.messageType,
        timestampMs: String(request.timestampMs),
        requestId: request.requestId,
        ...(request.payload.length > 0 ? { payloadBytes: encodeBase64(request.payload) } : {}),
        payloadHash: encodeBase64(request.payloadHash),
        signature: encodeBase64(request.signature)
      })
      return { url: endpoint, init: { method: 'POST', headers, body } }
    },
    async read(core, response, receive) {
      if (essence(response) !== JSON_TYPE) throw unsignedAnswer(response)
      const body = await receive(cap)
      let text: string
      try {
        text = decodeText(body)
      } catch {
        throw badJson('not UTF-8')
      }
      // A proxy may answer with JSON too. An answer without a signature member was not written by the gateway.
      if (!text.includes('"signature"')) throw unsignedAnswer(response)
      return readAnswer(core, label, readMembers(text))
    },
    isResult: isApplicationResult
  }
}
