// SPDX-License-Identifier: MIT
// Guests: who they are, how many there may be (R161, R162), and how one becomes a user (R164).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cachedSessions,
  createGateway,
  memoryCodeStore,
  memoryReplayStore,
  memorySessionStore
} from 'countersign/server'
import { createKey, frameRequest, label, openAnswer, sha256, signRequest } from '../kit.mjs'
import { b64, confirm, confirmBody, createDesk, HOUR, inputOf, MINUTE, problemOf } from './kit.mjs'

const createGuestDesk = (options = {}) => {
  const upgraded = []
  const desk = createDesk({ guests: true, onUpgraded: (event) => upgraded.push(event), ...options })
  return { ...desk, upgraded }
}
const guestChallenge = async (desk, init) => {
  const response = await desk.post('guest-challenge', {}, init)
  assert.equal(response.status, 200)
  const { challenge_id: challengeId } = await response.json()
  return { challengeId, email: `guest:${challengeId}` }
}
const guestBody = (key, challenge, changes) => {
  const { code: _, ...body } = confirmBody(key, challenge)
  return { ...body, ...changes }
}
const confirmGuest = (desk, key, challenge, changes, init) =>
  desk.post('confirm-guest', guestBody(key, challenge, changes), init)

/** A guest of a desk: his key, his session and his user id. */
const enrolGuest = async (desk, init) => {
  const key = createKey()
  const challenge = await guestChallenge(desk, init)
  const response = await confirmGuest(desk, key, challenge, {}, init)
  assert.equal(response.status, 200)
  const { device_session_id: id } = await response.json()
  return { ...key, id, challenge, userId: challenge.email }
}
/** The members by which a guest's key names the user whom he becomes. */
const upgradeOf = (guest, key, challenge) => ({
  guest_session_id: guest.id,
  guest_proof: b64(guest.sign(inputOf(key, challenge)))
})
const stateOf = async (desk, { id }) => {
  const { status, revokedReason } = await desk.sessions.get(id)
  return revokedReason ? `${status}: ${revokedReason}` : status
}

test('R161 a guest enrols without a code; the answer is signed, and his id is `guest:` and 22 characters', async () => {
  for (const algorithm of ['ed25519', 'es256']) {
    const desk = createGuestDesk({ userIdOf: () => 'somebody' })
    const key = createKey(algorithm)
    const challenge = await guestChallenge(desk)
    const requestId = Buffer.from(sha256(inputOf(key, challenge))).toString('base64url')
    const answer = await openAnswer(await confirmGuest(desk, key, challenge), requestId, desk.signer)
    assert.deepEqual([answer.status, answer.resultCode], [200, 'http.200'])
    const { device_session_id: id } = JSON.parse(answer.text)
    const { userId, status, source } = await desk.sessions.get(id)
    assert.match(userId, /^guest:[\w-]{22}$/)
    assert.deepEqual([userId, status, typeof source], [challenge.email, 'active', 'string'])
    assert.deepEqual([desk.enrolled[0].email, desk.enrolled[0].timeZone], [userId, 'Europe/Berlin'])
    assert.equal(desk.mails.length, 0)
    // The identical confirm gives the same session (R85), another key none.
    assert.equal((await (await confirmGuest(desk, key, challenge)).json()).device_session_id, id)
    assert.equal(await problemOf(await confirmGuest(desk, createKey(), challenge)), '409 challenge_used')
  }
})

test('R161 the forms are exact, and without guests there is no such endpoint', async () => {
  const desk = createGuestDesk()
  const key = createKey()
  const challenge = await guestChallenge(desk)
  for (const body of ['', '[]', 'null', { email: 'a@b' }, { a: 1 }])
    assert.equal(await problemOf(await desk.post('guest-challenge', body)), '400 invalid_request')
  for (const [changes, expected] of [
    [{ code: '123456' }, '400 invalid_request'],
    [{ guest_session_id: 'x', guest_proof: 'AAAA' }, '400 invalid_request'],
    [{ proof: b64(new Uint8Array(64)) }, '400 invalid_proof'],
    [{ client_public_key: b64(new Uint8Array(32)) }, '400 invalid_key'],
    [{ challenge_id: 'A'.repeat(22) }, '400 invalid_code']
  ])
    assert.equal(await problemOf(await confirmGuest(desk, key, challenge, changes)), expected)
  desk.now.ms += 10 * MINUTE
  assert.equal(await problemOf(await confirmGuest(desk, key, challenge)), '400 invalid_code')
  const without = createDesk()
  for (const path of ['guest-challenge', 'confirm-guest'])
    assert.equal(await problemOf(await without.post(path, {})), '404 not_found')
  const { guests: _, ...sessions } = memorySessionStore()
  for (const options of [{ guests: 1 }, { guests: true, maxGuests: 0 }, { guests: true, sessions }])
    assert.throws(() => createDesk(options), { code: 'ERR_INVALID_ARGUMENT' })
  assert.doesNotThrow(() => createDesk({ guests: true, sessions: cachedSessions(memorySessionStore()) }))
})

