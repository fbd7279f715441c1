// SPDX-License-Identifier: MIT
// The gateway behind web-standard Requests, and its start.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorld, FRAME, frameRequest, isPlain, openAnswer } from '../kit.mjs'

test('I2 handle takes the raw target from its caller, else from the URL', async () => {
  const world = await createWorld()
  const request = world.requestOf({ type: 'POST /a/../api/echo', payload: '' })
  const headers = { countersign: Buffer.from(request.envelope).toString('base64url') }
  const post = (from) =>
    world.gateway.handle(new Request('http://gateway/a/../api/echo', { method: 'POST', headers }), from)
  await isPlain(await post(), 400)
  const answer = await openAnswer(await post({ rawTarget: '/a/../api/echo' }), request.requestId, world.signer)
  assert.equal(answer.resultCode, 'http.404')
})

test('I2 a Request whose body other code has read, or holds, is a typed error, and reaches no stage', async () => {
  const world = await createWorld()
  const read = frameRequest(world.requestOf().frame)
  await read.arrayBuffer()
  const held = frameRequest(world.requestOf().frame)
  held.body.getReader()
  for (const request of [read, held])
    await assert.rejects(world.gateway.handle(request), { code: 'ERR_BODY_CONSUMED', category: 'usage' })
  assert.deepEqual([world.refusals, world.stages], [[], []])
})

test('R35 a gateway that cannot load its core refuses plainly and tries again', async () => {
  let loads = 0
  const world = await createWorld({
    get core() {
      loads += 1
      return Promise.reject(new Error('no wasm'))
    }
  })
  const response = await world.sendFrame(world.requestOf().frame, { headers: { 'content-type': FRAME } })
  assert.deepEqual([response.status, (await response.arrayBuffer()).byteLength], [503, 0])
  assert.match(world.gateway.metrics(), /countersign_fail_closed_total\{reason="core"\} 1/)
  await assert.rejects(world.gateway.ready(), /no wasm/)
  assert.ok(loads > 0)
})

test('R35 a gateway starts where a timer is a number, as it is outside of Node', async (t) => {
  const { setInterval: setNodeInterval } = globalThis
  const timers = []
  t.after(() => {
    globalThis.setInterval = setNodeInterval
    for (const timer of timers) clearInterval(timer)
  })
  globalThis.setInterval = (...args) => {
    timers.push(setNodeInterval(...args))
    return Number(timers.at(-1))
  }
  const world = await createWorld()
  const request = world.requestOf()
  const response = await world.gateway.handle(frameRequest(request.frame), {})
  const answer = await openAnswer(response, request.requestId, world.signer)
  assert.equal(answer.resultCode, 'ok')
  assert.ok(timers.length > 0)
})
