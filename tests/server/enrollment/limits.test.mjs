// SPDX-License-Identifier: MIT
// The limits on codes, guesses and mails, and a confirm that is repeated.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryCodeStore, memorySessionStore } from 'countersign/server'
import { createKey } from '../kit.mjs'
import { confirm, createDesk, HOUR, MINUTE, problemOf, wrong } from './kit.mjs'

test('R82 codes have six digits or more, of all kinds, and none is like the other', async () => {
  for (const digits of [undefined, 6, 8]) {
    const desk = createDesk({ digits })
    const codes = []
    for (let count = 0; count < 60; count++) codes.push((await desk.challengeOf(`u${count}@example.com`)).code)
    assert.ok(codes.every((code) => new RegExp(`^\\d{${digits === 8 ? 8 : 6}}$`).test(code)))
    assert.ok(new Set(codes).size > 55)
    assert.equal(new Set(codes.map((code) => code[0])).size > 5, true)
  }
})

test('R82 the code store never holds a code', async () => {
  const seen = []
  const codes = memoryCodeStore()
  const desk = createDesk({
    codes: {
      ...codes,
      create(challenge) {
        seen.push(challenge)
        return codes.create(challenge)
      }
    }
  })
  const { code } = await desk.challengeOf()
  assert.equal(seen[0].codeHash.length, 32)
  assert.ok(!JSON.stringify(seen).includes(code))
})

test('R85 five wrong codes end a challenge, the right one included after them', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  for (let count = 0; count < 5; count++) {
    assert.equal(
      await problemOf(await confirm(desk, key, challenge, { code: wrong(challenge.code) })),
      '400 invalid_code'
    )
  }
  const response = await confirm(desk, key, challenge)
  assert.ok(Number(response.headers.get('retry-after')) > 0)
  assert.equal(await problemOf(response), '429 too_many_requests')
  assert.equal((await confirm(desk, key, await desk.challengeOf())).status, 200)
})

test('R85 guesses made at once count like guesses made in turn', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => confirm(desk, key, challenge, { code: wrong(challenge.code) }))
  )
  const statuses = answers.map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 400).length, 5)
  assert.equal(statuses.filter((status) => status === 429).length, 35)
})

// Three challenges, five wrong codes each. The sources and the times are those of mails that may be sent.
const guessFifteen = async (desk, email, remoteAddress) => {
  const key = createKey()
  for (let round = 0; round < 3; round++) {
    const challenge = await desk.challengeOf(email, { remoteAddress })
    for (let count = 0; count < 5; count++) {
      const answer = await confirm(desk, key, challenge, { code: wrong(challenge.code) }, { remoteAddress })
      assert.equal(await problemOf(answer), '400 invalid_code')
    }
  }
}
const OWNER = { remoteAddress: '198.51.100.7' }

test('H8 R86 a stranger who guesses does not lock an address out: its codes have ten digits for a day', async () => {
  const desk = createDesk()
  const open = await desk.challengeOf('ada@example.com', OWNER)
  await guessFifteen(desk, 'Ada@example.com', '203.0.113.9')
  const ended = await confirm(desk, createKey(), open, {}, OWNER)
  assert.equal(await problemOf(ended), '400 invalid_code', 'a code of six digits that was open has ended')
  desk.now.ms += HOUR
  const long = await desk.challengeOf('ada@example.com', OWNER)
  assert.match(long.code, /^\d{10}$/)
  assert.equal((await confirm(desk, createKey(), long, {}, OWNER)).status, 200)
  assert.match((await desk.challengeOf('eve@example.com', OWNER)).code, /^\d{6}$/)
  desk.now.ms += 23 * HOUR
  assert.match((await desk.challengeOf('ada@example.com', OWNER)).code, /^\d{6}$/)
})

