// SPDX-License-Identifier: MIT
// A gateway in this process, and the client's names, for the code that the documents show.

import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { loadCore } from 'countersign/core'
import {
  createGateway,
  enrollment,
  memoryCodeStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler
} from 'countersign/server'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const LABEL = 'shop'

const makeSigner = (keyId) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url')
  return { keyId, publicKey: new Uint8Array(raw), sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
}

/** openStage starts the gateway; resolves to what the documents' code refers to, and `close`. */
export const openStage = async () => {
  const signer = makeSigner('k1')
  const codes = new Map()
  const shared = {
    label: LABEL,
    signer,
    sessions: memorySessionStore(),
    replay: memoryReplayStore(),
    codes: memoryCodeStore(),
    mailer: ({ email, code }) => void codes.set(email, code)
  }
  const routes = {
    'demo.echo': ({ payload }) => ({ payload }),
    'GET /api/time': () => ({ payload: '{}', contentType: 'application/json' })
  }
  const gateway = await createGateway({ ...shared, routes, enrollment: enrollment(shared) })
  const server = createServer(nodeHandler(gateway)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))

  const url = `http://127.0.0.1:${server.address().port}`
  const serverKeys = [{ id: signer.keyId, publicKey: signer.publicKey }]
  const clients = []
  const connectWith = async (options) => {
    const client = await connect({
      url,
      label: LABEL,
      serverKeys,
      store: memoryStore(),
      timeoutMs: HUNG_MS,
      ...options
    })
    clients.push(client)
    return client
  }
  const enrolled = async (options, email = 'ada@example.com') => {
    const client = await connectWith(options)
    await emailEnrollment(client, { email, code: () => codes.get(email) })
    return client
  }
  return {
    url,
    label: LABEL,
    serverKeys,
    signer,
    core: await loadCore(),
    connectWith,
    enrolled,
    close: async () => {
      for (const client of clients) await client.close()
      await gateway.close()
      server.closeAllConnections()
      server.close()
    }
  }
}
