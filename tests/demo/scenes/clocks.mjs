// SPDX-License-Identifier: MIT
// Scene: a device clock that is hours wrong costs nothing; believing it costs every packet.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'

const HOUR_MS = 3_600_000

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

/** clocks turns the device's hand by keys, lets it sleep, and believes it. */
export const clocks = async (t, { view, gateway }) => {
  const { page } = view
  // The newest packet stands first.
  const settled = (count) =>
    until(async () => (await read(page)).packets.length === count && read(page), `${count} packets`)
  await page.goto(`${gateway.url}/?motion=off&clocks#clocks/0`)
  await view.waitFor('ready')

  await t.test('the hand is turned by keys: the offset follows, the error grows, one packet passes', async () => {
    const before = await settled(1)
    assert.match(before.packets[0], /^\d\d:\d\d:\d\d ok$/)
    assert.equal(before.source, 'round-trip')
    assert.ok(Math.abs(offsetMs(before.offset)) < 5000, before.offset)
    await key(page, 'ArrowUp', 7)
    const turned = await read(page)
    assert.equal(turned.skew, '7')
    assert.equal(turned.hash, '#clocks/7')
    assert.ok(Math.abs(offsetMs(turned.offset) + 7 * HOUR_MS) < 5000, turned.offset)
    await until(async () => /^± 7\.\d h$/.test((await read(page)).error), 'an error of the size of the step')
    assert.ok((await read(page)).bar > 90)
    const after = await settled(2)
    assert.match(after.packets[0], / ok$/)
    assert.match(after.error, /^± \d+ ms$/)
    assert.ok(after.bar < 60, String(after.bar))
    assert.ok(Math.abs(offsetMs(after.offset) + 7 * HOUR_MS) < 5000, after.offset)
  })

  await t.test('believing the local clock turns packets red, by the signed word of the gateway', async () => {
    await view.click('#clock-trust [data-trust="local"]')
    const trusted = await settled(3)
    assert.match(trusted.packets[0], / stale$/)
    await until(async () => (await read(page)).notice === 'ERR_STALE', 'the refusal, verified by the client')
    assert.equal(trusted.hash, '#clocks/7/local')
    // What it is stamped with is what the device shows.
    const [stamp] = trusted.packets[0].split(' ')
    assert.equal(stamp.slice(0, 2), trusted.device.slice(0, 2))
    await view.show('clocks', '#scene-clocks')
    await view.click('#clock-right')
    assert.match((await settled(4)).packets[0], / ok$/)
    await view.click('#clock-trust [data-trust="server"]')
    assert.match((await settled(5)).packets[0], / ok$/)
  })

  await t.test('three hours asleep, and its packet passes', async () => {
    await view.click('#clock-sleep')
    await until(async () => /^± 3\.\d h$/.test((await read(page)).error), 'an error of three hours')
    const after = await settled(6)
    assert.match(after.packets[0], / ok$/)
    assert.equal(after.skew, '3')
    assert.match(after.error, /^± \d+ ms$/)
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
    await page.goto(`${gateway.url}/?motion=off&clocks=again#clocks/-3.5/local`)
    await view.waitFor('ready')
    const shown = await settled(1)
    assert.equal(shown.skew, '-3.5')
    assert.match(shown.packets[0], / stale$/)
  })
}
