// SPDX-License-Identifier: MIT
// A guest from his first visit to his account: client and gateway together, over real sockets (R161, R164).
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect, emailEnrollment, guestEnrollment, memoryStore } from 'countersign'
import {
  createGateway,
  enrollment,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler,
  nodeServer
} from 'countersign/server'
import { createSigner, label } from '../server/kit.mjs'
import { until } from '../unit/harness/wait.mjs'

const closing = []
after(() => Promise.all(closing.map((close) => close())))

const start = async (options = {}) => {
  const shared = { label, signer: createSigner(), sessions: memorySessionStore() }
  const mails = []
  const upgraded = []
  const onUpgraded = ({ guestUserId, userId }) => upgraded.push([guestUserId, userId])
  const mounted = enrollment({ ...shared, mailer: (mail) => mails.push(mail), guests: true, onUpgraded, ...options })
  const gateway = createGateway({
    ...shared,
    replay: memoryReplayStore(),
    events: memoryEventStore(),
    routes: { whoami: ({ userId }) => ({ payload: userId }) },
    enrollment: mounted
  })
  const server = nodeServer(nodeHandler(gateway))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    await gateway.close()
    server.closeAllConnections()
    server.close()
  })
  const store = memoryStore()
  const { keyId: id, publicKey } = shared.signer
  const serverKeys = [{ id, publicKey }]
  const open = () => connect({ url: `http://127.0.0.1:${server.address().port}`, label, serverKeys, store })
  const code = (challengeId) => mails.find((mail) => mail.challengeId === challengeId).code
  return { ...shared, gateway, open, store, code, upgraded }
}
const whoami = async (client) => (await client.request('whoami')).text()

test('R161 a page signs in as a guest, and is the same guest at its next visit', async () => {
  const { open } = await start()
  const client = await open()
  await guestEnrollment(client)
  const guestId = await whoami(client)
  assert.match(guestId, /^guest:[\w-]{22}$/)
  await assert.rejects(guestEnrollment(client), { code: 'ERR_ALREADY_ENROLLED' })
  await client.close()
  const again = await open()
  assert.deepEqual([again.state, await whoami(again)], ['ready', guestId])
  await again.signOut()
  await guestEnrollment(again)
  assert.notEqual(await whoami(again), guestId)
  await again.close()
})

test('R167 the paths of the enrolment move on both sides: codes, guests, and a guest who becomes a user', async () => {
  const enrollmentPath = '/app.v2/sign-in'
  const { open, code } = await start({ enrollmentPath })
  const client = await open()
  // Whoever was not told asks at the usual path, where no enrolment is.
  await assert.rejects(guestEnrollment(client), { code: 'ERR_UNSIGNED_ANSWER' })
  const unmoved = emailEnrollment(client, { email: 'ada@example.com', code })
  await assert.rejects(unmoved, { code: 'ERR_UNSIGNED_ANSWER', message: /send-email-code/ })
  await guestEnrollment(client, { enrollmentPath })
  assert.match(await whoami(client), /^guest:/)
  await emailEnrollment(client, { email: 'ada@example.com', code, enrollmentPath })
  assert.equal(await whoami(client), 'ada@example.com')
  await client.signOut()
  // A single path still has its own option, for a front end that rewrites it.
  const paths = { enrollmentPath: '/elsewhere', sendPath: `${enrollmentPath}/send-email-code` }
  const confirmPath = `${enrollmentPath}/confirm-email-code`
  await emailEnrollment(client, { email: 'bob@example.com', code, ...paths, confirmPath })
  assert.equal(await whoami(client), 'bob@example.com')
  for (const [work, options] of [
    [guestEnrollment, {}],
    [emailEnrollment, { email: 'a@example.com', code }]
  ])
    for (const [wrong, refused] of [
      [null, 'ERR_INVALID_ARGUMENT'],
      [5, 'ERR_INVALID_ARGUMENT'],
      ['', 'ERR_INVALID_TEXT']
    ])
      await assert.rejects(work(client, { ...options, enrollmentPath: wrong }), { code: refused })
  await client.close()
})

