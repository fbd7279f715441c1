// SPDX-License-Identifier: MIT
// A game's page, which a portal may show in a frame: the steps of the test. In a frame the portal's page passes them on.

import { connect, guestEnrollment } from 'countersign'
import { base64, codeOf, register, serveSteps } from './lab-page.mjs'

const optionsFor = (serverKeys) => ({ url: location.origin, label: 'demo', serverKeys })

/** Starts with a stored key, and then with one in memory where no other can be had. */
const start = async (serverKeys) => {
  const strict = await codeOf(connect(optionsFor(serverKeys)).then((client) => client.close()))
  const client = await connect({ ...optionsFor(serverKeys), allowMemoryKey: true })
  return { client, outcome: { strict, state: client.state } }
}

const look = async (serverKeys) => {
  const { client, outcome } = await start(serverKeys)
  await client.close()
  return outcome
}

/** A whole visit: sign in, send, listen, sign out. */
const visit = async (serverKeys, signIn = (client) => client.enroll(register)) => {
  const { client, outcome } = await start(serverKeys)
  await signIn(client)
  const { level } = client.key
  const request = await codeOf(client.request('demo.key'))
  const live = new Promise((resolve) => client.on('connection', ({ state, role }) => state === 'live' && resolve(role)))
  const events = client.events()
  events.next().catch(() => {})
  const role = await live
  await events.return()
  const { revoked } = await client.signOut()
  await client.close()
  return { ...outcome, level, request, role, revoked }
}

/** The same as a guest, with a header of the page's own. */
const visitAsGuest = async (serverKeys) => {
  const more = {}
  const outcome = await visit(serverKeys, async (client) => {
    await guestEnrollment(client)
    more.user = await (await client.request('demo.user')).text()
    more.answer = await (await client.fetch('/api/answer', { headers: { 'x-of-the-page': '1' } })).text()
  })
  return { ...outcome, ...more }
}

let player

const enrol = async (serverKeys) => {
  player = await connect(optionsFor(serverKeys))
  await player.enroll(register)
  return base64(player.key.publicKey)
}

const asPromise = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** What other script at an origin can do with the keys there: it signs `text` with each. */
const useKeys = async (text) => {
  const signed = []
  for (const { name } of await indexedDB.databases()) {
    const database = await asPromise(indexedDB.open(name))
    for (const { key, publicKey, algorithm } of await asPromise(
      database.transaction('keys').objectStore('keys').getAll()
    )) {
      const how = algorithm === 'ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', hash: 'SHA-256' }
      const signature = new Uint8Array(await crypto.subtle.sign(how, key, new TextEncoder().encode(text)))
      signed.push({ algorithm, publicKey: base64(publicKey), signature: base64(signature) })
    }
    database.close()
  }
  return signed
}

const steps = { look, visit, visitAsGuest, enrol, useKeys }
serveSteps(steps)

if (parent !== globalThis) {
  const tell = (message) => parent.postMessage(message, '*')
  addEventListener('message', ({ data: [name, ...given] }) => {
    steps[name](...given).then(
      (value) => tell({ value }),
      (error) => tell({ error: `${name}: ${error?.code ?? ''} ${error?.stack ?? error}` })
    )
  })
  tell('ready')
}
