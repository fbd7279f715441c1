// SPDX-License-Identifier: MIT
// Scene: hours that are changed after they were signed stay green in the legacy scheme and turn red in the strict one.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() => {
    const { verdict, trust } = document.getElementById('scene-stats').dataset
    return {
      verdict,
      trust,
      why: document.getElementById('stats-why').textContent,
      event: document.getElementById('stats-event').textContent
    }
  })

/** stats moves the hours in both modes and reads the trust that the server gives. */
export const stats = async (t, { view, gateway }) => {
  const { page } = view
  const shows = async (place, check, what) => {
    await page.goto(`${gateway.url}/${CALM}&at=${place}#stats/${place}`)
    await view.waitFor('ready')
    return until(async () => {
      const now = await read(page)
      return now.event !== '' && check(now) && now
    }, what)
  }

  await t.test('strict: honest hours are verified, here and at the server', async () => {
    const { verdict } = await shows('strict/2', ({ trust }) => trust === 'verified', 'trust')
    assert.equal(verdict, 'pass')
  })

  await t.test(
    'legacy: changed hours stay green, which is the hole; the server says that nobody signed them',
    async () => {
      const isNine = ({ event, trust }) => event.includes('"hours": 9') && trust === 'suspicious'
      const { verdict, event, why } = await shows('compatible/9', isNine, 'nine hours')
      assert.equal(verdict, 'pass')
      assert.equal(JSON.parse(event).data.hours, 9)
      assert.match(why, /data_not_signed/)
      await view.show('stats-legacy', '#scene-stats')
    }
  )

  await t.test('strict: the same change turns red, and the server trusts it no more', async () => {
    const changed = await shows('strict/9', ({ verdict }) => verdict === 'fail', 'a red light')
    assert.equal(JSON.parse(changed.event).data.hours, 9)
    const { trust, why } = await until(async () => {
      const now = await read(page)
      return now.trust === 'untrusted' && now
    }, 'the badge')
    assert.equal(trust, 'untrusted')
    assert.match(why, /signature_mismatch/)
    await view.show('stats-strict', '#scene-stats')
  })
}
