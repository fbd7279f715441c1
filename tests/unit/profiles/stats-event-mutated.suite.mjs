// SPDX-License-Identifier: MIT
// Ten thousand mutated events for each mode: what is accepted is what was signed, and nothing crashes.

import { canonicalJson, compatibleMessage, importDeviceKey, signEvent, verifyEvent } from 'countersign/stats-event'
import { seeded } from '../harness/bytes.mjs'

const KEY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const MODES = ['compatible', 'covered', 'strict']

const session = {
  type: 'session',
  data: { id: 's1', hours: 2, duration_ms: 7_200_000, tags: ['a', { deep: [1, null, true] }] },
  timestamp: 1_769_598_000_000,
  nonce: 'a0a1a2a3a4a5a600'
}

/** mutate changes a few characters of a JSON text in one of several ways. */
const mutate = (text, random) => {
  const at = random.below(text.length)
  const ways = [
    () => text.slice(0, at) + String.fromCharCode(32 + random.below(95)) + text.slice(at + 1),
    () => text.slice(0, at) + text.slice(at + 1),
    () => text.slice(0, at) + text[at] + text.slice(at),
    () => text.slice(0, at) + String(random.below(10)) + text.slice(at),
    () =>
      text.replace(/"data":\{/, `"data":{"${random.pick(['type', 'nonce', '__proto__', 'x'])}":${random.below(9)},`),
    () => text.replace(/\d(?=[^\d]*$)/, (digit) => String((Number(digit) + 1 + random.below(9)) % 10)),
    () => text.slice(0, at),
    () => text.replace(/\}$/, `,"${random.pick(['extra', '__proto__', 'signature', 'data', 'type'])}":{}}`)
  ]
  return random.pick(ways)()
}

const parse = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What a mode protects of an event, as a text; undefined where the event has no such thing. */
const protectedPart = (event, mode) => {
  try {
    if (mode === 'compatible') return `${compatibleMessage(event)} ${event.signature}`
    return canonicalJson(event)
  } catch {
    return undefined
  }
}

export const suite = (test, assert) => {
  for (const mode of MODES) {
    test(`10,000 mutated ${mode} events: none is accepted whose protected part changed, none crashes`, async () => {
      const key = await importDeviceKey(KEY)
      const event = await signEvent(key, session, { mode })
      const text = JSON.stringify(event)
      const own = protectedPart(event, mode)
      const random = seeded(MODES.indexOf(mode) + 41)
      let refused = 0
      for (let round = 0; round < 10_000; ) {
        const mutated = parse(mutate(text, random))
        // Text that is no JSON is no event; it does not count.
        if (mutated === undefined) continue
        round += 1
        const { ok } = await verifyEvent(mutated, key, { mode })
        const isSame = protectedPart(mutated, mode) === own
        assert.equal(ok, isSame, JSON.stringify(mutated))
        if (!ok) refused += 1
      }
      assert.ok(refused > 3000, `${refused} refused`)
    })
  }
}
