// SPDX-License-Identifier: MIT
// Exchange v1's encoding written a second time, from PROTOCOL.md and with BigInt, so that the core is compared with
// something that shares no code with it; and server keys to sign with.

import { concat, fromHex, utf8 } from '../harness/bytes.mjs'

export const uvarint = (value) => {
  const bytes = []
  let rest = BigInt(value)
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(bytes)
}

export const field = (value) => {
  const bytes = typeof value === 'string' ? utf8(value) : new Uint8Array(value)
  return concat(uvarint(bytes.length), bytes)
}

export const u64 = (value) => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

const numeric = new Set(['timestampMs', 'sequence'])

/** The fields of each kind behind the marker, in order. */
export const LAYOUTS = {
  request: ['protocolVersion', 'deviceSessionId', 'messageType', 'timestampMs', 'requestId', 'payloadHash'],
  response: ['protocolVersion', 'requestId', 'timestampMs', 'resultCode', 'payloadHash'],
  event: [
    ...['protocolVersion', 'deviceSessionId', 'eventType', 'sequence'],
    ...['timestampMs', 'eventId', 'payloadHash']
  ],
  enroll: ['challengeId', 'algorithm', 'publicKey', 'email'],
  rotate: ['deviceSessionId', 'requestId', 'algorithm', 'publicKey']
}
export const KINDS = Object.keys(LAYOUTS)
export const TEXTS = {
  request: ['protocolVersion', 'deviceSessionId', 'messageType', 'requestId'],
  response: ['protocolVersion', 'requestId', 'resultCode'],
  event: ['protocolVersion', 'deviceSessionId', 'eventType', 'eventId'],
  enroll: ['challengeId', 'email'],
  rotate: ['deviceSessionId', 'requestId']
}

/** signingInputOf writes a signing input by PROTOCOL.md, section 2. */
export const signingInputOf = (kind, fields) => {
  const parts = [field(`${fields.label}-${kind}-v1`)]
  for (const name of LAYOUTS[kind]) parts.push(numeric.has(name) ? u64(fields[name]) : field(fields[name]))
  return concat(...parts)
}

/** writeSigningInput calls the core's writer of a kind. */
export const writeSigningInput = (core, kind, fields) => core[`${kind}SigningInput`](fields)

const sha = new Uint8Array(32).fill(0xab)
const key = new Uint8Array(32).fill(0x5c)

/** sampleFields gives valid fields of a kind. */
export const sampleFields = (kind, changes = {}) => {
  const shared = { label: 'demo', deviceSessionId: 'session', requestId: 'request', timestampMs: 1_775_121_600_000 }
  const all = {
    request: { ...shared, protocolVersion: 'v1', messageType: 'demo.echo', payloadHash: sha },
    response: { ...shared, protocolVersion: 'v1', resultCode: 'ok', payloadHash: sha },
    event: { ...shared, protocolVersion: 'v1', eventType: 'e', sequence: 7, eventId: 'id', payloadHash: sha },
    enroll: { label: 'demo', challengeId: 'challenge', algorithm: 'ed25519', publicKey: key, email: 'a@example.org' },
    rotate: { ...shared, algorithm: 'ed25519', publicKey: key }
  }
  const fields = Object.fromEntries(
    Object.entries(all[kind]).filter(([name]) => name === 'label' || LAYOUTS[kind].includes(name))
  )
  return { ...fields, ...changes }
}

/** fieldsOf turns the fields of a vector into what the core takes. */
export const fieldsOf = (vector) => {
  const fields = {}
  for (const [name, value] of Object.entries(vector)) {
    const camel = name.replace(/_./g, (match) => match[1].toUpperCase())
    fields[camel] = camel === 'payloadHash' || camel === 'publicKey' ? fromHex(value) : value
  }
  for (const name of numeric) if (name in fields) fields[name] = Number(fields[name])
  return fields
}

/** makeServerKey makes an Ed25519 key to sign with; WebKitGTK fails to now and then. */
export const makeServerKey = async (id) => {
  for (let tries = 0; ; tries++) {
    try {
      const pair = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])
      const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
      const sign = async (bytes) => new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, bytes))
      return { id, publicKey, sign }
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

/** answerFrame makes a signed answer with a payload. */
export const answerFrame = async (core, key, { payload = utf8('payload'), keyId = key.id, ...fields } = {}) => {
  const signingInput = core.responseSigningInput(
    sampleFields('response', { payloadHash: core.sha256(payload), ...fields })
  )
  return core.buildFrame({ signingInput, keyId, signature: await key.sign(signingInput), payload })
}

/** eventFrame makes a signed event at its place of a stream. */
export const eventFrame = async (
  core,
  key,
  { stream = 'stream', payload = utf8('payload'), sent = payload, keyId = key.id, ...changes } = {}
) => {
  const fields = sampleFields('event', { payloadHash: core.sha256(payload), ...changes })
  const eventId = changes.eventId ?? core.eventId(stream, fields.sequence, fields.eventType)
  const signingInput = core.eventSigningInput({ ...fields, eventId })
  return core.buildFrame({ signingInput, keyId, signature: await key.sign(signingInput), payload: sent })
}
