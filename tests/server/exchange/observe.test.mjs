// SPDX-License-Identifier: MIT
// Metrics and hooks: what an operator sees, and what must never be seen.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorld, randomId } from '../kit.mjs'

test('P1 metrics are Prometheus text, and nothing a client sends adds a series', async () => {
  const world = await createWorld({ compatible: true })
  const run = async (round) => {
    for (const type of ['demo.echo', `x${round}"} 1\n# evil`, `type-${round}`])
      await world.call({ type }).catch(() => {})
    await world.call({ sessionId: `s${round}` })
    await world.call({ timestampMs: 1 })
    await world.call({ version: `v${round + 5}` })
    await world.sendFrame(Buffer.from(`junk${round}`))
  }
  await run(0)
  const names = (text) =>
    text
      .split('\n')
      .filter((line) => line && !line.startsWith('#'))
      .map((line) => line.replace(/ \S+$/, ''))
  const before = world.gateway.metrics()
  await run(1)
  assert.deepEqual(names(world.gateway.metrics()), names(before))
  for (const line of before.trim().split('\n')) {
    assert.match(
      line,
      /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? -?[\d.e+-]+)$/
    )
  }
  for (const part of [
    'countersign_stage_total{binding="frame",stage="freshness",verdict="fail",code="cs.stale"} 1',
    'countersign_stage_seconds_bucket{stage="signature",le="+Inf"}',
    'countersign_clock_skew_seconds_count',
    'countersign_replay_ids ',
    'countersign_answers_total{status="401"}'
  ]) {
    assert.ok(before.includes(part), part)
  }
})

test('P1 the skew of clocks is counted for verified requests only', async () => {
  const world = await createWorld()
  await world.call({ signature: new Uint8Array(64), timestampMs: 5 })
  assert.match(world.gateway.metrics(), /countersign_clock_skew_seconds_count 0/)
  await world.call({ timestampMs: world.now() + 3000 })
  assert.match(world.gateway.metrics(), /countersign_clock_skew_seconds_bucket\{le="5"\} 1/)
  assert.match(world.gateway.metrics(), /countersign_clock_skew_seconds_bucket\{le="2"\} 0/)
})

test('H3 hooks get printable ASCII: no line can be added to a log, no terminal spoken to', async () => {
  const world = await createWorld({ compatible: true, identify: () => '1.2.3.4\r\nrefused source=\u001b[31m' })
  const nasty = ['\u0085next\u2028line\u2029', '\u009b31mred', '\u202etxt.exe', 'é😀', 'back\\slash']
  for (const text of nasty) await world.call({ sessionId: text, type: text, requestId: text })
  const events = [...world.stages, ...world.refusals]
  assert.ok(events.length > nasty.length * 2)
  for (const event of events) assert.match(JSON.stringify(event), /^[\x20-\x7e]*$/)
  assert.ok(world.refusals.some(({ sessionId }) => sessionId === '\\u202etxt.exe'))
  assert.ok(world.refusals.some(({ sessionId }) => sessionId === 'back\\\\slash'))
})

test('H3 no hook and no metric ever holds a payload, a key, a signature or an envelope', async () => {
  const world = await createWorld()
  const payload = 'PAYLOAD-SECRET-0123456789'
  const requests = [
    world.requestOf({ payload }),
    world.requestOf({ payload, timestampMs: 1 }),
    world.requestOf({ payload, signature: Buffer.alloc(64, 0x5a) }),
    world.requestOf({ payload, sessionId: randomId() })
  ]
  for (const request of requests) await world.sendFrame(request.frame)
  await world.sendFrame(Buffer.concat([requests[0].envelope, Buffer.from('PAYLOAD-SECRET-other')]))
  const text = JSON.stringify([world.stages, world.refusals]) + world.gateway.metrics()
  assert.ok(!text.includes('PAYLOAD-SECRET'))
  const secrets = [
    ...requests.map(({ signature }) => signature),
    ...requests.map(({ envelope }) => envelope.subarray(0, 60)),
    world.device.publicKey,
    world.signer.publicKey
  ]
  for (const secret of secrets)
    for (const encoding of ['hex', 'base64', 'base64url'])
      assert.ok(!text.includes(Buffer.from(secret).toString(encoding).slice(0, 40)))
})

test('I5 a refusal is told once, with its stage, status and source', async () => {
  const world = await createWorld({ identify: (request) => `${request.method} ${request.header('user-agent')}` })
  const request = world.requestOf({ timestampMs: 1 })
  await world.sendFrame(request.frame, { headers: { 'user-agent': 'test' } })
  assert.deepEqual(world.refusals, [
    {
      exchange: 1,
      stage: 'freshness',
      code: 'cs.stale',
      status: 401,
      signed: true,
      requestId: request.requestId,
      sessionId: world.device.id,
      source: 'POST test'
    }
  ])
  await world.sendFrame(Buffer.from('junk'))
  const { exchange, stage, code, status, signed } = world.refusals[1]
  assert.deepEqual(
    { exchange, stage, code, status, signed },
    { exchange: 2, stage: 'parse', code: 'ERR_BAD_MAGIC', status: 400, signed: false }
  )
})