test('R86 each further fifteen wrong codes extend the time of long codes', async () => {
  const desk = createDesk()
  await guessFifteen(desk, 'ada@example.com', '203.0.113.9')
  desk.now.ms += 20 * HOUR
  await guessFifteen(desk, 'ada@example.com', '203.0.113.10')
  desk.now.ms += 20 * HOUR
  assert.match((await desk.challengeOf('ada@example.com', OWNER)).code, /^\d{10}$/)
  await guessFifteen(desk, 'ada@example.com', '203.0.113.11')
  desk.now.ms += 20 * HOUR
  assert.match((await desk.challengeOf('ada@example.com', OWNER)).code, /^\d{10}$/)
  desk.now.ms += 5 * HOUR
  assert.match((await desk.challengeOf('ada@example.com', OWNER)).code, /^\d{6}$/)
})

test('R86 a source with fifteen wrong codes for an address is refused there for a day, unless its code is long', async () => {
  const desk = createDesk()
  await guessFifteen(desk, 'ada@example.com', '203.0.113.9')
  desk.now.ms += HOUR
  const again = await desk.challengeOf('ada@example.com', OWNER)
  const guess = (code, remoteAddress) => confirm(desk, createKey(), again, { code }, { remoteAddress })
  assert.equal(await problemOf(await guess('123456', '203.0.113.9')), '429 too_many_requests')
  assert.equal(await problemOf(await guess('123456', '203.0.113.10')), '400 invalid_code')
  assert.equal((await guess(again.code, '203.0.113.9')).status, 200, 'its owner may sit behind the same address')
  const other = await desk.challengeOf('eve@example.com', { remoteAddress: '203.0.113.9' })
  assert.equal((await confirm(desk, createKey(), other, {}, { remoteAddress: '203.0.113.9' })).status, 200)
})

test('R86 of many guesses at once, at several challenges, no more than fifteen may be right with six digits', async () => {
  const desk = createDesk()
  const challenges = []
  for (let count = 0; count < 5; count++)
    challenges.push(await desk.challengeOf('ada@example.com', { remoteAddress: `203.0.113.${count}` }))
  const guesses = challenges.flatMap((challenge, at) =>
    Array.from({ length: 4 }, () =>
      confirm(desk, createKey(), challenge, { code: wrong(challenge.code) }, { remoteAddress: `203.0.113.${at}` })
    )
  )
  // The last guess is right, and comes behind sixteen that are not: it is one too many.
  const last = challenges.at(-1)
  const right = confirm(desk, createKey(), last, {}, { remoteAddress: '203.0.113.4' })
  const statuses = (await Promise.all([...guesses, right])).map(({ status }) => status)
  assert.deepEqual([...new Set(statuses)], [400])
})

test('R86 a mailbox whose name continues that of another shares no counter with it', async () => {
  const desk = createDesk()
  await guessFifteen(desk, 'ada@example.com/more', '203.0.113.9')
  assert.match((await desk.challengeOf('ada@example.com', OWNER)).code, /^\d{6}$/)
})

test('R86 right codes do not count', async () => {
  const desk = createDesk()
  for (let count = 0; count < 20; count++) {
    assert.equal((await confirm(desk, createKey(), await desk.challengeOf('a@example.com'))).status, 200)
    desk.now.ms += 13 * MINUTE
  }
})

test('R82 a code lives ten minutes', async () => {
  const desk = createDesk()
  const key = createKey()
  const early = await desk.challengeOf()
  desk.now.ms += 10 * MINUTE - 1
  assert.equal((await confirm(desk, key, early)).status, 200)
  const late = await desk.challengeOf()
  desk.now.ms += 10 * MINUTE
  assert.equal(await problemOf(await confirm(desk, key, late)), '400 invalid_code')
})

test('R82 an unknown challenge, an expired and a wrong code are one answer', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  const unknown = { ...challenge, challengeId: 'A'.repeat(22) }
  const first = await (await confirm(desk, key, unknown)).text()
  const second = await (await confirm(desk, key, challenge, { code: wrong(challenge.code) })).text()
  assert.equal(first, second)
})

