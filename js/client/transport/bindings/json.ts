// SPDX-License-Identifier: MIT
// The JSON binding: protobuf's JSON form of request and answer, for galaxy-compatible gateways (R43 to R45). Only a client of
// one of those loads it. It imports types only and is handed the rest, so that a bundler makes no third file of what it
// would share with the page's own part.

import type * as base64 from '../../../common/base64.ts'
import type * as errors from '../../../common/errors.ts'
import type { Bytes, ResponseFields } from '../../../common/types.ts'
import type { ClientCore } from '../../../core/client-core.ts'
import type { Settings } from '../../options.ts'
import type { essence, unsignedAnswer } from '../http.ts'
import type { Binding, isApplicationResult, RawAnswer } from './binding.ts'

/** What the binding needs of the page's part. */
export type JsonTools = Pick<typeof base64, 'decodeBase64' | 'encodeBase64'> &
  Pick<typeof errors, 'CountersignError' | 'isCountersignError'> & {
    readonly essence: typeof essence
    readonly unsignedAnswer: typeof unsignedAnswer
    readonly isApplicationResult: typeof isApplicationResult
  }

let tools: JsonTools

const MEDIA_TYPE = 'application/json'
const PAYLOAD = 'payloadBytes'
const REQUIRED = ['protocolVersion', 'requestId', 'timestampMs', 'resultCode', 'payloadHash', 'signature'] as const
const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, PAYLOAD])

const HASH_BYTES = 32
const SIGNATURE_BYTES = 64

const badJson = (detail: string): errors.CountersignError => new tools.CountersignError('ERR_BAD_JSON', { detail })

type Members = { readonly [name: string]: string }

const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/g

/**
 * readMembers reads one flat JSON object of strings; throws ERR_BAD_JSON for anything else. JSON.parse hides a member that
 * stands twice, but where every value is a string, each member is two strings of the text.
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
  const bytes = tools.decodeBase64(members[name] ?? '')
  if (!bytes || (size !== undefined && bytes.length !== size)) throw badJson(name)
  return bytes
}

const timeOfMember = (members: Members): number => {
  const text = members.timestampMs ?? ''
  const time = Number(text)
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(time)) throw badJson('timestampMs')
  return time
}

/** The signing input is built from the members and judged: nothing is believed of a second copy (R45). */
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
    const signingInput = core.responseSigningInput(fields as ResponseFields)
    return { envelope: core.buildFrame({ signingInput, keyId: '', signature }), payload, anyKey: true }
  } catch (cause) {
    // Text that no message may carry is the sender's fault here, not the caller's.
    throw tools.isCountersignError(cause) && cause.category === 'usage' ? badJson('a text') : cause
  }
}

export function jsonBinding({ endpoint, label, maxPayload }: Settings, given: JsonTools): Binding {
  tools = given
  const { encodeBase64, essence, unsignedAnswer, isApplicationResult } = given
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
