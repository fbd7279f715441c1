// SPDX-License-Identifier: MIT
// Typed routes (R154): schemas of two validators, what bad input is told, and JSON in and out of any handler.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idempotent, memoryAnswerStore, route, withCode } from 'countersign/server'
import * as v from 'valibot'
import { z } from 'zod'
import { createWorld } from '../kit.mjs'

const position = { x: 1, y: 2 }

/** The same schema in two libraries. */
const SCHEMAS = {
  zod: {
    move: z.object({ to: z.object({ x: z.number(), y: z.number() }), note: z.string().optional() }),
    scores: z.record(z.string(), z.object({ points: z.number() })),
    list: z.array(z.object({ id: z.number() })),
    doubled: z.number().transform((value) => value * 2)
  },
  valibot: {
    move: v.object({ to: v.object({ x: v.number(), y: v.number() }), note: v.optional(v.string()) }),
    scores: v.record(v.string(), v.object({ points: v.number() })),
    list: v.array(v.object({ id: v.number() })),
    doubled: v.pipe(
      v.number(),
      v.transform((value) => value * 2)
    )
  }
}

const ask = async (world, type, value, options) => {
  const answer = await world.call({ type, payload: JSON.stringify(value), ...options })
  return { ...answer, json: answer.text === '' ? undefined : JSON.parse(answer.text) }
}

for (const [vendor, schemas] of Object.entries(SCHEMAS)) {
  test(`${vendor}: a route gets its checked input and answers JSON`, async () => {
    const routes = {
      'game.move': route({ input: schemas.move, handler: ({ input, userId }) => ({ at: input.to, by: userId }) }),
      'game.double': route({ input: schemas.doubled, output: schemas.doubled, handler: ({ input }) => input }),
      'game.pass': route({ handler: () => withCode('not_your_turn', { turn: 'eve' }) }),
      'game.leave': route({ handler: () => undefined })
    }
    const world = await createWorld({ userId: 'ada', routes })
    const moved = await ask(world, 'game.move', { to: position })
    assert.deepEqual([moved.resultCode, moved.json], ['ok', { at: position, by: 'ada' }])
    assert.equal((await ask(world, 'game.double', 4)).json, 16)
    const passed = await ask(world, 'game.pass', 1)
    assert.deepEqual([passed.resultCode, passed.json], ['not_your_turn', { turn: 'eve' }])
    const left = await world.call({ type: 'game.leave', payload: '' })
    assert.deepEqual([left.resultCode, left.text], ['ok', ''])
  })

  test(`R154 ${vendor}: bad input is a signed cs.bad_request of stage handler, with paths and no value`, async () => {
    let ran = 0
    const handler = () => {
      ran += 1
    }
    const routes = {
      'game.move': route({ input: schemas.move, handler }),
      'game.scores': route({ input: schemas.scores, handler }),
      'game.list': route({ input: schemas.list, handler })
    }
    const world = await createWorld({ routes })
    const secret = 'ada@secret.example'
    const cases = [
      ['game.move', { to: { x: secret, y: 2 } }, [['to', 'x']]],
      ['game.move', { to: { x: 1 } }, [['to', 'y']]],
      ['game.move', secret, [[]]],
      ['game.scores', { [secret]: { points: 'many' } }, [['*', 'points']]],
      ['game.list', [{ id: 1 }, { id: secret }], [[1, 'id']]]
    ]
    for (const [type, value, paths] of cases) {
      const { status, resultCode, text, json } = await ask(world, type, value)
      assert.deepEqual([status, resultCode], [400, 'cs.bad_request'], type)
      assert.deepEqual(json, { issues: paths.map((path) => ({ path })) })
      assert.ok(!text.includes('secret'))
      assert.deepEqual(world.stages.at(-1), { ...world.stages.at(-1), stage: 'handler', verdict: 'fail' })
      assert.deepEqual([world.refusals.at(-1).stage, world.refusals.at(-1).code], ['handler', 'cs.bad_request'])
    }
    const none = await world.call({ type: 'game.move', payload: '{"to":' })
    assert.deepEqual([none.resultCode, none.text], ['cs.bad_request', '{"issues":[{"path":[]}]}'])
    assert.equal(ran, 0)
  })

  test(`R154 ${vendor}: an answer has 16 issues and 1 KiB at most`, async () => {
    const handler = () => undefined
    const deep =
      vendor === 'zod' ? z.object({ ['k'.repeat(90)]: schemas.list }) : v.object({ ['k'.repeat(90)]: schemas.list })
    const routes = {
      'game.list': route({ input: schemas.list, handler }),
      'game.deep': route({ input: deep, handler })
    }
    const world = await createWorld({ routes })
    const many = Array.from({ length: 50 }, () => ({ id: 'x' }))
    const listed = await ask(world, 'game.list', many)
    assert.equal(listed.json.issues.length, 16)
    const large = await ask(world, 'game.deep', { ['k'.repeat(90)]: many })
    assert.ok(large.json.issues.length > 5 && large.json.issues.length < 16)
    assert.ok(Buffer.byteLength(large.text) <= 1024)
  })
}

test('an output that does not fit its schema is a defect: cs.internal, told to the operator alone', async () => {
  const logged = []
  const logger = { error: (...all) => logged.push(all), warn() {}, info() {}, debug() {} }
  const routes = {
    'game.bad': route({ output: z.object({ points: z.number() }), handler: () => ({ points: 'secret' }) })
  }
  const world = await createWorld({ routes, logger })
  const answer = await world.call({ type: 'game.bad', payload: '1' })
  assert.deepEqual([answer.resultCode, answer.text], ['cs.internal', '{}'])
  assert.match(String(world.refusals.at(-1).error), /points/)
  assert.doesNotMatch(String(world.refusals.at(-1).error), /secret/)
})

