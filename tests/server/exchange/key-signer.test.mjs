// SPDX-License-Identifier: MIT
// Two server keys at work at once: cs.keys is answered by the one that clients are configured with (R97, R128).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import {
  createGateway,
  enrollment,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler
} from 'countersign/server'
import { HUNG_MS, until } from '../../unit/harness/wait.mjs'
import { core, createSigner, createWorld, jsonOf, label, openAnswer, serve } from '../kit.mjs'

const DAY_MS = 86_400_000

const createHouse = async (options = {}) => {
  const [next, old] = [createSigner('next'), createSigner('old')]
  const world = await createWorld({ signer: next })
  const serverKeys = {
    serial: 3,
    keys: [{ id: 'next', publicKey: next.publicKey, notAfter: world.now() + 30 * DAY_MS }]
  }
  return { next, old, ...(await createWorld({ signer: next, keySigner: old, serverKeys, ...options })) }
}

const keyIdOf = async (response) => core.parseFrame(new Uint8Array(await response.clone().arrayBuffer())).keyId

test('B15 R128 every answer to cs.keys is signed by the key that clients have, refusals too; every other by the signer', async () => {
  const house = await createHouse()
  const { old, next } = house
  const cases = [
    [{ type: 'cs.keys', payload: '' }, old, 'ok'],
    [{ type: 'cs.keys', payload: '', timestampMs: house.now() - 100_000 }, old, 'cs.stale'],
    [{ type: 'cs.keys', payload: '', sessionId: 'A'.repeat(22) }, old, 'cs.unauthenticated'],
    [{ type: 'cs.keys', payload: 'x', payloadHash: new Uint8Array(32) }, old, 'cs.payload_mismatch'],
    [{ type: 'cs.time', payload: '' }, next, 'ok'],
    [{ type: 'demo.echo', payload: '' }, next, 'ok'],
    [{ type: 'demo.echo', payload: '', timestampMs: house.now() - 100_000 }, next, 'cs.stale'],
    [{ type: 'cs.keyset', payload: '' }, next, 'unknown_type']
  ]
  for (const [options, signer, resultCode] of cases) {
    const request = house.requestOf(options)
    const response = await house.sendFrame(request.frame)
    assert.equal(await keyIdOf(response), signer.keyId, `${options.type} ${resultCode}`)
    const answer = await openAnswer(response, request.requestId, signer)
    assert.equal(answer.resultCode, resultCode)
    if (options.type === 'cs.keys' && resultCode === 'ok') assert.equal(JSON.parse(answer.text).serial, 3)
  }
  const request = house.requestOf({ type: 'cs.keys', payload: '' })
  const response = await house.sendJson(jsonOf(request))
  assert.equal((await openAnswer(response, request.requestId, old)).resultCode, 'ok')
})

test('B15 R128 without a keySigner the signer answers cs.keys; without a set it is unknown, by the same key', async () => {
  const house = await createHouse({ keySigner: undefined, serverKeys: undefined })
  assert.equal((await house.call({ type: 'cs.keys', payload: '' })).resultCode, 'unknown_type')
  const other = await createHouse({ serverKeys: undefined })
  const request = other.requestOf({ type: 'cs.keys', payload: '' })
  const answer = await openAnswer(await other.sendFrame(request.frame), request.requestId, other.old)
  assert.equal(answer.resultCode, 'unknown_type')
})

test('B15 R127 a stream opens, and its events are believed, under a key that the client learns by it', async (t) => {
  const [next, old] = [createSigner('next'), createSigner('old')]
  const parts = { label, sessions: memorySessionStore(), codes: memoryCodeStore() }
  const codes = new Map()
  const mailer = ({ email, code }) => void codes.set(email, code)
  const keys = [{ id: 'next', publicKey: next.publicKey, notAfter: Date.now() + 30 * DAY_MS }]
  const gateway = createGateway({
    ...parts,
    ...{ signer: next, keySigner: old, serverKeys: { serial: 1, keys } },
    ...{ replay: memoryReplayStore({ capacity: 1024 }), events: memoryEventStore(), routes: {} },
    enrollment: enrollment({ ...parts, signer: old, mailer })
  })
  const { url } = await serve(t, nodeHandler(gateway))
  const serverKeys = [{ id: old.keyId, publicKey: old.publicKey }]
  const client = await connect({ url, label, serverKeys, store: memoryStore(), timeoutMs: HUNG_MS })
  t.after(() => client.close())
  const email = 'ada@example.org'
  await emailEnrollment(client, { email, code: () => codes.get(email) })
  let event
  const hearing = (async () => {
    for await (const heard of client.events({ carrier: 'sse' })) {
      event = heard
      return
    }
  })()
  // What is published before the stream is there is not for it.
  await until(async () => {
    await gateway.publish({ userId: email }, 'demo.tick', Buffer.from('x'))
    return event
  }, 'an event')
  await hearing
  assert.deepEqual([event.type, Buffer.from(event.payload).toString()], ['demo.tick', 'x'])
})

test('keySigner is a signer, or createGateway throws', () => {
  const parts = {
    label,
    signer: createSigner(),
    sessions: memorySessionStore(),
    replay: memoryReplayStore(),
    routes: {}
  }
  for (const keySigner of [null, {}, { keyId: 'x', publicKey: new Uint8Array(31), sign() {} }, 'old']) {
    assert.throws(() => createGateway({ ...parts, keySigner }), { code: 'ERR_INVALID_ARGUMENT' })
  }
})
