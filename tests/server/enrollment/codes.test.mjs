// SPDX-License-Identifier: MIT
// Codes as people type them, and addresses, which nobody changes (R160).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey } from '../kit.mjs'
import { confirm, createDesk, HOUR, problemOf, wrong } from './kit.mjs'

const inScript = (zero) => (code) => [...code].map((digit) => String.fromCodePoint(zero + Number(digit))).join('')

const forms = {
  'blanks around it': (code) => ` ${code}\t `,
  'a line break behind it': (code) => `${code}\r\n`,
  'groups and a no-break space': (code) => `${code.slice(0, 3)}\u00a0${code.slice(3)}`,
  'groups and a hyphen': (code) => `${code.slice(0, 3)}-${code.slice(3)}`,
  'groups and an en dash': (code) => `${code.slice(0, 3)}\u2013${code.slice(3)}`,
  'marks of direction around it': (code) => `\u2067${code}\u2069\u200e`,
  'a zero-width space in it': (code) => `${code.slice(0, 2)}\u200b${code.slice(2)}`,
  'full-width digits': inScript(0xff10),
  'Arabic-Indic digits': inScript(0x660),
  'Persian digits': inScript(0x6f0),
  'Devanagari digits': inScript(0x966),
  // Five rows of ten digits lie side by side here.
  'monospace digits': inScript(0x1d7f6),
  'bold digits': inScript(0x1d7ce),
  'digits of several scripts': (code) => inScript(0x660)(code.slice(0, 2)) + inScript(0xff10)(code.slice(2))
}

for (const [what, form] of Object.entries(forms))
  test(`R160 a code with ${what} is the code`, async () => {
    const desk = createDesk()
    const challenge = await desk.challengeOf()
    assert.equal((await confirm(desk, createKey(), challenge, { code: form(challenge.code) })).status, 200)
  })

test('R160 a code with other characters is a wrong code, and one of blanks alone is no code', async () => {
  const desk = createDesk()
  const challenge = await desk.challengeOf()
  const key = createKey()
  for (const code of [`${challenge.code}.`, `x${challenge.code}`, `${challenge.code}\u00b2`])
    assert.equal(await problemOf(await confirm(desk, key, challenge, { code })), '400 invalid_code')
  for (const code of [' ', '-', '\u200b\n'])
    assert.equal(await problemOf(await confirm(desk, key, challenge, { code })), '400 invalid_request')
  assert.equal((await confirm(desk, key, challenge)).status, 200)
})

test('H24 R160 a short code that is filled up with blanks and marks counts as a short one', async () => {
  const fill = ' -\u200b\u2067 -'
  const desk = createDesk()
  const key = createKey()
  const init = { remoteAddress: '203.0.113.9' }
  for (let round = 0; round < 3; round++) {
    const challenge = await desk.challengeOf('ada@example.com', init)
    for (let count = 0; count < 5; count++) {
      const code = wrong(challenge.code) + fill
      assert.equal(await problemOf(await confirm(desk, key, challenge, { code }, init)), '400 invalid_code')
    }
  }
  desk.now.ms += HOUR
  const long = await desk.challengeOf('ada@example.com', { remoteAddress: '198.51.100.7' })
  assert.match(long.code, /^\d{10}$/, 'fifteen wrong codes of the address were counted')
  const filled = await confirm(desk, key, long, { code: `123456${fill}` }, init)
  assert.equal(await problemOf(filled), '429 too_many_requests', 'the source has no short code left')
})

test('R160 the gateway changes no address: blanks around one are refused, and the proof covers it as it was sent', async () => {
  const desk = createDesk()
  for (const email of [' ada@example.com', 'ada@example.com ', 'ada@example.com\n'])
    assert.equal(await problemOf(await desk.send(email)), '400 invalid_request')
  const challenge = await desk.challengeOf('Ada@Example.com')
  const folded = { ...challenge, email: 'ada@example.com' }
  assert.equal(await problemOf(await confirm(desk, createKey(), folded)), '400 invalid_proof')
  assert.equal((await confirm(desk, createKey(), challenge)).status, 200)
})

test('R86 a refusal for too many requests names its wait in milliseconds too', async () => {
  const desk = createDesk()
  for (let count = 0; count < 5; count++) await desk.challengeOf('ada@example.com')
  desk.now.ms += 1500
  const refused = await desk.send('ada@example.com')
  const { code, retry_after_ms: waitMs } = await refused.json()
  assert.deepEqual([refused.status, code, waitMs], [429, 'too_many_requests', HOUR - 1500])
  assert.equal(refused.headers.get('retry-after'), '3599')
  assert.equal('retry_after_ms' in (await (await desk.send('none')).json()), false)
})
