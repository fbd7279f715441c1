// SPDX-License-Identifier: MIT
// Sets of server keys: what one may say, under whose signature, and how one is kept (B15; R97, R125, R126).

import { text } from './fixture.mjs'
import { base64, DAY, echo, started } from './server-keys.mjs'

export const suite = (test, assert) => {
  const refusedSets = [
    ['no JSON', () => 'x'],
    ['no object', () => 'null'],
    ['no list', () => '{"serial":1}'],
    ['no serial', (it) => JSON.stringify({ keys: [it.entry()] })],
    ['a serial below 0', (it) => it.setOf(-1)],
    ['a serial that is no integer', (it) => it.setOf(1.5)],
    ['a serial beyond 2^53', (it) => it.setOf(2 ** 53)],
    ['no not_after', (it) => it.setOf(1, it.entry({ not_after: undefined }))],
    ['a not_after of another type', (it) => it.setOf(1, it.entry({ not_after: '1' }))],
    ['a not_after beyond 90 days', (it, now) => it.setOf(1, it.entry({ not_after: now + 90 * DAY + 1 }))],
    ['a not_after before not_before', (it, now) => it.setOf(1, it.entry({ not_before: now + 2, not_after: now + 1 }))],
    ['a not_before of null', (it) => it.setOf(1, it.entry({ not_before: null }))],
    ['a key of another length', (it) => it.setOf(1, it.entry({ public_key: base64(new Uint8Array(31)) }))],
    ['a key in another spelling', (it) => it.setOf(1, it.entry({ public_key: it.entry().public_key.slice(0, -1) }))],
    ['a key of small order', (it) => it.setOf(1, it.entry({ public_key: base64(new Uint8Array(32)) }))],
    ['a key that is no text', (it) => it.setOf(1, it.entry({ public_key: 7 }))],
    ['an id that is no text', (it) => it.setOf(1, it.entry({ id: 7 }))],
    ['an id with a control character', (it) => it.setOf(1, it.entry({ id: '\u0007' }))],
    ['an id of 129 bytes', (it) => it.setOf(1, it.entry({ id: 'x'.repeat(129) }))],
    ['two keys of one id', (it) => it.setOf(1, it.entry(), it.entry())],
    ['other bytes under a configured id', (it) => it.setOf(1, it.entry(), it.entry({ id: 'k1' }))],
    [
      '65 keys with the configured one',
      (it) => it.setOf(1, ...Array.from({ length: 64 }, (_, at) => it.entry({ id: `n${at}` })))
    ],
    ['33 KiB', (it) => `${it.setOf(1)}${' '.repeat(33 * 1024)}`]
  ]

  for (const [what, make] of refusedSets) {
    test(`B15 R97 R125 a set with ${what} is refused whole: ERR_KEY_SET_REFUSED`, async () => {
      const it = await started()
      // The fake gateway's clock stands for the server's, so the edge of 90 days is exact.
      const now = Math.floor(it.gateway.now())
      it.gateway.now = () => now
      it.set = make(it, now)
      it.switched()
      const error = await it.client.request('demo.echo').catch((failure) => failure)
      assert.deepEqual([error.code, error.cause?.code], ['ERR_UNKNOWN_KEY', 'ERR_KEY_SET_REFUSED'])
      assert.ok(it.warnings.some(([, { code }]) => code === 'ERR_KEY_SET_REFUSED'))
      assert.equal((await it.stored()).set, undefined)
      it.signer = {}
      assert.equal(await echo(it), 'x', 'the configured key serves as before')
    })
  }

  test('B15 R125 the edges: not_after in exactly 90 days, 64 keys in all, a configured key repeated as it is, extra members', async () => {
    const it = await started()
    const now = Math.floor(it.gateway.now())
    it.gateway.now = () => now
    const many = Array.from({ length: 62 }, (_, at) => it.entry({ id: `n${at}` }))
    const k1 = it.entry({ id: 'k1', public_key: base64(it.gateway.keys[0].publicKey) })
    it.set = JSON.stringify({
      serial: 0,
      keys: [...many, k1, it.entry({ not_after: now + 90 * DAY, note: 1 })],
      note: 1
    })
    it.switched()
    assert.equal(await echo(it), 'x')
  })

  test('B15 R97 a set signed by a delivered key is refused, a higher serial replaces the whole set, a lower one is refused', async () => {
    const it = await started()
    it.set = it.setOf(5)
    it.switched()
    assert.equal(await echo(it), 'x')
    const third = await it.gateway.foreignKey()
    const k3 = it.entry({ id: 'k3', public_key: base64(third.publicKey) })
    it.signer = { key: third, keyId: 'k3' }
    it.later()
    it.set = it.setOf(6, k3)
    it.by = { key: it.next, keyId: 'k2' }
    const byDelivered = await it.client.request('demo.echo').catch((error) => error)
    assert.deepEqual([byDelivered.code, byDelivered.cause?.code], ['ERR_UNKNOWN_KEY', 'ERR_KEY_SET_REFUSED'])
    it.later()
    it.by = {}
    it.set = it.setOf(4, k3)
    const older = await it.client.request('demo.echo').catch((error) => error)
    assert.deepEqual([older.code, older.cause?.code], ['ERR_UNKNOWN_KEY', 'ERR_KEY_SET_REFUSED'])
    it.later()
    it.set = it.setOf(6, k3)
    assert.equal(await echo(it), 'x')
    it.switched()
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' }, 'k2 went with its set')
  })

  test('B15 R126 what is kept is the signed frame, verified again at every load', async () => {
    const it = await started()
    it.set = it.setOf(3)
    it.switched()
    assert.equal(await echo(it), 'x')
    const kept = await it.stored()
    assert.deepEqual(Object.keys(kept).sort(), ['askedMs', 'set'])
    assert.deepEqual(Object.keys(kept.set).sort(), ['frame', 'requestId', 'timestampMs'])
    await it.reload()
    assert.equal(await echo(it), 'x')
    assert.equal(it.asked, 1)
    const { frame, requestId, timestampMs } = kept.set
    const flipped = (at) => frame.map((byte, index) => (index === at ? byte ^ 1 : byte))
    const damaged = [
      { frame: flipped(frame.length - 5), requestId, timestampMs },
      { frame: flipped(40), requestId, timestampMs },
      { frame: frame.slice(0, 100), requestId, timestampMs },
      { frame: new Uint8Array(0), requestId, timestampMs },
      { frame, requestId: `${requestId.slice(0, -1)}_`, timestampMs },
      { frame, requestId, timestampMs: timestampMs + 1 },
      { frame, requestId, timestampMs: 'x' },
      { frame: 'x', requestId, timestampMs },
      { frame, timestampMs },
      7
    ]
    it.set = undefined
    for (const set of damaged) {
      it.later()
      const record = await it.store.get('demo')
      await it.store.put('demo', { ...record, serverKeys: { askedMs: kept.askedMs, set } })
      it.warnings.length = 0
      await it.reload()
      await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' }, JSON.stringify(set))
      assert.equal(it.warnings.length, 1)
    }
  })

  test('B15 R126 a stored set is dropped where the configured key that signed it is gone', async () => {
    const it = await started()
    it.set = it.setOf(1)
    it.switched()
    assert.equal(await echo(it), 'x')
    await it.reload({ serverKeys: [{ id: 'k9', publicKey: it.other.publicKey }] })
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' })
  })

  test('B15 R126 an answer to another question is no set, whatever its payload says and whoever stores it', async () => {
    const it = await started()
    // Script in the page has the gateway echo a set of its own, properly signed, and puts that into the store.
    const evil = it.setOf(9, it.entry({ id: 'k2', public_key: base64(it.other.publicKey) }))
    const { frame, requestId } = await it.client.sign('demo.echo', evil)
    const { timestampMs } = it.gateway.core.parseSigningInput(it.gateway.core.parseFrame(frame).signingInput)
    const response = await it.gateway.fetch(it.options.url, {
      method: 'POST',
      body: frame,
      headers: { 'content-type': 'application/vnd.countersign.v1' }
    })
    const set = { frame: new Uint8Array(await response.arrayBuffer()), requestId, timestampMs }
    assert.ok(text(set.frame).includes('"serial":9'))
    const record = await it.store.get('demo')
    await it.store.put('demo', { ...record, serverKeys: { askedMs: Date.now(), set } })
    it.signer = { key: it.other, keyId: 'k2' }
    await it.reload()
    await assert.rejects(it.client.request('demo.echo'), { code: 'ERR_UNKNOWN_KEY' })
    assert.ok(it.warnings.some(([, { code }]) => code === 'ERR_KEY_SET_REFUSED'))
  })
}
