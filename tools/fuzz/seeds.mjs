// SPDX-License-Identifier: MIT
// Makes the first inputs of each fuzz target from the vectors of tests/vectors. Messages are signed again with the key of
// the targets (tests/fuzz/support.hpp), since nobody has the keys that the vectors were signed with.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const vectors = fileURLToPath(new URL('../../tests/vectors/', import.meta.url))
const read = (name) => JSON.parse(readFileSync(join(vectors, name), 'utf8'))
const hex = (text) => Buffer.from(text, 'hex')
const sha256 = (bytes) => createHash('sha256').update(bytes).digest()

const PKCS8_ED25519 = hex('302e020100300506032b657004220420')
const seed = Buffer.alloc(32)
seed[0] = 7
const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
/** The public key that the targets trust, 32 bytes. */
export const publicKey = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url')

// What tests/fuzz/remake.hpp and its targets expect of a message that passes.
const NOW_MS = 1_775_121_600_000
const common = ['galaxy', 'v1', 'device-session-123']
const ANSWERED = 'gHjmJZwxyly3TJOECqi2nw'
const STREAM = 'stream-1'
const KEY_ID = 'ke44a'

const field = (value) => {
  const bytes = Buffer.from(value)
  const size = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7]
  return Buffer.concat([Buffer.from(size), bytes])
}
const number = (value) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
const digest = (...parts) => sha256(Buffer.concat(parts)).toString('base64url').slice(0, 22)

const frame = (input, keyId = '', payload = Buffer.alloc(0)) =>
  Buffer.concat([hex('435301'), field(input), field(keyId), field(sign(null, input, key)), payload])

/** The parts of a frame: its signing input, key id and payload. */
const partsOf = (bytes) => {
  let at = 3
  const take = () => {
    let size = bytes[at++]
    if (size >= 0x80) size = (size & 0x7f) | (bytes[at++] << 7)
    at += size
    return bytes.subarray(at - size, at)
  }
  const [input, keyId] = [take(), take(), take()]
  return { input, keyId, payload: bytes.subarray(at) }
}
const signedAgain = (bytes) => {
  const { input, keyId, payload } = partsOf(bytes)
  return frame(input, keyId, payload)
}

const request = (type, head, timeMs, payload) => {
  const start = Buffer.concat([field('galaxy-request-v1'), ...[common[1], common[2], type].map(field), number(timeMs)])
  const hash = field(sha256(payload))
  const id = `${head}.${digest(start, field(head), hash)}`
  return frame(Buffer.concat([start, field(id), hash]), '', payload)
}
const response = (code, timeMs, payload) =>
  frame(
    Buffer.concat([
      ...['galaxy-response-v1', 'v1', ANSWERED].map(field),
      number(timeMs),
      field(code),
      field(sha256(payload))
    ]),
    KEY_ID,
    payload
  )
const event = (type, sequence, timeMs, payload) =>
  frame(
    Buffer.concat([
      ...['galaxy-event-v1', common[1], common[2], type].map(field),
      number(sequence),
      number(timeMs),
      field(digest(field(STREAM), number(sequence), field(type))),
      field(sha256(payload))
    ]),
    KEY_ID,
    payload
  )

const short = (text) => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}
/** An input of begin_open: kind, bit, owner, type, head of an id, time, sequence, payload. */
const begun = ({ kind, fields, payload }, index, head) =>
  Buffer.concat([
    Buffer.from([['request', 'response', 'event'].indexOf(kind), index % 4, (index * 37) % 256]),
    short(fields.device_session_id ?? fields.request_id),
    short(fields.message_type ?? fields.result_code ?? fields.event_type),
    short(head),
    number(fields.timestamp_ms),
    number(fields.sequence ?? 0),
    hex(payload)
  ])

const exchangeSeeds = () => {
  const { cases, request_ids, open_response } = read('exchange.json')
  const of = (kind) => cases.filter((one) => one.kind === kind)
  const frames = cases.filter((one) => one.frame).map((one) => hex(one.frame))
  const judged = [...open_response.accept, ...open_response.refuse].map((one) => hex(one.frame))
  const heads = request_ids.map(({ head }) => head)
  const payload = Buffer.from('{"at":[1,2]}')
  const times = [NOW_MS, NOW_MS - 60_001, NOW_MS + 10_001]
  return {
    parse_frame: [...frames, ...judged, ...cases.map((one) => hex(one.signing_input))],
    open_request: [
      ...of('request').map((one) => signedAgain(hex(one.frame))),
      ...times.flatMap((time) => heads.map((head) => request('fleet.move', head, time, payload)))
    ],
    open_response: [
      ...judged.filter((bytes) => bytes.length > 200).map(signedAgain),
      ...times.map((time) => response('ok', time, payload))
    ],
    open_event: [
      ...of('event').map((one) => signedAgain(hex(one.frame))),
      ...times.flatMap((time) => [event('fleet.moved', 7, time, payload), event('cs.time', 6, time, payload)])
    ],
    begin_open: cases
      .filter((one) => ['request', 'response', 'event'].includes(one.kind))
      .map((one, index) => begun(one, index, heads[index % heads.length]))
  }
}

