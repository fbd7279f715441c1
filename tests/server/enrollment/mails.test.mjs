// SPDX-License-Identifier: MIT
// The bounds on mails: of a source and its network, of an address, and of all together.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway, memoryCodeStore, memoryReplayStore, memorySessionStore } from 'countersign/server'
import { createKey, label } from '../kit.mjs'
import { confirm, createDesk, HOUR, problemOf } from './kit.mjs'

const DAY = 24 * HOUR
const from = (remoteAddress) => ({ remoteAddress })
/** sendAll asks for a mail for each address, one after the other, and returns the statuses. */
const sendAll = async (desk, emails, init) => {
  const statuses = []
  for (const email of emails) statuses.push((await desk.send(email, init)).status)
  return statuses
}
const many = (count, prefix = 'u') => Array.from({ length: count }, (_, index) => `${prefix}${index}@x`)
const count = (statuses, status) => statuses.filter((each) => each === status).length

test('R86 five mails an hour for an address and a source, in any case of its letters', async () => {
  const desk = createDesk()
  assert.deepEqual(await sendAll(desk, ['a@x', 'A@x', 'a@X', 'a@x', 'A@X']), [200, 200, 200, 200, 200])
  const refused = await desk.send('a@x')
  assert.equal(refused.headers.get('retry-after'), '3600')
  assert.equal(await problemOf(refused), '429 too_many_requests')
  assert.equal((await desk.send('a@x', from('198.51.100.7'))).status, 200, 'another source has its own five')
  assert.equal((await desk.send('b@x')).status, 200)
  desk.now.ms += HOUR
  assert.equal((await desk.send('a@x')).status, 200)
})

test('R86 a hundred mails an hour for a source', async () => {
  const desk = createDesk()
  assert.equal(count(await sendAll(desk, many(100)), 200), 100)
  assert.equal((await desk.send('one-more@x')).status, 429)
  assert.equal((await desk.send('one-more@x', from('198.51.100.7'))).status, 200)
  assert.equal(desk.mails.length, 101)
})

test('H8 R86 a source over its bound leaves nothing in the store, so it cannot close the sign-in of others', async () => {
  const desk = createDesk({ codes: memoryCodeStore({ capacity: 420 }) })
  assert.equal(count(await sendAll(desk, many(100)), 200), 100)
  assert.equal(count(await sendAll(desk, many(1000, 'v')), 429), 1000)
  assert.equal((await desk.send('honest@x', from('198.51.100.7'))).status, 200)
})

test('R86 a mail that its address may not have costs its source nothing', async () => {
  const desk = createDesk()
  assert.equal(count(await sendAll(desk, Array(5).fill('a@x')), 200), 5)
  assert.equal(count(await sendAll(desk, Array(200).fill('a@x')), 429), 200)
  assert.equal(count(await sendAll(desk, many(95)), 200), 95)
})

test('R86 a mail whose challenge finds no room costs its address nothing, nor all addresses together', async () => {
  const codes = memoryCodeStore()
  let isFull = true
  const create = async (challenge) => !isFull && codes.create(challenge)
  const desk = createDesk({ codes: { ...codes, create }, mailsPerHour: 5 })
  assert.equal(count(await sendAll(desk, Array(20).fill('a@x')), 429), 20)
  isFull = false
  assert.equal(count(await sendAll(desk, Array(5).fill('a@x')), 200), 5)
  assert.deepEqual(desk.enrolling.mails(), { sent: 5, held: 0, failed: 0 })
})

test('H8 R86 all addresses of one IPv6 network of 64 bits are one source', async () => {
  const desk = createDesk()
  for (const [index, email] of many(100).entries())
    assert.equal((await desk.send(email, from(`2001:db8:0:1::${index.toString(16)}`))).status, 200)
  assert.equal((await desk.send('v@x', from('2001:DB8:0:1:ffff::1'))).status, 429)
  assert.equal((await desk.send('v@x', from('2001:db8:0:2::1'))).status, 200)
})

for (const [name, addressOf, other] of [
  ['IPv6 network of 48 bits', (index) => `2001:db8:7:${index.toString(16)}::1`, '2001:db8:8::1'],
  ['IPv4 network of 24 bits', (index) => `198.51.100.${index}`, '198.51.101.1'],
  ['IPv4 network of 24 bits, written as IPv6', (index) => `::ffff:198.51.100.${index}`, '::ffff:198.51.101.1']
])
  test(`H8 R86 four hundred mails an hour for an ${name}, and a store that the rest does not fill`, async () => {
    const desk = createDesk({ codes: memoryCodeStore({ capacity: 2000 }) })
    const statuses = []
    for (const [index, email] of many(2000).entries())
      statuses.push((await desk.send(email, from(addressOf(index % 250)))).status)
    assert.deepEqual([count(statuses, 200), count(statuses, 429), desk.mails.length], [400, 1600, 400])
    assert.equal((await desk.send('honest@x', from(other))).status, 200)
  })

