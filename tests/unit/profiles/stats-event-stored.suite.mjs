// SPDX-License-Identifier: MIT
// A device key in a store of structured clones: it signs as before, and nobody reads it there.

import { createDeviceKey, deviceKeyOfStored, importDeviceKey, signEvent, verifyEvent } from 'countersign/stats-event'
import { utf8 } from '../harness/bytes.mjs'

const session = { type: 'session', data: { id: 'a' }, timestamp: 1, nonce: 'n' }
const REFUSED = { code: 'ERR_INVALID_ARGUMENT', category: 'usage' }

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** throughIndexedDb puts a record into a database of its own and reads it back from there. */
const throughIndexedDb = async (record) => {
  const name = 'stats-event-stored'
  const opening = indexedDB.open(name, 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore('keys')
  const database = await done(opening)
  const store = (mode) => database.transaction('keys', mode).objectStore('keys')
  await done(store('readwrite').put(record, 'device'))
  const kept = await done(store('readonly').get('device'))
  database.close()
  await done(indexedDB.deleteDatabase(name))
  return kept
}

export const suite = (test, assert) => {
  const clone = async (record) => (globalThis.indexedDB ? throughIndexedDb(record) : structuredClone(record))

  test('a stored key is the same device in every mode', async () => {
    const { key } = await createDeviceKey()
    const again = await deviceKeyOfStored(await clone(key.stored()))
    assert.equal(again.deviceId, key.deviceId)
    for (const mode of ['compatible', 'covered', 'strict']) {
      assert.deepEqual(await signEvent(again, session, { mode }), await signEvent(key, session, { mode }))
      assert.deepEqual(await verifyEvent(await signEvent(key, session, { mode }), again, { mode }), { ok: true })
    }
  })

  test('what is stored cannot be exported: the platform itself refuses', async () => {
    const { key } = await createDeviceKey()
    for (const stored of Object.values(await clone(key.stored()))) {
      assert.deepEqual([stored.extractable, stored.type], [false, 'secret'])
      for (const format of ['raw', 'jwk']) {
        const refusal = await crypto.subtle.exportKey(format, stored).catch(({ name }) => name)
        assert.ok(refusal === 'InvalidAccessError' || refusal === 'InvalidAccessException', String(refusal))
      }
    }
  })

  test('a short key has no strict half, stored or not', async () => {
    const again = await deviceKeyOfStored(await clone((await importDeviceKey('short')).stored()))
    assert.equal(again.isStrong, false)
    await assert.rejects(signEvent(again, session), REFUSED)
  })

  test('what was not stored so is refused: exportable keys, other algorithms, other shapes', async () => {
    const good = (await createDeviceKey()).key.stored()
    const bytes = utf8('0'.repeat(64))
    const make = (algorithm, extractable, uses) => crypto.subtle.importKey('raw', bytes, algorithm, extractable, uses)
    const both = ['sign', 'verify']
    const wrong = [
      await make({ name: 'HMAC', hash: 'SHA-256' }, true, both),
      await make({ name: 'HMAC', hash: 'SHA-512' }, false, both),
      await make({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
      await make('HKDF', false, ['deriveKey']),
      {},
      'text',
      null
    ]
    for (const other of wrong) {
      await assert.rejects(deviceKeyOfStored({ ...good, compatible: other }), REFUSED)
      await assert.rejects(deviceKeyOfStored({ ...good, strict: other }), REFUSED)
    }
    for (const other of [undefined, null, {}, { strict: good.strict }]) {
      await assert.rejects(deviceKeyOfStored(other), REFUSED)
    }
  })
}
