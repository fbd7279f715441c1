// SPDX-License-Identifier: MIT
// rotateKey where the gateway asks the user (R150): the question, the answers, and the old key that goes on meanwhile.

import { connect, memoryStore } from 'countersign'
import { until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { createClocks, enrolled, faults, lost, text } from './fixture.mjs'

const isRotation = ({ messageType }) => messageType === 'cs.rotate_key'
const works = async (client) => (await client.request('demo.echo', 'x')).resultCode

/** A client whose gateway asks for a code before it replaces a key. */
const asked = async (options, given) => {
  const all = await enrolled(options, given)
  all.gateway.asksForCodes = true
  return all
}

/** A `confirm` that waits until the test answers. */
const held = () => {
  const question = {}
  question.confirm = (given) => {
    Object.assign(question, given)
    return new Promise((resolve, reject) => Object.assign(question, { answer: resolve, fail: reject }))
  }
  return question
}

const isAsked = (question) => until(() => question.answer !== undefined, 'the question')

export const suite = (test, assert) => {
  test('R150 the user is asked about the new key, and the code replaces the old one', async () => {
    const { client, gateway, store } = await asked()
    const { sessionId, key } = client
    const questions = []
    const confirm = ({ signal, ...question }) => {
      questions.push({ ...question, isAborted: signal.aborted })
      return gateway.code
    }
    await client.rotateKey({ confirm })
    assert.equal(client.sessionId, sessionId)
    assert.notEqual(client.key.thumbprint, key.thumbprint)
    assert.deepEqual(questions, [{ challengeId: 'challenge-1', thumbprint: client.key.thumbprint, isAborted: false }])
    assert.equal(await works(client), 'ok')
    assert.equal((await store.get('demo')).next, undefined)
    const [first, second, ...more] = gateway.seen.filter(isRotation)
    assert.equal(more.length, 0)
    const [one, two] = [first, second].map(({ payload }) => JSON.parse(text(payload)))
    assert.deepEqual(Object.keys(one), ['algorithm', 'public_key', 'proof'], 'unasked, the request is as it always was')
    assert.deepEqual(two.confirmation, { challenge_id: 'challenge-1', code: gateway.code })
    assert.equal(one.public_key, two.public_key)
    assert.notEqual(first.requestId, second.requestId)
    assert.notEqual(one.proof, two.proof)
  })

  test('R150 a gateway that does not ask gets no confirmation, and the user no question', async () => {
    const { client, gateway } = await enrolled()
    await client.rotateKey({ confirm: () => assert.equal('the user', 'was asked') })
    const sent = gateway.seen.filter(isRotation).map(({ payload }) => JSON.parse(text(payload)).confirmation)
    assert.deepEqual(sent, [undefined])
    assert.equal(await works(client), 'ok')
  })

  test('R150 without confirm the question is a refusal, and the session goes on with the old key', async () => {
    const { client, gateway, options } = await asked()
    const { thumbprint } = client.key
    const refusal = { code: 'ERR_ROTATION_REFUSED', stage: 'handler', resultCode: 'confirmation_required' }
    await assert.rejects(client.rotateKey(), refusal)
    assert.deepEqual([client.key.thumbprint, await works(client), gateway.rotations], [thumbprint, 'ok', 0])
    assert.equal(await works(await connect(options)), 'ok')
    await client.rotateKey({ confirm: () => gateway.code })
    assert.deepEqual([await works(client), gateway.rotations], ['ok', 1])
  })

  test('R150 a user who gives up, a wrong code and a failing confirm leave the old key', async () => {
    const { client, gateway, store } = await asked()
    const { thumbprint } = client.key
    const controller = new AbortController()
    for (const [options, expected] of [
      [{ confirm: () => null }, { code: 'ERR_ABORTED' }],
      [{ confirm: async () => undefined }, { code: 'ERR_ABORTED' }],
      [{ confirm: () => 123456 }, { code: 'ERR_INVALID_ARGUMENT' }],
      [{ confirm: () => '' }, { code: 'ERR_INVALID_ARGUMENT' }],
      [{ confirm: () => Promise.reject(new RangeError('the page broke')) }, { message: 'the page broke' }],
      [{ confirm: () => '000000' }, { code: 'ERR_ROTATION_REFUSED', resultCode: 'confirmation_refused' }],
      [
        {
          signal: controller.signal,
          confirm: () => {
            controller.abort()
            return new Promise(() => {})
          }
        },
        { code: 'ERR_ABORTED' }
      ],
      [{ confirm: 'yes' }, { code: 'ERR_INVALID_ARGUMENT' }],
      [{ signal: 'now' }, { code: 'ERR_INVALID_ARGUMENT' }],
      ['confirm', { code: 'ERR_INVALID_ARGUMENT' }]
    ]) {
      await assert.rejects(client.rotateKey(options), expected)
      assert.deepEqual([client.state, client.key.thumbprint, await works(client)], ['ready', thumbprint, 'ok'])
    }
    assert.equal(gateway.rotations, 0)
    await client.rotateKey({ confirm: () => gateway.code })
    assert.equal(await works(client), 'ok')
    assert.equal((await store.get('demo')).next, undefined)
  })

  test('R150 an answer that asks without a challenge is a refusal', async () => {
    const { client, gateway } = await asked()
    for (const payload of ['', '{}', '{"challenge_id":1}', 'null', '[']) {
      faults(gateway, [(_, answer) => answer({ resultCode: 'confirmation_required', payload })], isRotation)
      const confirm = () => assert.equal('the user', 'was asked')
      await assert.rejects(client.rotateKey({ confirm }), { code: 'ERR_ROTATION_REFUSED' })
    }
    assert.equal(await works(client), 'ok')
  })

  test('R150 close ends the wait for the user', async () => {
    const { client, gateway, options } = await asked()
    const question = held()
    const rotating = client.rotateKey({ confirm: question.confirm })
    await isAsked(question)
    const ended = assert.rejects(rotating, { code: 'ERR_CLOSED' })
    await client.close()
    await ended
    assert.equal(question.signal.aborted, true)
    const again = await connect(options)
    assert.deepEqual([await works(again), gateway.rotations], ['ok', 0])
  })

  test('R150 while the user looks for the code, this tab and others go on with the old key', async () => {
    const { client, gateway, options } = await asked()
    const { thumbprint } = client.key
    const question = held()
    const rotating = client.rotateKey({ confirm: question.confirm })
    await isAsked(question)
    const other = await connect(options)
    assert.deepEqual([await works(client), await works(other)], ['ok', 'ok'])
    assert.deepEqual([client.key.thumbprint, other.key.thumbprint], [thumbprint, thumbprint])
    question.answer(gateway.code)
    await rotating
    assert.equal(client.key.thumbprint, question.thumbprint)
    assert.deepEqual([await works(client), await works(other)], ['ok', 'ok'])
    assert.equal(gateway.rotations, 1)
  })

  test('R150 a new key that another tab has dropped meanwhile is stored again before it is sent', async () => {
    const clocks = createClocks()
    const gateway = await fakeGateway({ now: clocks.serverNow })
    const { client, store, options } = await asked({ now: clocks.now, monotonicNow: clocks.monotonicNow }, gateway)
    const question = held()
    const rotating = client.rotateKey({ confirm: question.confirm })
    await isAsked(question)
    for (const laterMs of [0, 71_000]) {
      for (const clock of ['skewMs', 'serverSkewMs', 'monotonicMs']) clocks[clock] += laterMs
      assert.equal(await works(await connect(options)), 'ok')
    }
    assert.equal((await store.get('demo')).next, undefined, 'it was dropped')
    const stored = []
    gateway.intercept = async (exchange) => {
      if (isRotation(exchange)) stored.push((await store.get('demo')).next?.thumbprint)
      return undefined
    }
    question.answer(gateway.code)
    await rotating
    assert.deepEqual(stored, [question.thumbprint])
    assert.deepEqual([client.key.thumbprint, await works(client)], [question.thumbprint, 'ok'])
    assert.equal((await store.get('demo')).thumbprint, question.thumbprint)
  })

  test('R150 another tab that has rotated meanwhile wins, and its key is the one that both use', async () => {
    const { client, gateway, options } = await asked()
    const question = held()
    const rotating = client.rotateKey({ confirm: question.confirm })
    await isAsked(question)
    const other = await connect(options)
    await other.rotateKey({ confirm: () => gateway.code })
    question.answer(gateway.code)
    await rotating
    assert.equal(gateway.rotations, 1)
    assert.deepEqual([await works(client), await works(other)], ['ok', 'ok'])
    assert.deepEqual(client.key.publicKey, other.key.publicKey)
  })

  test('R123 R150 answers to the confirmed request that are lost: the client asks which key counts', async () => {
    for (const list of [[lost], [lost, lost]]) {
      const { client, gateway } = await asked()
      const confirm = () => {
        faults(gateway, list, isRotation)
        return gateway.code
      }
      await client.rotateKey({ confirm })
      assert.deepEqual([await works(client), gateway.rotations], ['ok', 1])
      assert.deepEqual(gateway.sessions.get(client.sessionId).publicKey, client.key.publicKey)
    }
  })

  test('R123 R150 a confirmed request that was held back while a copy was refused still leaves one working key', async () => {
    const { client, gateway, store, options } = await asked({ retries: 0 })
    const caught = []
    const other = await connect({
      ...options,
      store: { ...store, lock: memoryStore().lock },
      fetch: async (url, init) => {
        if (!caught.isArmed) return gateway.fetch(url, init)
        caught.isArmed = false
        caught.push([url, init])
        throw new TypeError('held back')
      }
    })
    const confirm = () => {
      caught.isArmed = true
      return gateway.code
    }
    await assert.rejects(other.rotateKey({ confirm }), { code: 'ERR_NETWORK' })
    assert.deepEqual([await works(other), gateway.rotations], ['ok', 0])
    // The same question again, and this time the code is wrong. The new key must stay beside the old one.
    const refusal = { code: 'ERR_ROTATION_REFUSED', resultCode: 'confirmation_refused' }
    await assert.rejects(other.rotateKey({ confirm: () => '000000' }), refusal)
    await gateway.fetch(...caught[0])
    assert.equal(gateway.rotations, 1)
    const last = await connect(options)
    assert.equal(await works(last), 'ok')
    assert.deepEqual(gateway.sessions.get(client.sessionId).publicKey, last.key.publicKey)
  })
}
