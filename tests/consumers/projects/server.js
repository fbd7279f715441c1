// SPDX-License-Identifier: MIT
// A server for any runtime: a gateway, and at /client a client that asks the gateway that is named.
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { createGateway, enrollment, memoryReplayStore, memorySessionStore } from 'countersign/server'
import { run } from './flow.js'

const makeSigner = async () => {
  const { privateKey, publicKey } = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  return {
    keyId: 'k1',
    publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)),
    sign: async (bytes) => new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, bytes))
  }
}

const nextOf = async (list) => {
  while (list.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  return list.pop()
}

/** start resolves to the gateway, and to `own`, which answers the paths that only the proof asks for. */
export const start = async (options = {}) => {
  const shared = { label: 'demo', signer: await makeSigner(), sessions: memorySessionStore() }
  const codes = []
  const routes = {
    'demo.echo': ({ payload }) => ({ payload }),
    'GET /api/answer': () => ({ payload: 'an answer' })
  }
  const enrolling = enrollment({ ...shared, mailer: ({ code }) => void codes.push(code) })
  const gateway = createGateway({ ...shared, replay: memoryReplayStore(), routes, enrollment: enrolling, ...options })
  const answers = {
    '/key': () => btoa(String.fromCharCode(...shared.signer.publicKey)),
    '/code': () => nextOf(codes),
    '/client': async (search) => JSON.stringify(await run({ connect, emailEnrollment, memoryStore }, search, false))
  }
  const own = async ({ pathname, search }) => answers[pathname]?.(search)
  return { gateway, own }
}

const shared = {}

/** answer answers a web-standard request. The first one starts the server: workerd makes no key before it. */
export const answer = async (request, from = { remoteAddress: '127.0.0.1' }) => {
  shared.started ??= start()
  const { gateway, own } = await shared.started
  const text = await own(new URL(request.url))
  return text === undefined ? gateway.handle(request, from) : new Response(text)
}