test('H25 R161 the challenge of an address or of an application’s user enrols no guest, and a guest’s no user', async () => {
  const desk = createGuestDesk()
  const key = createKey()
  const mailed = await desk.challengeOf('ada@example.com')
  assert.equal(await problemOf(await confirmGuest(desk, key, mailed)), '400 invalid_code')
  const challengeId = await desk.enrolling.challenge('user-42')
  const own = { challengeId, email: 'user-42' }
  assert.equal(await problemOf(await confirmGuest(desk, key, own)), '400 invalid_code')
  await assert.rejects(desk.enrolling.challenge(`guest:${'A'.repeat(22)}`), { code: 'ERR_INVALID_ARGUMENT' })
  const challenge = await guestChallenge(desk)
  assert.equal(await problemOf(await confirm(desk, key, { ...challenge, code: '123456' })), '400 invalid_code')
  const offer = { ...challenge, algorithm: key.algorithm, publicKey: key.publicKey, proof: key.sign(inputOf(key, own)) }
  assert.equal((await desk.enrolling.confirm('user-42', offer)).status, 400)
  assert.deepEqual(desk.enrolled, [])
})

test('H26 R162 twenty guests an hour for a source, a hundred for its network, and what is refused counts nowhere', async () => {
  for (const [address, same, near, far] of [
    ['192.0.2.1', '192.0.2.1', (at) => `192.0.2.${at}`, '192.0.3.1'],
    ['2001:db8:1:1::1', '2001:db8:1:1:ffff::2', (at) => `2001:db8:1:${at}::1`, '2001:db8:2::1']
  ]) {
    const desk = createGuestDesk()
    const ask = async (remoteAddress) => desk.post('guest-challenge', {}, { remoteAddress })
    for (let count = 0; count < 20; count++) assert.equal((await ask(address)).status, 200)
    for (let count = 0; count < 30; count++) {
      const refused = await ask(same)
      assert.equal(refused.headers.get('retry-after'), '3600')
      assert.equal((await refused.json()).retry_after_ms, HOUR)
    }
    for (let at = 2; at < 6; at++)
      for (let count = 0; count < 20; count++) assert.equal((await ask(near(at))).status, 200)
    assert.equal(await problemOf(await ask(near(9))), '429 too_many_requests')
    assert.equal((await ask(far)).status, 200)
    desk.now.ms += HOUR
    assert.equal((await ask(same)).status, 200)
  }
})

test('H26 R162 beyond the bound on all guests there are no new ones until one ends', async () => {
  const desk = createGuestDesk({ maxGuests: 2 })
  const first = await enrolGuest(desk)
  await enrolGuest(desk)
  const key = createKey()
  const challenge = await guestChallenge(desk)
  const full = await confirmGuest(desk, key, challenge)
  assert.equal(full.headers.get('retry-after'), '60')
  assert.equal(await problemOf(full), '429 too_many_requests')
  assert.equal((await confirm(desk, createKey(), await desk.challengeOf())).status, 200, 'users are no guests')
  await desk.sessions.revoke(first.id, 'x')
  assert.equal((await confirmGuest(desk, key, challenge)).status, 200, 'the same confirm is good then')
})

const OPAQUE = { headers: { origin: 'null' } }

test('H30 R168 guests of pages without an origin are counted apart: five an hour, twenty-five for a network', async () => {
  const desk = createGuestDesk()
  const ask = (remoteAddress, init) => desk.post('guest-challenge', {}, { remoteAddress, ...init })
  for (let at = 1; at <= 5; at++) {
    for (let count = 0; count < 5; count++) assert.equal((await ask(`192.0.2.${at}`, OPAQUE)).status, 200)
    assert.equal(await problemOf(await ask(`192.0.2.${at}`, OPAQUE)), '429 too_many_requests')
  }
  const late = await ask('192.0.2.9', OPAQUE)
  assert.deepEqual([late.headers.get('retry-after'), await problemOf(late)], ['3600', '429 too_many_requests'])
  assert.equal((await ask('192.0.3.1', OPAQUE)).status, 200)
  // None of it counts for pages with an origin, and programs.
  for (const init of [{}, { headers: { origin: 'https://app.example' } }])
    for (let count = 0; count < 10; count++) assert.equal((await ask('192.0.2.1', init)).status, 200)
  assert.equal(await problemOf(await ask('192.0.2.1')), '429 too_many_requests')
  const wide = createGuestDesk({ enrollmentLimits: { opaqueGuestsPerSource: 1, opaqueGuestsPerNetwork: 1 } })
  assert.equal((await wide.post('guest-challenge', {}, OPAQUE)).status, 200)
  assert.equal((await wide.post('guest-challenge', {}, OPAQUE)).status, 429)
})

