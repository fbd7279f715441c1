// SPDX-License-Identifier: MIT
// Bad input to any public function is a typed error with a hint, at the call that has it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as server from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { createSigner, createWorld } from '../kit.mjs'

const junk = [
  undefined,
  null,
  0,
  1.5,
  Number.NaN,
  '',
  'text',
  true,
  [],
  {},
  () => {},
  Symbol('s'),
  1n,
  new Map(),
  new Uint8Array(3)
]
const typed = (error) => error instanceof server.CountersignError && error.category === 'usage'

const createParts = () => ({
  label: 'test',
  signer: createSigner(),
  sessions: server.memorySessionStore(),
  replay: server.memoryReplayStore({ capacity: 64 }),
  routes: {},
  mailer() {}
})

/** Throws a usage error, or takes what it was given: nothing else. */
const judge = (call, ...values) => {
  try {
    call(...values)
  } catch (error) {
    if (!typed(error)) assert.fail(`${String(error)} for ${values.map((value) => typeof value)}`)
  }
}

test('H4 every option of every function refuses junk with a typed error', () => {
  const { createGateway, enrollment } = server
  for (const value of junk) {
    for (const make of [createGateway, enrollment, server.nodeHandler, lmdbStores]) {
      assert.throws(() => make(value), typed, `${make.name} ${typeof value}`)
    }
    judge(server.memoryReplayStore, value)
    judge(server.memoryCodeStore, value)
    for (const name of ['capacity', 'sessionQuota']) judge(server.memoryReplayStore, { [name]: value })
    judge(server.memoryCodeStore, { capacity: value })
    if (typeof value !== 'string' || value === '') assert.throws(() => server.serverKeyFile(value), typed)
    for (const name of Object.keys(createParts())) {
      judge(createGateway, { ...createParts(), [name]: value })
      judge(enrollment, { ...createParts(), [name]: value })
    }
    for (const name of [
      'identify',
      'limits',
      'window',
      'origins',
      'allowHeaders',
      'allowOpaqueOrigin',
      'exposeHeaders',
      'rates',
      'handlerTimeoutMs',
      'mapTarget',
      'enrollment',
      'onStage',
      'onRefusal',
      'now',
      'serverKeys'
    ]) {
      judge(createGateway, { ...createParts(), [name]: value })
    }
    for (const name of [
      'codes',
      'digits',
      'pepper',
      'userIdOf',
      'onEnrolled',
      'onFailure',
      'origins',
      'exposeHeaders',
      'now'
    ]) {
      judge(enrollment, { ...createParts(), [name]: value })
    }
    for (const name of ['perSource', 'perSourceFailures', 'perSession', 'perUser', 'perType'])
      judge(createGateway, { ...createParts(), rates: { [name]: value } })
    for (const name of [
      'payloadBytes',
      'jsonPayloadBytes',
      'envelopeMs',
      'bodyMs',
      'idleMs',
      'storeMs',
      'bufferedBytes',
      'sourceBufferedBytes',
      'sessionBufferedBytes',
      'inFlight',
      'sourceInFlight',
      'sourceWaiting'
    ]) {
      judge(createGateway, { ...createParts(), limits: { [name]: value } })
    }
    for (const name of ['serial', 'keys'])
      judge(createGateway, { ...createParts(), serverKeys: { serial: 1, keys: [], [name]: value } })
  }
})

test('H4 handle rejects what is no Request with a typed error, and takes odd origins of one', async () => {
  const world = await createWorld()
  for (const value of junk) await assert.rejects(world.gateway.handle(value), typed)
  for (const value of junk) {
    try {
      const { status } = await world.gateway.handle(new Request('http://gateway/'), {
        remoteAddress: value,
        rawTarget: value
      })
      assert.equal(status, 400)
    } catch (error) {
      assert.ok(typed(error), String(error))
    }
  }
  await assert.rejects(world.gateway.handle(new Request('http://gateway/'), null), typed)
})

test('H4 an enrolment without a carrier refuses junk with a typed error or a problem', async () => {
  const enrolling = server.enrollment(createParts())
  for (const value of junk) {
    await assert.rejects(enrolling.handle(value), typed)
    for (const call of [
      () => enrolling.challenge(value),
      () => enrolling.confirm(value, value),
      () => enrolling.confirm('u', { challengeId: value, algorithm: value, publicKey: value, proof: value })
    ]) {
      try {
        const given = await call()
        assert.ok(typeof given === 'string' || given.status === 400)
      } catch (error) {
        assert.ok(typed(error), String(error))
      }
    }
  }
})
