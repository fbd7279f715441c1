// SPDX-License-Identifier: MIT
// What the knock tests share: keys of a daemon and of a user, and a listener that lives as long as its test.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { importKnockKey, randomChallenge } from 'countersign/knock'
import { createKnockListener } from 'countersign/knock/node'
import { until as untilSo } from '../../unit/harness/wait.mjs'

const pairOf = (bits) =>
  generateKeyPairSync('rsa', {
    modulusLength: bits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })

const pairs = new Map()
/** rsaPair gives a key pair of that many bits, one for the whole file. */
export const rsaPair = (bits = 2048, name = 'server') => {
  const id = `${bits}-${name}`
  if (!pairs.has(id)) pairs.set(id, pairOf(bits))
  return pairs.get(id)
}

export const secret = randomBytes(32)
export const key = await importKnockKey(secret)
export const nowSeconds = () => Math.floor(Date.now() / 1000)
export const fields = (changes = {}) => ({
  timestamp: nowSeconds(),
  userId: 7,
  actionId: 1,
  challenge: randomChallenge(),
  payload: '203.0.113.9',
  ...changes
})

/** listen starts a listener with one user: `{ listener, knocks, events, next() }`. */
export const listen = async (t, { bits = 2048, users, ...options } = {}) => {
  const knocks = []
  const events = []
  const listener = await createKnockListener({
    privateKeyPem: rsaPair(bits).privateKey,
    users: users ?? { 7: { key, actions: [1, 9], publicKeyPem: rsaPair(2048, 'user').publicKey } },
    rate: { perSecond: 10_000, burst: 10_000 },
    onKnock: (knock) => {
      knocks.push(knock)
      if (knock.actionId === 9) throw new Error('the script returned 9')
      return { text: `${knock.actionId}: OK` }
    },
    onEvent: (event) => void events.push(event),
    ...options
  })
  t.after(() => listener.close())
  /** until waits for as many events with one of the codes. */
  const until = async (count, ...codes) => {
    const found = () => events.filter(({ code }) => codes.length === 0 || codes.includes(code))
    await untilSo(
      () => found().length >= count,
      () => `${count} of ${codes}: ${JSON.stringify(events)}`
    )
    return found()
  }
  return { listener, knocks, events, until }
}

/** sendTo sends bytes as they are. */
export const sendTo = ({ address, port }, bytes) =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.send(bytes, port, address, (error) => {
      socket.close()
      if (error) reject(error)
      else resolve()
    })
  })
