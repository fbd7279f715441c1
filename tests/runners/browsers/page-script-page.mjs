// SPDX-License-Identifier: MIT
// A page with a client, and foreign script beside it: it takes the key out of the page's own database and calls it.

import { connect, emailEnrollment } from 'countersign'
import { base64, codeOf } from './lab-page.mjs'

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))

let client
let stolen

const asPromise = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** Everything in every table of the page's databases. */
const readDatabases = async () => {
  const all = []
  for (const { name } of await indexedDB.databases()) {
    const database = await asPromise(indexedDB.open(name))
    for (const table of database.objectStoreNames)
      all.push(...(await asPromise(database.transaction(table).objectStore(table).getAll())))
    database.close()
  }
  return all
}

globalThis.lab = {
  async start(serverKeys) {
    client = await connect({ url: location.origin, label: 'demo', serverKeys })
    const code = async () => (await fetch('/code')).text()
    await emailEnrollment(client, { email: 'ada@example.com', code })
    return client.sessionId
  },

  /** What a script gets of the key: an object that signs, and no bytes, in whatever form it asks for them. */
  async steal() {
    stolen = (await readDatabases()).find(({ key, sessionId }) => key instanceof CryptoKey && sessionId)
    const refused = []
    for (const format of ['raw', 'pkcs8', 'spki', 'jwk'])
      refused.push(await crypto.subtle.exportKey(format, stolen.key).catch(({ name }) => name))
    return { refused, text: JSON.stringify(stolen.key) }
  },

  /** Signs with the stolen object. */
  async sign(text) {
    const how = stolen.algorithm === 'ed25519' ? 'Ed25519' : { name: 'ECDSA', hash: 'SHA-256' }
    return base64(new Uint8Array(await crypto.subtle.sign(how, stolen.key, bytesOf(text))))
  },

  /** Sends a frame as the page does. Resolves to the answer's frame. */
  async send(frame) {
    const headers = { 'content-type': 'application/vnd.countersign.v1' }
    const answer = await fetch('/exchange', { method: 'POST', headers, body: bytesOf(frame) })
    return { status: answer.status, frame: base64(new Uint8Array(await answer.arrayBuffer())) }
  },

  /** What the page's own client still can. */
  call: () => codeOf(client.request('demo.echo', 'from the page'))
}
