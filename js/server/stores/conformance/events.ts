// SPDX-License-Identifier: MIT
// The suite of EventStore (R101 to R106).

import { decodeText, encodeText } from '../../../common/text.ts'
import {
  type ConformanceAssert,
  type ConformanceOptions,
  type ConformanceTest,
  createCheck,
  type MakeStores,
  plain,
  until
} from './kit.ts'

const STREAM = /^[A-Za-z0-9_-]{22}$/

/** Registers the tests of an EventStore: numbers and bounds of events. */
export function eventConformance(
  test: ConformanceTest,
  assert: ConformanceAssert,
  makeStores: MakeStores,
  options: ConformanceOptions = {}
): void {
  const check = createCheck(test, makeStores, 'events', options)
  const note = (text: string) => ({ type: 'demo.note', payload: encodeText(text) })
  const sequencesOf = ({ events }: { events: { sequence: number }[] }) => events.map(({ sequence }) => sequence)

  check('R101 a session without a stream gets one, empty, and keeps it', async (events) => {
    const page = await events.read('é', 0, 10)
    assert.ok(STREAM.test(page.stream))
    assert.deepEqual([page.next, page.oldest, page.events.length], [1, 1, 0])
    assert.equal((await events.read('é', Number.MAX_SAFE_INTEGER, 1)).stream, page.stream)
    assert.equal((await events.append('é', note('one'))).stream, page.stream)
    assert.notEqual((await events.read('other', 0, 10)).stream, page.stream)
  })
  check('R101 events are numbered from 1 and come back whole, in order, after a number', async (events) => {
    const bytes = new Uint8Array([0, 255, 128, 10, 13])
    assert.equal((await events.append('a', { type: 'é😀', payload: bytes })).sequence, 1)
    for (let number = 2; number <= 5; number++) await events.append('a', note(String(number)))
    await events.append('a', { type: 'x'.repeat(128), payload: new Uint8Array(0) })
    const whole = await events.read('a', 0, 100)
    assert.deepEqual([whole.next, whole.oldest, sequencesOf(whole)], [7, 1, [1, 2, 3, 4, 5, 6]])
    assert.deepEqual(plain(whole.events[0]), plain({ sequence: 1, type: 'é😀', payload: bytes }))
    assert.deepEqual(plain(whole.events[5]), plain({ sequence: 6, type: 'x'.repeat(128), payload: new Uint8Array(0) }))
    assert.deepEqual(sequencesOf(await events.read('a', 3, 2)), [4, 5])
    for (const after of [6, 7, Number.MAX_SAFE_INTEGER])
      assert.deepEqual(sequencesOf(await events.read('a', after, 10)), [])
    assert.deepEqual(sequencesOf(await events.read('b', 0, 10)), [])
  })
  check('R101 no number is given twice and none is left out, whatever comes at once', async (events) => {
    const appended = await Promise.all(Array.from({ length: 60 }, (_, index) => events.append('a', note(`n${index}`))))
    assert.deepEqual(
      appended.map(({ sequence }) => sequence).sort((one, other) => one - other),
      Array.from({ length: 60 }, (_, index) => index + 1)
    )
    const page = await events.read('a', 0, 100)
    for (const [index, { sequence }] of appended.entries())
      assert.equal(decodeText(page.events[sequence - 1]?.payload as Uint8Array), `n${index}`)
  })
  check("a caller's later changes do not reach the store", async (events) => {
    const event = note('mine')
    const appending = events.append('a', event)
    event.payload[0] = 0
    await appending
    event.payload[1] = 0
    assert.equal(decodeText((await events.read('a', 0, 1)).events[0]?.payload as Uint8Array), 'mine')
  })
  check(
    'R103 the latest events are kept, at least 100 small ones, not without bound; the oldest make room',
    async (events) => {
      const count = 1000
      for (let from = 0; from < count; from += 50)
        await Promise.all(Array.from({ length: 50 }, () => events.append('a', note('x'))))
      const page = await events.read('a', 0, 2 * count)
      assert.equal(page.next, count + 1)
      assert.equal(page.oldest, count + 1 - page.events.length)
      assert.ok(page.events.length >= 100 && page.events.length < count, `${page.events.length} are kept`)
      assert.deepEqual(sequencesOf(page)[0], page.oldest)
    }
  )
  check('R103 a dropped stream is another one, numbered from 1', async (events) => {
    const { stream } = await events.append('a', note('one'))
    await events.append('b', note('two'))
    await events.drop('a')
    await events.drop('none')
    const page = await events.read('a', 0, 10)
    assert.notEqual(page.stream, stream)
    assert.deepEqual([page.next, page.oldest, page.events.length], [1, 1, 0])
    assert.equal((await events.append('a', note('again'))).sequence, 1)
    assert.equal((await events.read('b', 0, 10)).events.length, 1)
  })
  check('R106 a watcher hears of each session with a new event, until the end', async (events) => {
    const reported = new Set<string | undefined>()
    const stop = events.watch((id) => reported.add(id))
    const other = events.watch(() => {
      throw new Error('another listener')
    })
    const has = (id: string) => reported.has(id) || reported.has(undefined)
    await events.append('a', note('one'))
    await until('the first append is reported', () => has('a'))
    reported.clear()
    await events.append('é', note('two'))
    await until('the second append is reported', () => has('é'))
    stop()
    other()
    await events.append('c', note('three'))
    assert.ok(!reported.has('c'))
  })
  check('after close it takes nothing', async (events) => {
    await events.close()
    await assert.rejects(events.append('a', note('late')))
  })
}