const textsIn = (value) => {
  if (typeof value === 'string') return /^\s*[[{]/.test(value) ? [value] : []
  return value && typeof value === 'object' ? Object.values(value).flatMap(textsIn) : []
}

const jsonSeeds = () => {
  const jcs = ['input', 'output'].flatMap((folder) =>
    readdirSync(join(vectors, 'jcs', folder)).map((name) => readFileSync(join(vectors, 'jcs', folder, name)))
  )
  const proofs = textsIn(read('action-proof.json')).filter((text) => text.includes('"action_proof"'))
  const events = textsIn(read('stats-event.json')).filter((text) => text.includes('"deviceId"'))
  const complete = events.flatMap((text) => {
    try {
      const found = JSON.parse(text)
      const strict = { ...found, data: { ...found.data, strict_signature: '' }, signature: '' }
      return [JSON.stringify({ ...found, signature: '' }), JSON.stringify(strict)]
    } catch {
      return [text]
    }
  })
  const spellings = read('stats-event.json').js_number_format
  return {
    canonical_json: [...jcs, ...proofs.slice(0, 20), ...events.slice(0, 20), JSON.stringify(spellings).slice(0, 3000)],
    action_proof: proofs.map((text, index) => Buffer.concat([Buffer.from([index % 18]), Buffer.from(text)])),
    stats_event: [...events, ...complete]
  }
}

const hexIn = (value) =>
  Object.entries(value)
    .filter(([name]) => /^(packet|body|datagram|text|payload)_hex$/.test(name))
    .map(([, text]) => hex(text))

const knockSeeds = () => {
  const { v1, v2_v4 } = read('knock.json')
  const keys = [v1.server_public_key_pem, v1.user_public_key_pem].map((pem) =>
    createPublicKey(pem).export({ type: 'spki', format: 'der' })
  )
  // Numbers for the keys that the target writes itself: all of them odd, and a factor that is even.
  const numbers = (kind, fill) => Buffer.concat([Buffer.from([kind, 0]), Buffer.alloc(900, fill)])
  // An exponent of 3 bytes and a modulus of 256, which nobody read: it is odd and large, and then begins with a zero.
  const unread = [0xc1, 0].map((first) => Buffer.from([2, 3, 1, 0, 1, 0, 1, first]))
  return {
    read_knock: [...v1.vectors, ...v1.replies, ...v2_v4.vectors].flatMap(hexIn),
    rsa_keys: [
      ...keys,
      numbers(0, 0xc1),
      numbers(1, 0xc1),
      numbers(1, 0xc2),
      Buffer.from([0, 3, 1, 0, 1, 31]),
      ...unread
    ]
  }
}

// Programs of the honest world of tests/fuzz/clock.cpp: a step is its number and 16 bits of milliseconds.
const [PASS, PASS_LONG, SEND, ANSWER, RECEIVE, EVENT, SLEEP, STEP] = [0, 1, 2, 3, 4, 5, 6, 7]
const trip = [
  [SEND, 0],
  [PASS, 20],
  [ANSWER, 0],
  [PASS, 20],
  [RECEIVE, 0]
]
const clockProgram = (drifts, steps) =>
  Buffer.from([0, 1, 0, 0, 0, 1, 0, ...drifts, ...steps.flatMap(([step, ms]) => [step, ms >> 8, ms & 0xff])])

const clockSeeds = () => ({
  clock: [
    clockProgram([0, 255], [...trip, [PASS_LONG, 60_000], [EVENT, 80], [PASS_LONG, 60_000], ...trip]),
    clockProgram([255, 0], [...trip, [PASS_LONG, 60_000], [EVENT, 80], [PASS_LONG, 60_000]]),
    clockProgram([128, 128], [...trip, [SLEEP, 6000], [EVENT, 0], ...trip, [STEP, 6000], [EVENT, 800]]),
    clockProgram([128, 128], [...trip, ...trip.slice(0, 4), [SLEEP, 6000], [RECEIVE, 0], ...trip])
  ]
})

/** seeds gives the first inputs by target: those that vectors or rules concern. */
export const seeds = () => ({ ...exchangeSeeds(), ...jsonSeeds(), ...knockSeeds(), ...clockSeeds() })

/** writeSeeds writes the seeds of a target into a folder, one file each, named by its hash. */
export function writeSeeds(inputs, folder) {
  mkdirSync(folder, { recursive: true })
  for (const input of inputs) {
    const bytes = Buffer.from(input)
    writeFileSync(join(folder, sha256(bytes).toString('hex').slice(0, 40)), bytes)
  }
}
