// SPDX-License-Identifier: MIT
// Scene: a packet in colours, then noise, then a door that opens because a daemon behind the relay was convinced, once.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() => {
    const { door, shows, opened = '0' } = document.getElementById('scene-knock').dataset
    const cells = Array.from(document.querySelectorAll('#knock-grid i'), ({ dataset }) => dataset.field)
    return { door, shows, opened, cells, said: document.getElementById('knock-said').textContent }
  })

/** knock opens the door, and sends the same datagram again. */
export const knock = async (t, { view, gateway }) => {
  const { page } = view
  await page.goto(`${gateway.url}/${CALM}&knock#knock`)
  await view.waitFor('ready')

  await t.test('the door opens for a knock, and says for whom', async () => {
    await until(() => page.evaluate(() => !document.getElementById('knock-send').disabled), 'the button')
    const doors = await view.record('#scene-knock', 'data-door')
    await view.click('#knock-send')
    const shown = await until(async () => {
      const now = await read(page)
      return now.opened === '1' && now
    }, 'an open door')
    assert.deepEqual([shown.shows, shown.cells.length], ['noise', 256])
    await until(async () => (await doors()).includes('open'), 'the door to be drawn open')
    assert.equal(shown.said, 'the door opened for 203.0.113.9')
    await view.show('knock', '#scene-knock')
  })

  await t.test('the same datagram again is silence', async () => {
    await view.click('#knock-again')
    await until(async () => (await read(page)).said === 'the same again: silence', 'it was sent')
    await until(async () => (await read(page)).door === 'shut', 'the door has shut')
    assert.equal((await read(page)).opened, '1')
  })

  await t.test('an address knocks; the packet is drawn by its fields first', async () => {
    await page.goto(`${gateway.url}/${CALM}&knock=again#knock/open`)
    await view.waitFor('ready')
    await until(async () => (await read(page)).opened === '1', 'an open door')
    const legend = await page.evaluate(() =>
      Array.from(document.querySelectorAll('#knock-legend li'), (node) => node.textContent)
    )
    assert.deepEqual(legend, [
      'version',
      'timestamp',
      'user_id',
      'action_id',
      'challenge',
      'hmac',
      'payload_len',
      'payload',
      'fill'
    ])
  })
}
