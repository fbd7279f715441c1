// SPDX-License-Identifier: MIT
// When a client asks for the server's keys and what it believes then (B15; R26, R27, R127, R128).

import { connect, memoryStore } from 'countersign'
import { enrol, faults } from './fixture.mjs'
import { DAY, echo, started, until } from './server-keys.mjs'

export const suite = (test, assert) => {
  for (const binding of ['frame', 'json']) {
    test(`B15 R127 ${binding}: an answer under an unknown key is opened once the server has delivered that key`, async () => {
      const it = await started({ binding })
      it.set = it.setOf(1)
      it.switched()
      assert.equal(await echo(it), 'x')
      assert.equal(it.asked, 1)
      const sent = it.gateway.seen.filter(({ messageType }) => messageType === 'demo.echo')
      assert.equal(sent.length, 1, 'the call itself is not repeated')
      assert.equal(await echo(it), 'x')
      assert.equal(it.asked, 1)
    })
  }

  test('B15 R127 header: fetch learns a key too, and so does a client that knows no time yet', async () => {
    const it = await started()
    it.set = it.setOf(1)
    it.switched()
    const record = await it.store.get('demo')
    delete record.clock
    delete record.timeFloorMs
    await it.store.put('demo', record)
    it.clocks.skewMs -= 3 * 365 * DAY
    const client = await it.reload()
    assert.equal((await client.fetch('/api/echo', { method: 'POST', body: 'x' })).status, 200)
    assert.equal(it.asked, 1)
  })

  test('B15 R127 a server that has no set, or is not reached: ERR_UNKNOWN_KEY at signature, with the reason', async () => {
    const it = await started()
    it.switched()
    const unknown = { code: 'ERR_UNKNOWN_KEY', stage: 'signature' }
    const first = await it.client.request('demo.echo').catch((error) => error)
    assert.deepEqual({ code: first.code, stage: first.stage }, unknown)
    assert.equal(first.cause, undefined)
    it.later()
    it.set = it.setOf(1)
    it.by = { key: it.other }
    const second = await it.client.request('demo.echo').catch((error) => error)
    assert.deepEqual([second.code, second.cause?.code], ['ERR_UNKNOWN_KEY', 'ERR_BAD_SIGNATURE'])
    assert.equal(it.client.state, 'ready')
  })

  test('B15 R127 answers under unknown keys ask once a minute at most, and an answer to the question never asks', async () => {
    const it = await started()
    it.switched()
    it.by = it.signer
    for (let count = 0; count < 5; count++)
      await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' })
    assert.equal(it.asked, 1)
    await Promise.all(
      Array.from({ length: 8 }, () => assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' }))
    )
    assert.equal(it.asked, 1)
    it.later(60_001)
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' })
    assert.equal(it.asked, 2)
  })

  test('B15 R127 what a delivered key may not do: a call that had effect is not sent again by it', async () => {
    const it = await started()
    it.switched()
    await assert.rejects(it.client.request('demo.order'), { code: 'ERR_UNKNOWN_KEY' })
    const sent = it.gateway.seen.filter(({ messageType }) => messageType === 'demo.order')
    assert.equal(sent.length, 1)
  })

  test('B15 R26 R27 not_before and not_after of a delivered key are inclusive, and the overlap serves both keys', async () => {
    const it = await started()
    const now = Math.floor(it.gateway.now())
    let at = now
    it.gateway.now = () => at
    it.set = it.setOf(1, it.entry({ not_before: now + 1000, not_after: now + 2000 }))
    it.switched()
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_KEY_NOT_VALID', stage: 'signature' })
    at = now + 999
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_KEY_NOT_VALID' })
    at = now + 1000
    assert.equal(await echo(it), 'x')
    it.signer = {}
    assert.equal(await echo(it), 'x')
    it.switched()
    at = now + 2000
    assert.equal(await echo(it), 'x')
    at = now + 2001
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_KEY_NOT_VALID', stage: 'signature' })
  })

  test('B15 R27 the local clock alone ends no delivered key; the time floor does', async () => {
    const it = await started()
    const now = Math.floor(it.gateway.now())
    it.set = it.setOf(1, it.entry({ not_after: now + DAY }))
    it.switched()
    assert.equal(await echo(it), 'x')
    await it.reload({ now: () => Date.now() + 3650 * DAY })
    assert.equal(await echo(it), 'x')
    // A floor that a verified answer has left behind.
    const record = await it.store.get('demo')
    await it.store.put('demo', { ...record, timeFloorMs: now + DAY + 1 })
    it.clocks.skewMs = 2 * DAY
    it.gateway.now = () => now + DAY
    await it.reload()
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_KEY_NOT_VALID', stage: 'signature' })
  })

  test('B15 R127 the client asks in the background once a day, and not before', async () => {
    const it = await started()
    it.set = it.setOf(1)
    await echo(it)
    it.later(DAY - 60_000)
    await echo(it)
    assert.equal(it.asked, 0)
    it.later(61_000)
    await echo(it)
    await until(() => it.asked === 1, 'the question')
    await until(async () => (await it.stored()).set !== undefined, 'the set is kept')
    for (let count = 0; count < 3; count++) await echo(it)
    assert.equal(it.asked, 1)
    it.switched()
    assert.equal(await echo(it), 'x', 'known before it was needed')
    assert.equal(it.asked, 1)
    const { askedMs } = await it.stored()
    it.later(DAY + 1000)
    await echo(it)
    await until(async () => (await it.stored()).askedMs > askedMs, 'the next day')
    await it.reload()
    await echo(it)
    assert.equal(it.asked, 2)
  })

  test('B15 R127 a new session whose configured key ends within 14 days asks at once', async () => {
    for (const [days, asked] of [
      [13, 1],
      [15, 0]
    ]) {
      const it = await started()
      await it.client.close()
      const serverKeys = [{ ...it.gateway.keys[0], notAfter: Date.now() + days * DAY }]
      const client = await connect({ ...it.options, serverKeys, store: memoryStore() })
      await enrol(client, it.gateway)
      await client.request('demo.echo')
      await client.request('demo.echo')
      if (asked) await until(() => it.asked === 1, 'the question')
      assert.equal(it.asked, asked)
      await client.close()
    }
  })

  test('B15 R127 a failed question in the background disturbs nobody', async () => {
    const it = await started()
    it.set = 'no set'
    it.later(DAY + 1000)
    await echo(it)
    await until(() => it.warnings.length > 0, 'the warning')
    assert.deepEqual(
      it.warnings.map(([message, { code }]) => [message, code]),
      [['the server keys were not taken', 'ERR_KEY_SET_REFUSED']]
    )
    assert.equal(await echo(it), 'x')
    assert.equal(it.asked, 1)
  })

  test('B15 R127 a signed cs.stale to the question sets the clock, and the question is asked again', async () => {
    const it = await started()
    it.set = it.setOf(1)
    it.switched()
    const { intercept } = it.gateway
    let stale = 0
    it.gateway.intercept = (exchange, answer) => {
      if (exchange.messageType !== 'cs.keys' || stale++ > 0) return intercept(exchange, answer)
      return answer({ resultCode: 'cs.stale', payload: '{}' })
    }
    assert.equal(await echo(it), 'x')
    assert.equal(it.asked, 1)
  })

  test('B15 R128 enrolment under a key that is only delivered is refused: there is no session to ask with', async () => {
    const it = await started()
    it.switched()
    const client = await connect({ ...it.options, store: memoryStore() })
    const error = await enrol(client, it.gateway).catch((failure) => failure)
    assert.deepEqual([error.code, error.stage, error.cause?.code], ['ERR_UNKNOWN_KEY', 'signature', 'ERR_NO_SESSION'])
    assert.equal(client.state, 'no-session')
  })

  test('B15 a label that is compatible keeps no set, but believes one that it asked for', async () => {
    const it = await started({ compatible: true })
    it.set = it.setOf(1)
    it.switched()
    assert.equal(await echo(it), 'x')
    assert.equal((await it.stored()).set, undefined)
    await it.client.close()
  })

  test('faults of the fixture leave the question for keys alone', async () => {
    const it = await started()
    faults(it.gateway, [(_, answer) => answer({ resultCode: 'one' })])
    assert.equal((await it.client.request('demo.echo')).resultCode, 'one')
  })
}
