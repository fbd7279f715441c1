// SPDX-License-Identifier: MIT
// The JSON binding: protobuf's JSON form of request and answer, for galaxy-compatible gateways (R43 to R45).

import { decodeBase64, encodeBase64 } from '../base64.ts'
import { CountersignError, isCountersignError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { Bytes, Core } from '../types.ts'
import { type Binding, isApplicationResult, type RawAnswer } from './binding.ts'
import { essence, unsignedAnswer } from './http.ts'

const MEDIA_TYPE = 'application/json'
const PAYLOAD = 'payloadBytes'
const REQUIRED = ['protocolVersion', 'requestId', 'timestampMs', 'resultCode', 'payloadHash', 'signature'] as const
const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, PAYLOAD])

const HASH_BYTES = 32
const SIGNATURE_BYTES = 64

const badJson = (detail: string): CountersignError => new CountersignError('ERR_BAD_JSON', { detail })

// Every member is a string, and JSON.parse would hide a second one of the same name: so the object is read pair by pair.
const SPACE = '[ \\t\\n\\r]*'
const STRING = '("[^"\\\\\\u0000-\\u001f]*(?:\\\\.[^"\\\\\\u0000-\\u001f]*)*")'
const OPENING = new RegExp(`^${SPACE}\\{`)
const PAIR = new RegExp(`${SPACE}${STRING}${SPACE}:${SPACE}${STRING}${SPACE}([,}])`, 'y')
const REST = new RegExp(`^${SPACE}$`)

const stringOf = (token: string): string => {
  try {
    return JSON.parse(token) as string
  } catch {
    throw badJson('a string')
  }
}

/** readMembers reads one flat JSON object of strings; throws ERR_BAD_JSON for anything else and for a member named twice. */
export const readMembers = (text: string): Map<string, string> => {
  const members = new Map<string, string>()
  const start = OPENING.exec(text)
  if (!start) throw badJson('not an object')
  PAIR.lastIndex = start[0].length
  for (;;) {
    const pair = PAIR.exec(text)
    if (!pair) throw badJson('members are strings')
    const [all, name = '', value = '', end] = pair
    const key = stringOf(name)
    if (members.has(key)) throw badJson('a member stands twice')
    members.set(key, stringOf(value))
    if (end === ',') continue
    if (!REST.test(text.slice(pair.index + all.length))) throw badJson('text after the object')
    return members
  }
}

const bytesOfMember = (members: Map<string, string>, name: string, size?: number): Bytes => {
  const bytes = decodeBase64(members.get(name) ?? '')
  if (!bytes || (size !== undefined && bytes.length !== size)) throw badJson(name)
  return bytes
}

const timeOfMember = (members: Map<string, string>): number => {
  const text = members.get('timestampMs') ?? ''
  const time = Number(text)
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(time)) throw badJson('timestampMs')
  return time
}

/** The signing input is built from the members and judged: nothing is believed of a second copy (R45). */
const readAnswer = (core: Core, label: string, members: Map<string, string>): RawAnswer => {
  for (const name of members.keys()) if (!KNOWN.has(name)) throw badJson('an unknown member')
  for (const name of REQUIRED) if (!members.has(name)) throw badJson(`no ${name}`)
  const payload = bytesOfMember(members, PAYLOAD)
  const fields = {
    label,
    protocolVersion: members.get('protocolVersion') ?? '',
    requestId: members.get('requestId') ?? '',
    timestampMs: timeOfMember(members),
    resultCode: members.get('resultCode') ?? '',
    payloadHash: bytesOfMember(members, 'payloadHash', HASH_BYTES)
  }
  const signature = bytesOfMember(members, 'signature', SIGNATURE_BYTES)
  try {
    const signingInput = core.responseSigningInput(fields)
    return { envelope: core.buildFrame({ signingInput, keyId: '', signature }), payload, anyKey: true }
  } catch (cause) {
    // Text that no message may carry is the sender's fault here, not the caller's.
    throw isCountersignError(cause) && cause.category === 'usage' ? badJson('a text field') : cause
  }
}

export const jsonBinding = ({ endpoint, label, maxPayload }: Settings): Binding => {
  const headers = { 'content-type': MEDIA_TYPE }
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
      if (essence(response) !== MEDIA_TYPE) throw unsignedAnswer(response)
      const body = await receive(cap)
      let text: string
      try {
        text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
      } catch {
        throw badJson('not UTF-8')
      }
      // A proxy speaks JSON too: what names no signature at all was not written by the gateway.
      if (!text.includes('"signature"')) throw unsignedAnswer(response)
      return readAnswer(core, label, readMembers(text))
    },
    isResult: isApplicationResult
  }
}
