// SPDX-License-Identifier: MIT
// A clock that jumped years ahead and was corrected: gateways over LMDB and Redis run on in step, and the clock is brought
// back. The clocks run: the tests only set how far they are ahead of this machine's.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bringBackClock } from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { redisStores } from 'countersign/server/redis'
import { until } from '../../unit/harness/wait.mjs'
import { createSigner, createWorld, enrol, openAnswer } from '../kit.mjs'
import { startRedis } from '../stores/redis/server.mjs'

const DAY = 86_400_000
const JUMP = 3650 * DAY
/** The fence of a first start has passed by then. */
const SETTLED = 16_000

const redis = await startRedis()
after(() => redis.stop())
let labels = 0

const kinds = {
  LMDB(t) {
    const path = mkdtempSync(join(tmpdir(), 'countersign-clock-'))
    t.after(() => rmSync(path, { recursive: true, force: true }))
    return async () => lmdbStores({ path })
  },
  Redis() {
    const prefix = `clock${++labels}`
    return () => redisStores({ url: redis.url, label: 'test', prefix, deadlineMs: 1000 })
  }
}

const createRunningClock = (aheadMs = SETTLED) => {
  const now = () => Date.now() + now.aheadMs
  now.aheadMs = aheadMs
  return now
}

/** Opens lives of gateways over one store: each has stores of its own, as a process has. */
const livesOf = (t, kind) => {
  const open = kinds[kind](t)
  const signer = createSigner()
  const start = async (now, { device, ...options } = {}) => {
    const stores = await open()
    const warnings = []
    const onWarning = (warning) => warnings.push(warning)
    const { sessions, replay, codes } = stores
    const world = await createWorld({ sessions, replay, now, signer, onWarning, ...options })
    await world.gateway.ready()
    let ending
    const end = () => {
      ending ??= world.gateway.close().then(() => stores.close())
      return ending
    }
    t.after(end)
    /** The gateway's time, as it signs it in a refusal that costs nothing. */
    const time = async () => (await world.call({ timestampMs: 1000, ...(device ? { device } : {}) })).timestampMs
    return { ...world, codes, warnings, end, time }
  }
  /** A first life that settles, so that later ones begin without a fence. */
  const begin = async () => {
    const now = createRunningClock(0)
    const life = await start(now)
    now.aheadMs = SETTLED
    return { ...life, now }
  }
  return { start, begin, open }
}

/** Runs bringBackClock over stores of its own, as a command does. */
const bringBack = async (open, options) => {
  const { sessions, replay, close } = await open()
  try {
    return await bringBackClock({ sessions, replay, ...options })
  } finally {
    await close()
  }
}

