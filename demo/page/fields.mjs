// SPDX-License-Identifier: MIT
// Which byte of a frame belongs to which field. The core parses the frame; its one encoding gives every place.
import { hexOf, printable } from './dom.mjs'

const uvarintSize = (value) => {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size += 1
  return size
}
const encoder = new TextEncoder()
const textSize = (text) => encoder.encode(text).length
const fieldSize = (length) => uvarintSize(length) + length

const text = (name, value) => ({ name, size: fieldSize(textSize(value)), value: printable(value) })
const bytes = (name, value) => ({ name, size: fieldSize(value.length), value: hexOf(value) })
const time = (name, value) => ({ name, size: 8, value: `${value} · ${new Date(value).toISOString().slice(11, 23)}Z` })

const inputOf = (fields) => {
  const head = [text('domain', `${fields.label}-${fields.kind}-v1`), text('version', fields.protocolVersion)]
  if (fields.kind === 'request') {
    const { deviceSessionId, messageType, timestampMs, requestId, payloadHash } = fields
    head.push(text('session', deviceSessionId), text('type', messageType), time('time', timestampMs))
    return [...head, text('request_id', requestId), bytes('payload_hash', payloadHash)]
  }
  const { requestId, timestampMs, resultCode, payloadHash } = fields
  head.push(text('request_id', requestId), time('time', timestampMs), text('result', resultCode))
  return [...head, bytes('payload_hash', payloadHash)]
}

const payloadText = (payload) => {
  try {
    return printable(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    return hexOf(payload)
  }
}

/**
 * fieldsOf returns a frame's fields in order as `{ name, start, end, value, signed }`, which cover every byte once, or an
 * empty list for bytes that are no frame.
 */
export const fieldsOf = (core, frame) => {
  let parts
  let fields
  try {
    parts = core.parseFrame(frame)
    fields = core.parseSigningInput(parts.signingInput)
  } catch {
    return []
  }
  const { signingInput, keyId, signature, payload } = parts
  const rows = [
    { name: 'frame', size: 3 + uvarintSize(signingInput.length), value: 'C S 1' },
    ...inputOf(fields).map((field) => ({ ...field, signed: true })),
    {
      name: 'key_id',
      size: fieldSize(textSize(keyId)),
      value: keyId === '' ? 'none: the session knows it' : printable(keyId)
    },
    bytes('signature', signature),
    { name: 'payload', size: payload.length, value: payloadText(payload) }
  ]
  let end = 0
  return rows.map(({ size, ...row }) => {
    const start = end
    end += size
    return { signed: false, ...row, start, end }
  })
}

/** changedBytes returns the places at which two frames differ, as a set. */
export const changedBytes = (before, after) => {
  const places = new Set()
  for (let at = 0; at < Math.max(before.length, after.length); at += 1) if (before[at] !== after[at]) places.add(at)
  return places
}
