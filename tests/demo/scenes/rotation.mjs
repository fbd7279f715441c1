// SPDX-License-Identifier: MIT
// Scene: a key is replaced and nobody is cut off: what the old one signed counts until its bar ends, and not a moment longer.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() => {
    const lanesOf = (id) =>
      Array.from(document.querySelectorAll(`#${id} .key-lane`), (lane) => ({
        key: lane.dataset.key,
        hasEnded: lane.querySelector('.span').dataset.ended === 'yes',
        dots: Array.from(lane.querySelectorAll('.hit'), (dot) => `${dot.dataset.verdict} ${dot.title}`)
      }))
    const text = (id) => document.getElementById(id).textContent
    return {
      device: lanesOf('device-bars'),
      server: lanesOf('server-bars'),
      held: text('device-held'),
      said: text('device-said'),
      phase: text('server-phase'),
      signs: text('server-signs'),
      step: document.getElementById('server-step').dataset.step,
      isIdle: !document.getElementById('server-step').disabled,
      serverSaid: text('server-said'),
      portrait: document.getElementById('portrait').innerHTML,
      thumbprint: text('key-facts')
    }
  })

/** rotation replaces the device's key, then the server's in its three steps. */
export const rotation = async (t, { view, gateway, brief }) => {
  const { page } = view
  const seen = (check, what) =>
    until(async () => {
      const shown = await read(page)
      return check(shown) && shown
    }, what)
  await page.goto(`${gateway.url}/${CALM}&rotation#rotation`)
  await view.waitFor('ready')

  await t.test("the device's key is replaced, and an old packet and a new one both count", async () => {
    const before = await seen(({ device, isIdle }) => device.length === 1 && isIdle, 'one key')
    await view.click('#device-rotate')
    const after = await seen(({ device }) => device.length === 2 && device[1].dots.length > 0, 'two keys')
    assert.equal(after.device[0].key, before.device[0].key)
    assert.deepEqual(
      after.device.map(({ dots }) => dots),
      [['pass ok'], ['pass ok']]
    )
    assert.notEqual(after.portrait, before.portrait)
    assert.notEqual(after.thumbprint, before.thumbprint)
    await view.click('#device-old')
    await seen(({ device }) => device[0].dots.length > 1, 'another old packet')
    await view.show('rotation-device', '#scene-rotation')
  })

  await t.test('when its bar has ended, an old packet is refused', async () => {
    // A bar is as long as the window of the past, so this is shown by a gateway whose window is five seconds.
    await view.enter(`${brief.url}/${CALM}#rotation`)
    await seen(({ device, isIdle }) => device.length === 1 && isIdle, 'one key')
    await view.click('#device-rotate')
    const after = await seen(
      ({ device, held }) => device.length === 2 && held === '0' && device[0].dots.at(-1)?.startsWith('fail'),
      'a refusal'
    )
    assert.equal(after.device[0].hasEnded, true)
    assert.equal(after.device[1].hasEnded, false)
    assert.equal(after.device[0].dots.at(-1), 'fail cs.stale')
    assert.equal(after.held, '0')
    assert.equal(await view.text('#chip-text'), 'ready')
    await view.press('#send-button')
    assert.match(await view.text('#verdict'), /^Answered: ok/)
    await page.goto(`${gateway.url}/${CALM}&back#rotation`)
    await view.waitFor('ready')
    await seen(({ server, isIdle }) => server.length === 1 && isIdle, "the server's key")
  })

  await t.test("the server's key is changed in steps, and answers of both keys are taken", async () => {
    const [{ key: first }] = (await read(page)).server
    const take = async (step, phase) => {
      assert.equal((await read(page)).step, step)
      await view.click('#server-step')
      return seen((shown) => shown.phase === phase && shown.isIdle && shown.serverSaid !== '', `${step} is done`)
    }
    const announced = await take('announce', 'announced')
    assert.equal(announced.server.length, 2)
    assert.equal(announced.signs, first.slice(0, 8))
    const second = announced.server[1].key
    assert.equal(announced.serverSaid, 'kept answer: ok · new answer: ok')
    assert.equal(announced.server[1].dots.length, 0)

    const switched = await take('switch', 'switched')
    assert.equal(switched.signs, second.slice(0, 8))
    assert.ok(switched.server[0].dots.includes('pass kept: ok'))
    assert.ok(switched.server[1].dots.includes('pass ok'))
    assert.equal(switched.serverSaid, 'kept answer: ok · new answer: ok')
    await view.show('rotation', '#scene-rotation')

    const retired = await take('retire', 'steady')
    assert.equal(retired.server[0].hasEnded, true)
    assert.equal(await view.text('#chip-text'), 'ready')
  })
}