for (const kind of Object.keys(kinds)) {
  test(`C13 R147 ${kind}: after a corrected jump a restarted gateway runs on, with a warning, and heals nothing by itself`, async (t) => {
    const { start, begin } = livesOf(t, kind)
    const one = await begin()
    assert.equal((await one.call()).resultCode, 'ok')
    one.now.aheadMs += JUMP
    assert.equal((await one.call()).resultCode, 'ok')
    const jumpedMs = await one.time()
    assert.deepEqual(one.warnings, [], 'its own clock says nothing of the jump yet')
    await one.end()

    const now = createRunningClock()
    const rates = { perSource: { perSecond: 0.001, burst: 2 } }
    const followed = []
    const enrollment = { owns: () => false, exchange: () => {}, follow: (ms) => followed.push(ms) }
    const two = await start(now, { device: one.device, rates, enrollment })
    assert.ok(followed[0] >= jumpedMs, 'the enrolment has a clock of its own, which follows')
    const restartedMs = await two.time()
    assert.ok(restartedMs >= jumpedMs, 'the clock does not step back')
    const [{ code, aheadMs, message }] = two.warnings
    assert.equal(code, 'clock_ahead')
    assert.ok(aheadMs > JUMP - DAY && aheadMs < JUMP + DAY)
    assert.match(message, /ahead/)
    await two.time()
    assert.equal((await two.sendFrame(one.requestOf().frame)).status, 429, 'the bucket is empty')
    now.aheadMs += 2_000_000
    const later = await two.call({ device: one.device, timestampMs: restartedMs + 2_000_000 })
    assert.equal(later.resultCode, 'ok', 'the bucket has refilled, and a client that follows is served')
    assert.ok(later.timestampMs >= restartedMs + 2_000_000, 'time runs on')
  })

  test(`C13 R65 ${kind}: a sister follows a jump, and a restarted gateway keeps step with her`, async (t) => {
    const { start, begin } = livesOf(t, kind)
    const one = await begin()
    const { device } = one
    const sister = await start(createRunningClock(), { device })
    one.now.aheadMs += JUMP
    const jumpedMs = await one.time()
    await until(async () => (await sister.time()) >= jumpedMs, 'the sister to follow')
    await until(() => sister.warnings.length > 0, 'the warning of the sister')
    await one.end()
    const again = await start(createRunningClock(), { device })
    const beforeMs = await sister.time()
    const ownMs = await again.time()
    const afterMs = await sister.time()
    assert.ok(ownMs >= beforeMs - 5000 && ownMs <= afterMs + 5000, `${beforeMs} ${ownMs} ${afterMs}`)
    const answer = await again.call({ device, timestampMs: await sister.time() })
    assert.equal(answer.resultCode, 'ok')
    assert.equal((await sister.call({ device, timestampMs: await again.time() })).resultCode, 'ok')
  })

  test(`C13 R148 ${kind}: the clock is brought back; what was accepted ahead stays refused, also when that time comes`, async (t) => {
    const { start, begin, open } = livesOf(t, kind)
    const one = await begin()
    const { device } = one
    const dated = await enrol(one.sessions, { userId: 'dated@example.com', nowMs: one.now() })
    const held = one.requestOf({ device: dated, timestampMs: one.now() + 3_600_000 })
    assert.equal((await one.sendFrame(held.frame)).status, 401)
    one.now.aheadMs += JUMP
    const accepted = one.requestOf()
    assert.equal((await one.sendFrame(accepted.frame)).status, 200)
    const young = await enrol(one.sessions, { userId: 'young@example.com', nowMs: one.now() })
    await one.sessions.touch(device.id, one.now())
    const replaced = await enrol(one.sessions, { userId: 'replaced@example.com', nowMs: one.now() - JUMP })
    const { algorithm, publicKey } = device
    await one.sessions.replaceKey(replaced.id, replaced.publicKey, { algorithm, publicKey, atMs: one.now() })
    const email = 'a@example.com'
    await one.codes.create({ id: 'c', email, createdMs: one.now(), expiresMs: one.now() + 600_000 })
    await one.codes.take('k', { limit: 1, windowMs: 60_000, nowMs: one.now() })
    const lastMs = await one.time()

    const now = createRunningClock()
    const running = await bringBack(open, { now })
    assert.deepEqual([running.state, running.ends], ['refused', []])
    assert.match(running.reason, /is running/)
    await one.end()

    const dry = await bringBack(open, { now, isDry: true })
    assert.deepEqual([dry.state, dry.ends], ['back', [dated.id]])
    assert.equal(dry.burnt.length, 1)
    assert.ok(dry.burnt[0].fromMs <= accepted.fields.timestampMs - 60_000)
    assert.ok(dry.burnt[0].toMs >= lastMs + DAY)
    const report = await bringBack(open, { now })
    assert.deepEqual([report.state, report.ends, report.burnt], ['back', dry.ends, dry.burnt])
    assert.ok(report.fenceMs >= now() - 60_000 + 15_000 && report.fenceMs <= now() + 15_000)
    assert.equal((await bringBack(open, { now })).state, 'steady')

    const two = await start(now, { device })
    assert.deepEqual(two.warnings, [])
    const backMs = await two.time()
    assert.ok(backMs <= now() && backMs > now() - DAY)
    // A client that still believes the time ahead keeps its session and learns the time.
    const stale = await openAnswer(await two.sendFrame(accepted.frame), accepted.requestId, two.signer)
    assert.equal(stale.resultCode, 'cs.stale')
    assert.ok(stale.timestampMs <= now())
    now.aheadMs += SETTLED
    assert.equal((await two.call({ device })).resultCode, 'ok')
    const ended = await openAnswer(await two.sendFrame(held.frame), held.requestId, two.signer)
    assert.equal(ended.resultCode, 'cs.session_revoked')
    assert.equal((await two.sessions.get(dated.id)).revokedReason, 'clock')
    const { lastSeenMs } = await two.sessions.get(device.id)
    assert.ok(lastSeenMs <= now())
    const made = await two.sessions.get(young.id)
    assert.ok(made.status === 'active' && made.createdMs <= now() && made.lastSeenMs <= now())
    assert.equal((await two.sessions.get(replaced.id)).previous, undefined)
    assert.equal(await two.codes.get('c', now()), null)
    assert.equal(await two.codes.take('k', { limit: 1, windowMs: 60_000, nowMs: now() }), 0)

    // The time of the accepted request comes, ten years later.
    await two.end()
    now.aheadMs += accepted.fields.timestampMs - now()
    const three = await start(now, { device })
    const again = await openAnswer(await three.sendFrame(accepted.frame), accepted.requestId, three.signer)
    assert.deepEqual([again.resultCode, three.stages.at(-1).stage], ['cs.stale', 'replay'])
    assert.deepEqual(three.handled, [])
  })

  test(`C13 R148 ${kind}: a gateway that ran while the clock was brought back refuses everything until it is restarted`, async (t) => {
    const { start, begin, open } = livesOf(t, kind)
    const one = await begin()
    one.now.aheadMs += JUMP
    assert.equal((await one.call()).resultCode, 'ok')
    const { replay, close } = await open()
    t.after(close)
    await until(async () => {
      const { readingMs, era } = await replay.clock.read(Date.now())
      const nowMs = Date.now() + SETTLED
      const change = { expected: { readingMs, era }, nowMs, systemMs: nowMs, fenceMs: nowMs, burnt: [] }
      return replay.clock.bringBack(change)
    }, 'a moment between two notes')
    await until(async () => (await one.call()).resultCode === 'cs.unavailable', 'the gateway to hear of it')
    await one.end()
    const two = await start(createRunningClock(2 * SETTLED), { device: one.device })
    assert.equal((await two.call({ device: one.device })).resultCode, 'ok')
  })
}

