// SPDX-License-Identifier: MIT
// Requests built field by field, so that a field may hold what no encoder would write.

export const ILL_FORMED = {
  'lone continuation': '80',
  'lone start': 'c3',
  overlong2: 'c080',
  'overlong NUL': 'c080',
  overlong3: 'e08080',
  overlong4: 'f0808080',
  'surrogate D800': 'eda080',
  'surrogate DFFF': 'edbfbf',
  'surrogate pair': 'eda080edb080',
  'above U+10FFFF': 'f4908080',
  'five bytes': 'f888808080',
  'six bytes': 'fc8480808080',
  'cut short': 'e282',
  FE: 'fe',
  FF: 'ff',
  'UTF-16 BOM': 'feff',
  'Latin-1': 'e9',
  NUL: '00',
  CR: '0d',
  LF: '0a',
  DEL: '7f',
  'unit separator': '1f'
}

const field = (bytes) => Buffer.concat([Buffer.from([bytes.length]), bytes])
const u64 = (value) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

/** Builds a request's signing input field by field, so that a field may hold anything. */
export const rawInput = (fields) =>
  Buffer.concat([
    field(Buffer.from('test-request-v1')),
    field(fields.version),
    field(fields.session),
    field(fields.type),
    u64(fields.time),
    field(fields.id),
    field(fields.hash)
  ])

export const rawFieldsOf = ({ fields }) => ({
  version: Buffer.from('v1'),
  session: Buffer.from(fields.deviceSessionId),
  type: Buffer.from(fields.messageType),
  time: fields.timestampMs,
  id: Buffer.from(fields.requestId),
  hash: Buffer.from(fields.payloadHash)
})