test('a validator that throws, waits or has getters that throw', async () => {
  const standard = (validate) => ({ '~standard': { version: 1, vendor: 'own', validate } })
  const hostile = standard(async () => ({ issues: [{ path: [{ key: 'a' }, Symbol('s'), 'b', 2] }, {}] }))
  Object.defineProperty(hostile, 'a', { get: () => assert.fail('never seen') })
  const routes = {
    'own.hostile': route({ input: hostile, handler: () => 1 }),
    'own.throws': route({ input: standard(() => assert.fail('broken')), handler: () => 1 })
  }
  const logger = { error() {}, warn() {}, info() {}, debug() {} }
  const world = await createWorld({ routes, logger })
  const told = await ask(world, 'own.hostile', {})
  assert.deepEqual(told.json, { issues: [{ path: ['a', '*', '*', 2] }, { path: [] }] })
  assert.equal((await ask(world, 'own.throws', {})).resultCode, 'cs.internal')
})

test('what route and withCode do not take is a usage error', () => {
  const handler = () => undefined
  for (const options of [undefined, {}, { handler: 1 }, { handler, input: {} }, { handler, output: z.string }])
    assert.throws(() => route(options), { code: 'ERR_INVALID_ARGUMENT' })
  for (const code of ['', 'ok', 'cs.mine', 'http.200', undefined, 7])
    assert.throws(() => withCode(code), { code: 'ERR_INVALID_ARGUMENT' })
})

test('R130 R154 bad input leaves its idempotency key free; the handler of good input runs once', async () => {
  let ran = 0
  const handler = ({ input }) => {
    ran += 1
    return { done: input.to }
  }
  const input = z.object({ to: z.number() })
  const answers = memoryAnswerStore()
  const world = await createWorld({ routes: { 'game.move': idempotent(route({ input, handler }), { answers }) } })
  for (const value of [{ to: 'x' }, { to: 'x' }])
    assert.equal((await ask(world, 'game.move', value, { idempotencyKey: 'k' })).resultCode, 'cs.bad_request')
  for (let tries = 0; tries < 2; tries++)
    assert.deepEqual((await ask(world, 'game.move', { to: 3 }, { idempotencyKey: 'k' })).json, { done: 3 })
  assert.equal(ran, 1)
})

test('any handler reads JSON and returns it, bytes, or a Response', async () => {
  const routes = {
    'a.json': (context) => ({ json: { got: context.json() } }),
    'a.code': () => ({ json: [1], resultCode: 'own' }),
    'a.bytes': () => new TextEncoder().encode('bytes'),
    'a.buffer': () => new TextEncoder().encode('buffer').buffer,
    'a.response': () => Response.json({ from: 'Response' }),
    'GET /api/json': () => ({ json: { x: 1 } }),
    'GET /api/typed': () => ({ json: { x: 1 }, contentType: 'application/problem+json', status: 409 }),
    'GET /api/response': () => new Response('<p>', { status: 201, headers: { 'content-type': 'text/html' } })
  }
  const world = await createWorld({ routes })
  const of = async (type, payload = '') => {
    const { resultCode, text } = await world.call({ type, payload })
    return [resultCode, text]
  }
  assert.deepEqual(await of('a.json', '{"a":[1]}'), ['ok', '{"got":{"a":[1]}}'])
  assert.deepEqual(await of('a.json'), ['ok', '{}'])
  assert.deepEqual(await of('a.json', '{'), ['cs.bad_request', '{"issues":[{"path":[]}]}'])
  assert.deepEqual(await of('a.json', Uint8Array.of(0x22, 0xff, 0x22)), ['cs.bad_request', '{"issues":[{"path":[]}]}'])
  assert.deepEqual(await of('a.code'), ['own', '[1]'])
  assert.deepEqual(await of('a.bytes'), ['ok', 'bytes'])
  assert.deepEqual(await of('a.buffer'), ['ok', 'buffer'])
  assert.deepEqual(await of('a.response'), ['ok', '{"from":"Response"}'])
  const get = async (path) => {
    const request = world.requestOf({ type: `GET ${path}`, payload: '' })
    const response = await world.sendHeader('GET', path, request)
    return [response.status, response.headers.get('content-type'), await response.text()]
  }
  assert.deepEqual(await get('/api/json'), [200, 'application/json', '{"x":1}'])
  assert.deepEqual(await get('/api/typed'), [409, 'application/problem+json', '{"x":1}'])
  assert.deepEqual(await get('/api/response'), [201, 'text/html', '<p>'])
})

test('a result that is no JSON, or has both forms, is a defect', async () => {
  const used = new Response('x')
  await used.text()
  const routes = {
    'b.function': () => ({ json: () => 1 }),
    'b.bigint': () => ({ json: 1n }),
    'b.both': () => ({ json: 1, payload: 'x' }),
    'b.status': () => new Response('', { status: 404 }),
    'b.used': () => used
  }
  const logger = { error() {}, warn() {}, info() {}, debug() {} }
  const world = await createWorld({ routes, logger })
  for (const type of Object.keys(routes)) {
    assert.equal((await world.call({ type })).resultCode, 'cs.internal', type)
    assert.ok(world.refusals.at(-1).error instanceof TypeError, type)
  }
})