/** signIn enrols a device of an address from a source. */
const signIn = async (desk, email, init) => {
  const response = await confirm(desk, createKey(), await desk.challengeOf(email, init), {}, init)
  assert.equal(response.status, 200)
  return (await response.json()).device_session_id
}
/** flood uses up what strangers may ask for an address. */
const flood = async (desk, email) => {
  for (let source = 0; source < 10; source++) await sendAll(desk, Array(5).fill(email), from(`203.0.113.${source}`))
}

test('H8 R86 of twenty mails an hour for an address five are kept for sources that signed in to it', async () => {
  const desk = createDesk()
  const home = from('198.51.100.7')
  await signIn(desk, 'Ada@x', home)
  desk.now.ms += 89 * DAY
  const before = desk.mails.length
  await flood(desk, 'ada@x')
  assert.equal(desk.mails.length - before, 15)
  assert.equal((await desk.send('ada@x', from('192.0.2.77'))).status, 429, 'a source that is not known')
  assert.deepEqual(await sendAll(desk, Array(6).fill('ada@x'), home), [200, 200, 200, 200, 200, 429])
  assert.equal(desk.mails.length - before, 20)
})

test('R86 a source is known for ninety days, for its own address, and not for another', async () => {
  const desk = createDesk()
  const home = from('198.51.100.7')
  await signIn(desk, 'ada@x', home)
  await flood(desk, 'eve@x')
  assert.equal((await desk.send('eve@x', home)).status, 429)
  desk.now.ms += 90 * DAY
  await flood(desk, 'ada@x')
  assert.equal((await desk.send('ada@x', home)).status, 429)
})

test('H8 R82 over mailsPerHour every address gets its answer, and only those without a session get no mail', async () => {
  for (const mailsPerHour of [10, 130, 260]) {
    const desk = createDesk({ mailsPerHour })
    const known = 'ada@x'
    const id = await signIn(desk, known)
    desk.now.ms += HOUR
    const before = desk.mails.length
    const shapes = new Set()
    for (const [index, email] of many(mailsPerHour + 50).entries()) {
      const response = await desk.send(email, from(`10.${index % 200}.0.1`))
      shapes.add(JSON.stringify([response.status, [...response.headers], Object.keys(await response.json())]))
    }
    const sent = desk.mails.length - before
    // Kept in parts of 125: a few may be left when the parts that a mail tried are full.
    assert.ok(sent <= mailsPerHour && sent >= mailsPerHour * 0.9, `${sent} of ${mailsPerHour}`)
    const answered = await desk.send(known, from('198.51.100.7'))
    shapes.add(JSON.stringify([answered.status, [...answered.headers], Object.keys(await answered.json())]))
    assert.equal(shapes.size, 1, 'nobody can tell them apart')
    // The mail itself does not wait for the answer, nor the answer for it.
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(desk.mails.at(-1).email, known)
    assert.deepEqual(desk.enrolling.mails(), {
      sent: desk.mails.length,
      held: mailsPerHour + 50 - sent,
      failed: 0
    })
    assert.equal((await desk.sessions.get(id)).status, 'active')
    desk.now.ms += HOUR
    assert.equal((await desk.send('new@x', from('198.51.100.9'))).status, 200)
    assert.equal(desk.mails.at(-1).email, 'new@x')
  }
})

test('R82 the metrics of the gateway count mails by result', async () => {
  const desk = createDesk({
    mailsPerHour: 2,
    mailer: ({ email }) => {
      if (email === 'bad@x') throw new Error('refused')
    }
  })
  const { signer, sessions, now, enrolling } = desk
  const gateway = createGateway({
    ...{ label, signer, sessions, now, enrollment: enrolling, routes: {} },
    replay: memoryReplayStore({ capacity: 64 })
  })
  await sendAll(desk, ['good@x', 'bad@x', 'late@x'])
  await new Promise((resolve) => setImmediate(resolve))
  const lines = gateway.metrics().match(/^countersign_enrollment_mails\{.*$/gm)
  assert.deepEqual(lines, [
    'countersign_enrollment_mails{result="sent"} 1',
    'countersign_enrollment_mails{result="held"} 1',
    'countersign_enrollment_mails{result="failed"} 1'
  ])
  await gateway.close()
})

test('mailsPerHour is a whole number, at least 1', () => {
  for (const mailsPerHour of [0, -1, 1.5, '5', Number.NaN, 1_000_001])
    assert.throws(() => createDesk({ mailsPerHour, sessions: memorySessionStore() }), { code: 'ERR_INVALID_ARGUMENT' })
})
