// SPDX-License-Identifier: MIT
// Scene: two messages side by side, the first byte that differs circled, and the likely cause; the boxes take anything.
import assert from 'node:assert/strict'
import { until } from '../harness.mjs'
import { CALM } from '../page-driver.mjs'

const read = (page) =>
  page.evaluate(() => {
    const rows = (id) =>
      Array.from(document.querySelectorAll(`#${id} i`), ({ dataset, firstChild }) => [firstChild.data, dataset.mark])
    return {
      cause: document.getElementById('scene-explain').dataset.cause,
      where: document.getElementById('explain-where').textContent,
      left: rows('explain-hex-left'),
      right: rows('explain-hex-right')
    }
  })

/** explain goes through the examples and pastes two messages of its own. */
export const explain = async (t, { view, gateway }) => {
  const { page } = view
  await page.goto(`${gateway.url}/${CALM}&explain#explain/crlf`)
  await view.waitFor('ready')

  await t.test('an address is an example, with its first difference circled', async () => {
    const shown = await until(async () => {
      const now = await read(page)
      return now.cause === 'crlf' && now
    }, 'the example of the address')
    assert.equal(shown.where, 'differs in bytes, byte 5')
    assert.deepEqual(
      [shown.left[5], shown.right[5]],
      [
        ['0a', 'first'],
        ['0d', 'first']
      ]
    )
    assert.equal(
      shown.left.slice(0, 5).every(([, mark]) => mark === 'same'),
      true
    )
  })

  await t.test('each example is explained by its own cause', async () => {
    const names = await page.evaluate(() =>
      Array.from(document.querySelectorAll('[data-example]'), ({ dataset }) => dataset.example)
    )
    assert.equal(names.length, 8)
    for (const name of names) {
      await view.click(`[data-example="${name}"]`)
      assert.equal((await read(page)).cause, name)
    }
    await view.click('[data-example="float_spelling"]')
    await view.show('explain', '#scene-explain')
  })

  await t.test('what is pasted is compared as it is typed', async () => {
    const paste = (left, right) =>
      page.evaluate(
        (one, other) => {
          for (const [id, text] of [
            ['explain-left', one],
            ['explain-right', other]
          ]) {
            const box = document.getElementById(id)
            box.value = text
            box.dispatchEvent(new Event('input'))
          }
        },
        left,
        right
      )
    await paste('same', 'same')
    assert.deepEqual([(await read(page)).cause, (await read(page)).where], ['same', 'the same'])
    await paste('{"amount":1}', '{"amount":2}')
    assert.equal((await read(page)).cause, 'unknown')
    await paste('<b>x</b>', '<b>y</b>')
    assert.equal(await page.evaluate(() => document.querySelectorAll('#scene-explain b b').length), 0)
    await paste('', '')
    assert.equal((await read(page)).cause, 'same')
  })
}