test('C13 R147 kill -9 right after a request was accepted by a clock that jumped: the jump is in the store', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-clock-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  const child = fork(fileURLToPath(new URL('./clock-child.mjs', import.meta.url)), [path, String(JUMP)])
  t.after(() => child.kill('SIGKILL'))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const said = await Promise.race([new Promise((resolve) => child.once('message', resolve)), exited])
  child.kill('SIGKILL')
  await exited
  assert.equal(said.status, 200)
  const stores = lmdbStores({ path })
  const { readingMs } = await stores.replay.clock.read(Date.now())
  assert.ok(readingMs > Date.now() + JUMP - DAY)
  await stores.close()
  const report = await bringBack(async () => lmdbStores({ path }), { now: createRunningClock() })
  assert.equal(report.state, 'back')
  const open = lmdbStores({ path })
  t.after(() => open.close())
  const now = createRunningClock(JUMP + SETTLED)
  const world = await createWorld({ sessions: open.sessions, replay: open.replay, now })
  const frame = Buffer.from(said.frame, 'base64')
  const answer = await openAnswer(await world.sendFrame(frame), said.requestId, world.signer)
  assert.deepEqual([answer.resultCode, world.stages.at(-1).stage], ['cs.stale', 'replay'])
  await world.gateway.close()
})

test('R148 a clock whose way back leads through times it has been at is left ahead, with the reason', async (t) => {
  const { begin, open } = livesOf(t, 'LMDB')
  const one = await begin()
  one.now.aheadMs += 1_800_000
  assert.equal((await one.call()).resultCode, 'ok')
  await one.end()
  const report = await bringBack(open, { now: createRunningClock() })
  assert.equal(report.state, 'refused')
  assert.match(report.reason, /has been at/)
  assert.equal((await bringBack(open, { now: createRunningClock(SETTLED + 1_900_000) })).state, 'steady')
})

test('R147 without a hook the warning goes to the process', async (t) => {
  const { start, begin } = livesOf(t, 'LMDB')
  const one = await begin()
  one.now.aheadMs += JUMP
  await one.time()
  await one.end()
  const warned = new Promise((resolve) => process.once('warning', resolve))
  await start(createRunningClock(), { onWarning: undefined })
  assert.equal((await warned).code, 'COUNTERSIGN_CLOCK_AHEAD')
})