test('R82 a full code store refuses and forgets nothing: a right code is no wrong one then', async () => {
  const desk = createDesk({ codes: memoryCodeStore({ capacity: 8 }) })
  const first = await desk.challengeOf()
  let refused = 0
  for (let count = 0; count < 10; count++)
    if ((await desk.send(`u${count}@x`, { remoteAddress: `192.0.2.${count + 9}` })).status === 429) refused += 1
  assert.ok(refused > 0)
  desk.now.ms += 10 * MINUTE - 1
  const key = createKey()
  for (let count = 0; count < 20; count++)
    assert.equal(await problemOf(await confirm(desk, key, first)), '429 too_many_requests')
})

test('R82 where the store has room again, a code that was refused for want of it is good', async () => {
  const codes = memoryCodeStore()
  let isFull = true
  // As a full store does: nothing new is counted, and a look at what is not there finds nothing.
  const take = async (key, allowance) =>
    isFull && !allowance.isProbe && key.startsWith('wrong/address/') ? allowance.windowMs : codes.take(key, allowance)
  const desk = createDesk({ codes: { ...codes, take } })
  const challenge = await desk.challengeOf()
  const key = createKey()
  for (let count = 0; count < 20; count++) assert.equal((await confirm(desk, key, challenge)).status, 429)
  isFull = false
  assert.equal((await confirm(desk, key, challenge)).status, 200)
})

test('R85 the identical confirm repeated gives the same session, a different one is refused', async () => {
  for (const algorithm of ['ed25519', 'es256']) {
    const desk = createDesk()
    const challenge = await desk.challengeOf()
    const key = createKey(algorithm)
    // ES256 makes another signature each time, so only the key is identical.
    const answers = await Promise.all([1, 2, 3].map(() => confirm(desk, key, challenge)))
    const ids = await Promise.all(answers.map((response) => response.json().then((body) => body.device_session_id)))
    assert.equal(new Set(ids).size, 1)
    assert.equal(await problemOf(await confirm(desk, createKey(algorithm), challenge)), '409 challenge_used')
    assert.equal(
      await problemOf(await confirm(desk, key, challenge, { code: wrong(challenge.code) })),
      '400 invalid_code'
    )
    assert.equal((await desk.sessions.listByUser('a@example.com')).length, 1)
  }
})

test('R85 a confirm that was cut off between its two commits is made whole by repeating it', async () => {
  const sessions = memorySessionStore()
  let fails = true
  const create = (session) => (fails ? Promise.reject(new Error('killed')) : sessions.create(session))
  const desk = createDesk({ sessions: { ...sessions, create } })
  const challenge = await desk.challengeOf()
  const key = createKey()
  assert.equal(await problemOf(await confirm(desk, key, challenge)), '503 unavailable')
  assert.equal(desk.failures[0].message, 'killed')
  fails = false
  const { device_session_id: id } = await (await confirm(desk, key, challenge)).json()
  assert.equal((await sessions.get(id)).status, 'active')
})

test('R86 each limit is an option', async () => {
  const desk = createDesk({ enrollmentLimits: { wrongCodesPerChallenge: 2, mailsPerAddressAndSource: 1 } })
  const challenge = await desk.challengeOf()
  assert.equal(await problemOf(await desk.send('a@example.com')), '429 too_many_requests')
  const guess = () => confirm(desk, createKey(), challenge, { code: wrong(challenge.code) })
  for (let count = 0; count < 2; count++) assert.equal(await problemOf(await guess()), '400 invalid_code')
  assert.equal(await problemOf(await guess()), '429 too_many_requests')
  for (const enrollmentLimits of [
    null,
    7,
    'production',
    { mailsPerSource: 0 },
    { mailsPerSource: 1.5 },
    { mailsPerHour: 9 }
  ])
    assert.throws(() => createDesk({ enrollmentLimits }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('R86 the limits for development let one person sign in again and again, and are none for production', async () => {
  const desk = createDesk({ enrollmentLimits: 'development' })
  for (let count = 0; count < 120; count++)
    assert.equal((await confirm(desk, createKey(), await desk.challengeOf())).status, 200)
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = 'production'
  try {
    assert.throws(() => createDesk({ enrollmentLimits: 'development' }), { code: 'ERR_INVALID_ARGUMENT' })
  } finally {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  }
})
