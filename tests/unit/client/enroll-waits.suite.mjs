// SPDX-License-Identifier: MIT
// An enrolment that waits for its user: what ends the wait, what takes its place, and what the user may type (R160).

import { connect, emailEnrollment } from 'countersign'
import { turns, until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, faults, optionsFor } from './fixture.mjs'

const isConfirm = ({ messageType }) => messageType === 'confirm'
const bodyOf = ({ init }) => JSON.parse(typeof init.body === 'string' ? init.body : new TextDecoder().decode(init.body))

const fresh = async () => {
  const gateway = await fakeGateway()
  return { gateway, client: await connect(optionsFor(gateway)) }
}

/** Begins an enrolment whose user never answers. Resolves when it waits for the code. */
const wait = async (client, options = {}) => {
  const asked = []
  const code = (challengeId, { signal }) => {
    asked.push({ challengeId, signal })
    return new Promise(() => {})
  }
  const ended = emailEnrollment(client, { email: 'wrong@example.com', code, ...options }).then(
    () => 'enrolled',
    (error) => error
  )
  await until(() => asked.length > 0, 'the question for the code')
  return { ended, dialogue: asked[0].signal }
}

export const suite = (test, assert) => {
  test('an abort ends the wait for a code, and its dialogue; the next enrolment is not in its way', async () => {
    const { client, gateway } = await fresh()
    const controller = new AbortController()
    const reason = new Error('closed')
    const { ended, dialogue } = await wait(client, { signal: controller.signal })
    assert.equal(dialogue.aborted, false)
    controller.abort(reason)
    const error = await ended
    assert.deepEqual([error.code, error.cause], ['ERR_ABORTED', reason])
    assert.equal(dialogue.aborted, true)
    await enrol(client, gateway)
    assert.equal(client.state, 'ready')
  })

  test('a signal that has aborted before asks nobody, with an earlier challenge too', async () => {
    const { client, gateway } = await fresh()
    let asked = 0
    const code = () => {
      asked++
      return gateway.code
    }
    const options = { email: 'ada@example.com', code, signal: AbortSignal.abort() }
    await assert.rejects(emailEnrollment(client, options), { code: 'ERR_ABORTED' })
    await assert.rejects(emailEnrollment(client, { ...options, challengeId: 'AAAA' }), { code: 'ERR_ABORTED' })
    await assert.rejects(emailEnrollment(client, { ...options, signal: 7 }), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(asked, 0)
  })

  test('closing the client ends the wait for a code', async () => {
    const { client } = await fresh()
    const { ended, dialogue } = await wait(client)
    await client.close()
    assert.equal((await ended).code, 'ERR_CLOSED')
    assert.equal(dialogue.aborted, true)
  })

  test('a second enrolment takes the place of one that waits for its code', async () => {
    const { client, gateway } = await fresh()
    const states = []
    client.on('state', (state) => states.push(state))
    const { ended, dialogue } = await wait(client)
    await enrol(client, gateway)
    const error = await ended
    assert.deepEqual([error.code, dialogue.aborted], ['ERR_ABORTED', true])
    assert.deepEqual(states, ['ready'])
    assert.equal(gateway.sessions.size, 1)
  })

  test('of many enrolments begun at once one comes through, and the others say so', async () => {
    const { client, gateway } = await fresh()
    const one = () =>
      enrol(client, gateway).then(
        () => 'enrolled',
        ({ code }) => code
      )
    const results = await Promise.all([one(), one(), one()])
    assert.equal(results.filter((result) => result === 'enrolled').length, 1)
    assert.ok(results.every((result) => ['enrolled', 'ERR_ABORTED', 'ERR_ALREADY_ENROLLED'].includes(result)))
    assert.deepEqual([client.state, gateway.sessions.size], ['ready', 1])
  })

  test('an enrolment whose place was taken makes no proof any more', async () => {
    const { client, gateway } = await fresh()
    let given
    const first = client.enroll((registration) => {
      given = registration
      return new Promise(() => {})
    })
    const ended = assert.rejects(first, { code: 'ERR_ABORTED' })
    await until(() => given, 'the first registration')
    await enrol(client, gateway)
    await ended
    assert.equal(given.signal.aborted, true)
    await assert.rejects(given.prove('AAAA', 'ada@example.com'), { code: 'ERR_ABORTED' })
  })

  test('an enrolment whose confirmation was sent is awaited: its session is the one that counts', async () => {
    const { client, gateway } = await fresh()
    let answerNow
    faults(
      gateway,
      [
        (_, answer) =>
          new Promise((resolve) => {
            answerNow = () => resolve(answer())
          })
      ],
      isConfirm
    )
    const first = enrol(client, gateway)
    await until(() => answerNow, 'the confirmation')
    const second = assert.rejects(enrol(client, gateway), { code: 'ERR_ALREADY_ENROLLED' })
    await turns()
    assert.equal(gateway.challenges.size, 1, 'the second one asks for nothing while it waits')
    answerNow()
    await first
    await second
    assert.deepEqual([client.state, gateway.sessions.size], ['ready', 1])
  })

  test('an enrolment whose confirmation was refused gives way to the one that waits for it', async () => {
    const { client, gateway } = await fresh()
    let refuse
    const problem = { status: 400, headers: { 'content-type': 'application/problem+json' } }
    faults(
      gateway,
      [
        () =>
          new Promise((resolve) => {
            refuse = () => resolve(new Response('{}', problem))
          })
      ],
      isConfirm
    )
    const first = assert.rejects(enrol(client, gateway), { code: 'ERR_ENROLLMENT_REFUSED' })
    await until(() => refuse, 'the confirmation')
    const second = enrol(client, gateway)
    refuse()
    await first
    await second
    assert.equal(client.state, 'ready')
  })

  test('R160 the address is sent and signed without the blanks around it, the code as plain digits', async () => {
    const { client, gateway } = await fresh()
    await emailEnrollment(client, {
      email: '\u00a0Ada@Example.com\r\n',
      code: () => ' \u0661\u0662\u0663\u2013４５６\n'
    })
    const [sent, confirmed] = gateway.calls.slice(-2).map(bodyOf)
    assert.deepEqual([sent.email, confirmed.code], ['Ada@Example.com', '123456'])
    assert.equal(client.state, 'ready')
  })

  test('R160 a code of blanks is no code', async () => {
    const { client } = await fresh()
    for (const code of [' ', '\u200b-', ''])
      await assert.rejects(emailEnrollment(client, { email: 'a@b', code }), { code: 'ERR_INVALID_ARGUMENT' })
  })

  test('R86 a refusal for too many requests carries its wait, from the body or from an older gateway’s header', async () => {
    const { client, gateway } = await fresh()
    const refusal =
      (body, headers = {}) =>
      async () =>
        new Response(JSON.stringify({ code: 'too_many_requests', ...body }), {
          status: 429,
          headers: { 'content-type': 'application/problem+json', ...headers }
        })
    const table = [
      [refusal({ retry_after_ms: 2500 }, { 'retry-after': '3' }), 2500, 'after'],
      [refusal({}, { 'retry-after': '60' }), 60_000, 'after'],
      [refusal({ retry_after_ms: -1 }, { 'retry-after': 'soon' }), undefined, 'never'],
      [refusal({}), undefined, 'never']
    ]
    for (const [answer, retryAfterMs, retry] of table) {
      faults(gateway, [answer], isConfirm)
      const error = await assert.rejects(enrol(client, gateway), { code: 'ERR_ENROLLMENT_REFUSED' })
      assert.deepEqual([error.retryAfterMs, error.retry, error.cause.status], [retryAfterMs, retry, 429])
    }
  })
}
