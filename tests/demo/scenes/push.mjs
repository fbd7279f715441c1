// SPDX-License-Identifier: MIT
// Scene: events come signed and numbered; what was published while the line was cut comes afterwards, all of it, in order.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() => {
    const root = document.getElementById('scene-push')
    const cells = Array.from(root.querySelectorAll('#event-cells [data-sequence]'), ({ dataset }) => ({ ...dataset }))
    return {
      connection: root.dataset.connection,
      isCut: root.dataset.cut === 'yes',
      gap: document.getElementById('event-gap').textContent,
      numbers: cells.map(({ sequence }) => Number(sequence)),
      late: cells.filter(({ late }) => late === 'yes').map(({ sequence }) => Number(sequence)),
      newest: document.querySelector('#event-rows li')?.textContent ?? '',
      lost: document.getElementById('push-lost').textContent
    }
  })

const isRow = (numbers) => numbers.every((number, at) => at === 0 || number === numbers[at - 1] + 1)

/** push publishes one event, cuts the line for ten seconds, and watches the gap fill. */
export const push = async (t, { view, gateway }) => {
  const { page } = view
  await page.goto(`${gateway.url}/${CALM}&push#push`)
  await view.waitFor('ready')

  await t.test('an event comes with its number, verified', async () => {
    await until(async () => (await read(page)).connection === 'live', 'a live stream')
    assert.deepEqual((await read(page)).numbers, [])
    await view.click('#push-one')
    const { numbers, newest } = await until(async () => {
      const shown = await read(page)
      return shown.numbers.length > 0 && shown
    }, 'an event')
    assert.equal(numbers.length, 1)
    assert.match(
      newest,
      new RegExp(`^#${numbers[0]}demo\\.note \\{"text":"hello","at_ms":\\d+\\}\\d\\d:\\d\\d:\\d\\d$`)
    )
    assert.match(await view.text('#push-connection'), /^live · sse · (leader|alone)$/)
  })

  await t.test('the line is cut, and what was missed comes when it is whole again: all of it, in order', async () => {
    const [first] = (await read(page)).numbers
    const [cuts, gaps] = [await view.record('#scene-push', 'data-cut'), await view.record('#event-gap')]
    const connections = await view.record('#scene-push', 'data-connection')
    await view.click('#push-cut')
    await until(
      async () => (await cuts()).includes('yes') && (await connections()).some((is) => is !== 'live'),
      'a cut'
    )
    await view.show('push-cut', '#scene-push')
    const after = await until(async () => {
      const shown = await read(page)
      return shown.connection === 'live' && shown.numbers.at(-1) === first + 12 && shown
    }, 'twelve events')
    assert.ok((await gaps()).some((gap) => /^cut · \d+ s$/.test(gap)))
    assert.ok(isRow(after.numbers), after.numbers.join())
    assert.equal(after.numbers.length, 13)
    assert.equal(after.lost, '0')
    // Ten seconds are longer than an event waits on a line that is whole.
    assert.ok(after.late.includes(first + 2), after.late.join())
    assert.equal(await view.text('#chip-text'), 'ready')
    await view.show('push', '#scene-push')
  })
}