test('H30 R168 their active guests have an eighth of the room, beside that of the others, wherever they confirm', async () => {
  const desk = createGuestDesk({ maxGuests: 16 })
  // The challenge decides, so a page cannot have its visitors ask, and confirm elsewhere.
  const key = createKey()
  const challenge = await guestChallenge(desk, OPAQUE)
  const { device_session_id: first } = await (await confirmGuest(desk, key, challenge)).json()
  const second = await enrolGuest(desk, OPAQUE)
  const third = await guestChallenge(desk, OPAQUE)
  const thirdKey = createKey()
  for (const init of [OPAQUE, {}])
    assert.equal(await problemOf(await confirmGuest(desk, thirdKey, third, {}, init)), '429 too_many_requests')
  for (let count = 0; count < 16; count++) await enrolGuest(desk)
  const others = await guestChallenge(desk)
  assert.equal(await problemOf(await confirmGuest(desk, createKey(), others)), '429 too_many_requests')
  const sources = await Promise.all([first, second.id].map(async (id) => (await desk.sessions.get(id)).source))
  for (const source of sources) assert.match(source, /^opaque\/./)
  // One who becomes a user leaves room.
  const user = createKey()
  const mailed = await desk.challengeOf()
  assert.equal((await confirm(desk, user, mailed, upgradeOf(second, user, mailed), OPAQUE)).status, 200)
  assert.equal((await confirmGuest(desk, thirdKey, third)).status, 200)
  const small = createGuestDesk({ maxGuests: 1 })
  await enrolGuest(small, OPAQUE)
  await enrolGuest(small)
})

test('R162 a full code store makes no guest, and takes none from the source', async () => {
  const desk = createGuestDesk({ codes: memoryCodeStore({ capacity: 4 }) })
  for (let count = 0; count < 2; count++) await guestChallenge(desk)
  for (let count = 0; count < 30; count++)
    assert.equal(await problemOf(await desk.post('guest-challenge', {})), '429 too_many_requests')
  desk.now.ms += 11 * MINUTE
  for (let count = 0; count < 2; count++) await guestChallenge(desk)
})

test('R162 a guest who was not seen for 30 days ends, and a user does not', async () => {
  const desk = createGuestDesk()
  const { signer, sessions, now } = desk
  const gateway = createGateway({
    ...{ label, signer, sessions, now, replay: memoryReplayStore({ capacity: 1024 }) },
    routes: { echo: () => {} },
    enrollment: desk.enrolling
  })
  const call = async (device) => {
    const request = signRequest(device, { type: 'echo', nowMs: now.ms })
    return (await openAnswer(await gateway.handle(frameRequest(request.frame)), request.requestId, signer)).resultCode
  }
  const idle = await enrolGuest(desk)
  const user = createKey()
  const { device_session_id: id } = await (await confirm(desk, user, await desk.challengeOf())).json()
  now.ms += 29 * 24 * HOUR
  const other = await enrolGuest(desk)
  assert.equal(await call(other), 'ok')
  assert.equal(await stateOf(desk, idle), 'active')
  now.ms += 24 * HOUR + 1
  assert.equal(await call(other), 'ok')
  assert.deepEqual([await stateOf(desk, idle), await stateOf(desk, { id })], ['revoked: idle', 'active'])
  assert.equal(await call(idle), 'cs.session_revoked')
  await gateway.close()
})

test('R164 a guest becomes a user: a new key, a new session, the guest’s has ended, and the application moves his data', async () => {
  const desk = createGuestDesk()
  const guest = await enrolGuest(desk)
  const key = createKey('es256')
  const challenge = await desk.challengeOf('Ada@example.com')
  const answer = await confirm(desk, key, challenge, upgradeOf(guest, key, challenge))
  const { device_session_id: id } = await answer.json()
  assert.notEqual(id, guest.id)
  assert.equal(await stateOf(desk, guest), `revoked: upgraded to ${id}`)
  const [{ guestUserId, userId, session }] = desk.upgraded
  assert.deepEqual([guestUserId, userId, session.id], [guest.userId, 'ada@example.com', id])
  assert.deepEqual(desk.enrolled.at(-1).replaced, [], 'nobody has to be told of the guest’s session')
  // The answer was lost: the same confirm gives the same session, and the data are moved for good.
  const again = await confirm(desk, key, challenge, upgradeOf(guest, key, challenge))
  assert.equal((await again.json()).device_session_id, id)
  assert.equal(desk.upgraded.length, 2)
})

