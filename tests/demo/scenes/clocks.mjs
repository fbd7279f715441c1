// SPDX-License-Identifier: MIT
// Scene: a device clock that is hours wrong costs nothing; believing it costs every packet.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const HOUR_MS = 3_600_000
// A round trip takes less, on any machine; a wrong clock is hours off.
const NEAR_MS = 60_000
// Half a round trip: milliseconds, or seconds on a busy machine, and never the hours of a wrong clock.
const SMALL = /^± (\d+ ms|\d+\.\d s)$/

const read = (page) =>
  page.evaluate(() => ({
    skew: document.getElementById('device-face').getAttribute('aria-valuenow'),
    device: document.getElementById('device-time').textContent,
    server: document.getElementById('server-time').textContent,
    offset: document.getElementById('clock-offset').textContent,
    error: document.getElementById('clock-error').textContent,
    bar: Number.parseFloat(document.getElementById('error-bar').style.width),
    source: document.getElementById('clock-source').textContent,
    packets: Array.from(document.querySelectorAll('#clock-packets li'), (item) => item.textContent),
    notice: document.getElementById('clock-notice').textContent,
    hash: location.hash
  }))

const key = (page, name, times = 1) =>
  page.evaluate(
    (pressed, count) => {
      for (let press = 0; press < count; press += 1) {
        const event = new KeyboardEvent('keydown', { key: pressed, bubbles: true, cancelable: true })
        document.getElementById('device-face').dispatchEvent(event)
      }
    },
    name,
    times
  )

const offsetMs = (text) => {
  const [, sign, hours, minutes, seconds] = /^([−+])(\d+):(\d\d):(\d\d\.\d{3})$/.exec(text)
  return (sign === '−' ? -1 : 1) * (Number(hours) * HOUR_MS + Number(minutes) * 60_000 + Number(seconds) * 1000)
}

const timeOf = (text) => Date.parse(`1970-01-01T${text}Z`)

/** clocks turns the device's hand by keys, lets it sleep, and believes it. */
export const clocks = async (t, { view, gateway }) => {
  const { page } = view
  // The newest packet stands first.
  const settled = (count) =>
    until(async () => {
      const shown = await read(page)
      return shown.packets.length >= count && shown
    }, `${count} packets`)
  const mended = () =>
    until(async () => {
      const shown = await read(page)
      return SMALL.test(shown.error) && shown
    }, 'a small error')
  await page.goto(`${gateway.url}/${CALM}&clocks#clocks/0`)
  await view.waitFor('ready')

  await t.test('the hand is turned by keys: the offset follows, the error grows, one packet passes', async () => {
    const before = await settled(1)
    assert.match(before.packets[0], /^\d\d:\d\d:\d\d ok$/)
    assert.equal(before.source, 'round-trip')
    assert.ok(Math.abs(offsetMs(before.offset)) < NEAR_MS, before.offset)
    const [errors, bars] = [await view.record('#clock-error'), await view.record('#error-bar', 'style')]
    await key(page, 'ArrowUp', 7)
    const turned = await read(page)
    assert.equal(turned.skew, '7')
    assert.equal(turned.hash, '#clocks/7')
    assert.ok(Math.abs(offsetMs(turned.offset) + 7 * HOUR_MS) < NEAR_MS, turned.offset)
    await until(
      async () => (await errors()).some((shown) => /^± 7\.\d h$/.test(shown)),
      'an error as large as the step'
    )
    await settled(2)
    // The answer is with the client a moment after its copy was read off the line.
    const after = await mended()
    assert.match(after.packets[0], / ok$/)
    const widest = Math.max(
      ...(await bars()).map((style) => Number.parseFloat(/width: ([\d.]+)%/.exec(style)?.[1] ?? '0'))
    )
    assert.ok(widest > 90 && after.bar < widest, `${after.bar} after ${widest}`)
    assert.ok(Math.abs(offsetMs(after.offset) + 7 * HOUR_MS) < NEAR_MS, after.offset)
  })

  await t.test('believing the local clock turns packets red, by the signed word of the gateway', async () => {
    await view.click('#clock-trust [data-trust="local"]')
    const trusted = await settled(3)
    assert.match(trusted.packets[0], / stale$/)
    await until(async () => (await read(page)).notice === 'ERR_STALE', 'the refusal, verified by the client')
    assert.equal(trusted.hash, '#clocks/7/local')
    // What it is stamped with is what the device shows, drawn a moment before or after.
    const [stamp] = trusted.packets[0].split(' ')
    const apartMs = Math.abs(timeOf(trusted.device) - timeOf(stamp))
    assert.ok(Math.min(apartMs, 24 * HOUR_MS - apartMs) < HOUR_MS, `${stamp} and ${trusted.device}`)
    await view.show('clocks', '#scene-clocks')
    await view.click('#clock-right')
    assert.match((await settled(4)).packets[0], / ok$/)
    await view.click('#clock-trust [data-trust="server"]')
    assert.match((await settled(5)).packets[0], / ok$/)
  })

  await t.test('three hours asleep, and its packet passes', async () => {
    const errors = await view.record('#clock-error')
    await view.click('#clock-sleep')
    await until(async () => (await errors()).some((shown) => /^± 3\.\d h$/.test(shown)), 'an error of three hours')
    await settled(6)
    const after = await mended()
    assert.match(after.packets[0], / ok$/)
    assert.equal(after.skew, '3')
  })

  await t.test('the hand is dragged round the dial, past the top and within twelve hours', async () => {
    await view.click('#clock-right')
    assert.match((await settled(7)).packets[0], / ok$/)
    const drag = (turns) =>
      page.evaluate((end) => {
        const face = document.getElementById('device-face')
        face.setPointerCapture = () => {}
        const { left, top, width, height } = face.getBoundingClientRect()
        const at = (turn) => ({
          clientX: left + width / 2 + 60 * Math.sin(2 * Math.PI * turn),
          clientY: top + height / 2 - 60 * Math.cos(2 * Math.PI * turn),
          pointerId: 1,
          bubbles: true
        })
        face.dispatchEvent(new PointerEvent('pointerdown', at(0.9)))
        const moves = Math.abs(end) * 24
        for (let move = 1; move <= moves; move += 1)
          face.dispatchEvent(new PointerEvent('pointermove', at(0.9 + (end * move) / moves)))
        face.dispatchEvent(new PointerEvent('pointerup', at(0.9 + end)))
        return Number(face.getAttribute('aria-valuenow'))
      }, turns)
    assert.equal(await drag(0.25), 3)
    assert.equal(await drag(-0.75), -6)
    assert.equal(await drag(2), 12)
    await view.click('#clock-right')
    assert.match((await settled(8)).packets[0], / ok$/)
  })

  await t.test('an address is a state of the clocks', async () => {
    await page.goto(`${gateway.url}/${CALM}&clocks=again#clocks/-3.5/local`)
    await view.waitFor('ready')
    const shown = await settled(1)
    assert.equal(shown.skew, '-3.5')
    assert.match(shown.packets[0], / stale$/)
  })
}
