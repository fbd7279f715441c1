// SPDX-License-Identifier: MIT
// The guided mode: each scene shows a real refusal or a real answer, and any touch gives the page back.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM, CLIENT, GATEWAY, ladder } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() => {
    const { hidden, dataset } = document.getElementById('tour')
    return {
      isOpen: !hidden,
      ...dataset,
      caption: document.getElementById('tour-caption').textContent,
      proof: document.getElementById('tour-proof').textContent,
      hash: location.hash,
      scrollY
    }
  })

const done = (page, scene) =>
  until(async () => {
    const shown = await read(page)
    return shown.scene === scene && shown.done === 'yes' && shown
  }, `the tour has shown ${scene}`)

/** reached resolves in the page itself, as a tour that plays goes on by itself; it may press a button at that moment. */
const reached = (page, scene, button) =>
  page.evaluate(
    (name, id) =>
      new Promise((resolve) => {
        const tour = document.getElementById('tour')
        const look = () => {
          if (tour.dataset.scene !== name || tour.dataset.done !== 'yes') return
          observer.disconnect()
          if (id) document.getElementById(id).click()
          resolve({ ...tour.dataset, chip: document.getElementById('chip-text').textContent })
        }
        const observer = new MutationObserver(look)
        observer.observe(tour, { attributes: true })
        look()
      }),
    scene,
    button
  )

const passed = { gateway: ladder(GATEWAY), client: ladder(CLIENT) }

// What each scene comes to: its words, and the lamps where it is played on the board.
const expected = {
  normal: { proof: /^Answered: ok · 14 checks/, lamps: passed },
  tamper: {
    proof: /^Stopped by payload_hash · gateway · ERR_PAYLOAD_MISMATCH · ready$/,
    lamps: { ...passed, gateway: ladder(GATEWAY, 'payload_hash') }
  },
  replay: { proof: /^Refused: cs\.replayed$/ },
  clock: { proof: /^Answered: ok$/ },
  forged: {
    proof: /^Stopped by signature · browser · ERR_BAD_SIGNATURE · ready$/,
    lamps: { ...passed, client: ladder(CLIENT, 'signature') }
  },
  revoked: {
    proof: /^Stopped by session · gateway · ERR_SESSION_REVOKED · revoked$/,
    lamps: { ...passed, gateway: ladder(GATEWAY, 'session') }
  },
  tabs: { proof: /^tab 1: follower · a client beside it: leader$/ },
  cheater: { proof: /^Refused: bad signature$/ },
  rotation: { proof: /^Old packet: ok · new packet: ok$/ }
}

/** tour goes through every scene by Skip, as where nothing moves by itself; then lets it play, and touches the page. */
export const tour = async (t, { view, gateway, browser }) => {
  const { page } = view
  await page.goto(`${gateway.url}/${CALM}&tour#tour`)
  for (const [scene, { proof, lamps }] of Object.entries(expected)) {
    await t.test(`${scene}: shown, and it waits`, async () => {
      const shown = await done(page, scene)
      assert.equal(shown.playing, 'no')
      assert.equal(shown.hash, `#tour/${scene}`)
      assert.match(shown.proof, proof)
      if (lamps) assert.deepEqual(await view.lamps(), lamps)
      assert.equal(await view.text('#chip-text'), 'ready')
      if (scene === 'normal') await view.show('tour', '#board')
      else await view.shoot(`tour-${scene}-1280`, false)
      await view.click('#tour-skip')
    })
  }

  await t.test('after the last scene the page is the reader’s again, its clock set right', async () => {
    await until(async () => !(await read(page)).isOpen, 'the tour has closed')
    await view.click('#tour-link')
    await done(page, 'normal')
    const press = (key) =>
      page.evaluate((name) => {
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }))
        return document.activeElement.id
      }, key)
    assert.equal(await press('Tab'), 'tour-play')
    assert.equal((await read(page)).isOpen, true)
    await press('Escape')
    await until(async () => !(await read(page)).isOpen, 'Escape ends it')
    assert.equal(await page.evaluate(() => document.getElementById('device-face').getAttribute('aria-valuenow')), '0')
  })

  const playsItself = async () => {
    await page.goto(`${gateway.url}/?tour&patience=20#key`)
    await view.waitFor('ready')
    await view.click('#clear')
    await view.waitFor('signed-out')
    await page.goto(`${gateway.url}/?tour=2&patience=20`)
    const shown = await reached(page, 'normal')
    assert.equal(shown.playing, 'yes')
    assert.equal(shown.chip, 'ready')
    const paused = await reached(page, 'tamper', 'tour-play')
    assert.equal(paused.playing, 'no')
    await page.evaluate(() => document.body.dispatchEvent(new WheelEvent('wheel', { bubbles: true })))
    await until(async () => !(await read(page)).isOpen, 'a touch ends it')
    assert.equal((await read(page)).hash, '#tamper/flip-payload')
  }
  // The same script in every engine, and half a minute: once is enough.
  if (browser.engine === 'firefox') await t.test('nobody touches anything: it signs in and plays', playsItself)
}
