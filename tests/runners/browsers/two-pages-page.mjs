// SPDX-License-Identifier: MIT
// One of two pages of one origin: a client over the browser's own IndexedDB, and the steps that both take at once.

import { connect } from 'countersign'
import { until } from '../../unit/harness/wait.mjs'
import { base64, codeOf, register, serveSteps } from './lab-page.mjs'

/** Holds until the other page has come here too; the server lets both go with one stroke. */
const meet = async (name) => {
  const response = await fetch(`/meet/${encodeURIComponent(name)}`, { method: 'POST' })
  if (!response.ok) throw new Error(`nobody came to ${name}`)
}

/** The key that the gateway has for whoever asks, by the session's own word. */
const keyAtGateway = async (client) => {
  const { payload, timings } = await client.request('demo.key')
  return { key: new TextDecoder().decode(payload), tries: timings.tries }
}

const view = ({ state, sessionId, key }) => ({ state, sessionId, key: key && base64(key.publicKey) })

let client

const start = async (serverKeys) => {
  client = await connect({ url: location.origin, label: 'demo', serverKeys })
  return client.state
}

/** Both enrol at once: one wins, both are ready. */
const enrolling = async (round) => {
  await meet(`${round} enrol`)
  const code = await codeOf(client.enroll(register))
  await until(() => client.state === 'ready', `ready after ${code}`)
  await meet(`${round} enrolled`)
  return { code, ...view(client) }
}

/** Both rotate at once, with calls of theirs under way: every call succeeds, and both come to the same key. */
const rotating = async (round) => {
  const before = base64(client.key.publicKey)
  await meet(`${round} rotate`)
  const calls = Array.from({ length: 4 }, () => codeOf(client.request('demo.key', '', { idempotencyKey: 'call' })))
  const rotation = await codeOf(client.rotateKey())
  const later = codeOf(client.request('demo.key'))
  await until(() => base64(client.key.publicKey) !== before, 'the new key')
  await meet(`${round} rotated`)
  const { key, tries } = await keyAtGateway(client)
  return { rotation, calls: await Promise.all([...calls, later]), gateway: key, tries, ...view(client) }
}

/** One signs out, or both do, while the other one calls and rotates: nobody signs any more. */
const leaving = async (round, isLeaving) => {
  await meet(`${round} leave`)
  const calls = isLeaving
    ? []
    : [client.request('demo.key'), client.rotateKey(), client.request('demo.key')].map(codeOf)
  const done = isLeaving ? await codeOf(client.signOut()) : 'stayed'
  const ends = await Promise.all(calls)
  await until(() => client.state === 'signed-out', `signed out, not ${client.state}`)
  await meet(`${round} left`)
  return { done, ends, after: await codeOf(client.request('demo.key')), ...view(client) }
}

serveSteps({ start, enrolling, rotating, leaving })