test('R167 nothing else lies below the path of the enrolment, and a path that cannot be one is refused', async () => {
  for (const enrollmentPath of [
    ...['', '/', 'sign-in', '/sign-in/', '//sign-in', '/a/../b', '/.', '/a?b', '/a#b', '/a b', '/%61', 'https://x/y'],
    ...[null, 7]
  ])
    await assert.rejects(start({ enrollmentPath }), { code: 'ERR_INVALID_ARGUMENT', message: /enrollmentPath/ })
  const parts = { label, signer: createSigner(), sessions: memorySessionStore(), replay: memoryReplayStore() }
  const mounted = enrollment({ ...parts, mailer() {}, enrollmentPath: '/api/login' })
  const make = (options) => createGateway({ ...parts, routes: {}, enrollment: mounted, ...options })
  const lost = { code: 'ERR_INVALID_ARGUMENT', message: /lies below the path of the enrolment/ }
  assert.throws(() => make({ endpoint: '/api/login/exchange' }), lost)
  assert.throws(() => make({ routes: { 'GET /api/login/me': () => {} } }), lost)
  const near = { 'GET /api/login': () => {}, 'GET /api/logins/x': () => {}, 'demo.echo': () => {} }
  closing.push(() => made.close())
  const made = make({ endpoint: '/api', routes: near })
  const post = (path) =>
    made.handle(
      new Request(`http://gateway${path}`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' }
      })
    )
  const paths = ['/api/login/send-email-code', '/api/login/x', '/api/v1/public/auth/send-email-code']
  const answers = await Promise.all(paths.map(post))
  const problem = 'application/problem+json'
  // The last one is no path of the enrolment any more, and not the one that takes messages.
  assert.deepEqual(
    answers.map(({ status, headers }) => [status, headers.get('content-type')]),
    [
      [400, problem],
      [404, problem],
      [400, null]
    ]
  )
})

test('R164 a guest signs in by mail: new key, new session, and what he did before is told to the application', async () => {
  const { open, sessions, code, upgraded, store } = await start()
  const client = await open()
  await guestEnrollment(client)
  const [guestId, guestSession, guestKey] = [await whoami(client), client.sessionId, client.key.thumbprint]
  const states = []
  client.on('state', (state) => states.push(state))
  let whileAsked
  const ask = async (challengeId) => {
    whileAsked = await whoami(client)
    return code(challengeId)
  }
  await emailEnrollment(client, { email: 'ada@example.com', code: ask })
  assert.equal(whileAsked, guestId, 'the guest goes on until the user is there')
  assert.deepEqual(states, ['signed-out', 'ready'])
  assert.equal(await whoami(client), 'ada@example.com')
  assert.deepEqual(upgraded, [[guestId, 'ada@example.com']])
  assert.notEqual(client.sessionId, guestSession)
  assert.notEqual(client.key.thumbprint, guestKey)
  assert.equal((await sessions.get(guestSession)).status, 'revoked')
  await assert.rejects(emailEnrollment(client, { email: 'b@example.com', code }), { code: 'ERR_ALREADY_ENROLLED' })
  await client.close()
  const again = await open()
  assert.equal(await whoami(again), 'ada@example.com')
  await again.signOut()
  assert.equal(await store.get(label), null)
  assert.equal(await store.get(`${label}:upgrade`), null)
  await again.close()
})

test('R164 a wrong code, a prompt that is closed and a second try leave the guest as he was', async () => {
  const { open, code, upgraded } = await start()
  const client = await open()
  await guestEnrollment(client)
  const guestId = await whoami(client)
  const email = 'ada@example.com'
  await assert.rejects(emailEnrollment(client, { email, code: '000000' }), { code: 'ERR_ENROLLMENT_REFUSED' })
  await assert.rejects(emailEnrollment(client, { email, code: () => null }), { code: 'ERR_ABORTED' })
  assert.deepEqual([client.state, await whoami(client), upgraded], ['ready', guestId, []])
  await emailEnrollment(client, { email, code })
  assert.deepEqual([await whoami(client), upgraded.length], [email, 1])
  await client.close()
})

test('R164 calls and events of the guest end when he becomes a user', async () => {
  const { open, gateway, code } = await start()
  const client = await open()
  await guestEnrollment(client)
  const events = client.events()
  const first = events.next()
  await until(() => client.connection.state === 'live', 'the stream')
  await gateway.publish(client.sessionId, 'demo.note', 'hello')
  assert.equal((await first).value.type, 'demo.note')
  const ended = assert.rejects(events.next(), { code: 'ERR_NO_SESSION' })
  await emailEnrollment(client, { email: 'ada@example.com', code })
  await ended
  await client.close()
})

test('R161 a gateway without guests refuses, and the client says how', async () => {
  const { open } = await start({ guests: false })
  const client = await open()
  const refused = await guestEnrollment(client).catch((error) => error)
  assert.deepEqual([refused.code, refused.cause.problem.code], ['ERR_ENROLLMENT_REFUSED', 'not_found'])
  assert.equal(client.state, 'no-session')
  await client.close()
})