test('R164 an exception of onUpgraded refuses the enrolment, and the same confirm makes up for it', async () => {
  let fails = true
  const moved = []
  const onUpgraded = ({ guestUserId }) => {
    if (fails) throw new Error('the database is away')
    moved.push(guestUserId)
  }
  const desk = createGuestDesk({ onUpgraded })
  const guest = await enrolGuest(desk)
  const key = createKey()
  const challenge = await desk.challengeOf()
  const members = upgradeOf(guest, key, challenge)
  assert.equal(await problemOf(await confirm(desk, key, challenge, members)), '503 unavailable')
  assert.equal(desk.failures[0].message, 'the database is away')
  fails = false
  assert.equal((await confirm(desk, key, challenge, members)).status, 200)
  assert.deepEqual(moved, [guest.userId])
})

test('H27 R164 only the guest’s own key makes a user of him, for one challenge, one key and one user', async () => {
  const desk = createGuestDesk()
  const guest = await enrolGuest(desk)
  const stranger = await enrolGuest(desk)
  const key = createKey()
  const challenge = await desk.challengeOf('ada@example.com')
  const other = await desk.challengeOf('eve@example.com')
  const user = createKey()
  const { device_session_id: userSession } = await (
    await confirm(desk, user, await desk.challengeOf('bob@example.com'))
  ).json()
  const good = upgradeOf(guest, key, challenge)
  const isRefused = async (offered, members, expected = '400 invalid_guest', to = challenge) =>
    assert.equal(await problemOf(await confirm(desk, offered, to, members)), expected)
  await isRefused(key, { ...good, guest_session_id: stranger.id })
  await isRefused(key, { ...good, guest_session_id: 'A'.repeat(22) })
  await isRefused(key, { ...good, guest_session_id: userSession })
  await isRefused(key, upgradeOf({ ...user, id: userSession }, key, challenge))
  await isRefused(key, upgradeOf(guest, key, other))
  await isRefused(key, upgradeOf(guest, createKey(), challenge))
  await isRefused(key, { ...good, guest_proof: b64(new Uint8Array(64)) })
  await isRefused(key, { ...good, guest_proof: '' })
  await isRefused(guest, upgradeOf(guest, guest, challenge), '400 invalid_guest')
  await isRefused(key, { guest_session_id: guest.id }, '400 invalid_request')
  await isRefused(key, { guest_proof: good.guest_proof }, '400 invalid_request')
  assert.deepEqual([await stateOf(desk, guest), desk.upgraded], ['active', []])
  assert.equal((await confirm(desk, key, challenge, good)).status, 200, 'none of these has cost an attempt')

  // A second user, and a confirm that was made without the guest, get nothing of him.
  const late = createKey()
  await isRefused(late, upgradeOf(guest, late, other), '400 invalid_guest', other)
  const plain = createKey()
  const last = await desk.challengeOf('dan@example.com')
  assert.equal((await confirm(desk, plain, last)).status, 200)
  await isRefused(plain, upgradeOf(guest, plain, last), '400 invalid_guest', last)
  assert.deepEqual(
    desk.upgraded.map(({ userId }) => userId),
    ['ada@example.com']
  )
})

test('R164 an application’s own login makes a user of a guest too, and a guest who has ended becomes nobody', async () => {
  const desk = createGuestDesk()
  const guest = await enrolGuest(desk)
  const offerOf = async () => {
    const key = createKey()
    const challenge = { challengeId: await desk.enrolling.challenge('user-42'), email: 'user-42' }
    const input = inputOf(key, challenge)
    const { algorithm, publicKey } = key
    return {
      ...{ challengeId: challenge.challengeId, algorithm, publicKey, proof: key.sign(input) },
      guest: { sessionId: guest.id, proof: guest.sign(input) }
    }
  }
  assert.equal((await desk.enrolling.confirm('user-42', await offerOf())).status, 200)
  assert.deepEqual([desk.upgraded[0].guestUserId, desk.upgraded[0].userId], [guest.userId, 'user-42'])
  const signedOut = await enrolGuest(desk)
  await desk.sessions.revoke(signedOut.id, 'revoked by the user')
  const key = createKey()
  const challenge = await desk.challengeOf()
  const refused = await confirm(desk, key, challenge, upgradeOf(signedOut, key, challenge))
  assert.equal(await problemOf(refused), '400 invalid_guest')
})
