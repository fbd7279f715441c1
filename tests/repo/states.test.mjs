// SPDX-License-Identifier: MIT
// docs/guide/states.md shows the transition tables of the client as they are.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { diagramOf, meaningsOf, page, renderPage } from '../../tools/state-diagrams.mjs'

test('the page of the states is what tools/state-diagrams.mjs makes of the tables', () => {
  const text = readFileSync(page, 'utf8')
  assert.equal(text, renderPage(text), 'run node tools/build.mjs && node tools/state-diagrams.mjs')
})

test('a page that differs from the tables, or lacks its markers, is noticed', () => {
  const text = readFileSync(page, 'utf8')
  assert.equal(renderPage(text.replace('ready --> revoked', 'revoked --> ready')), text)
  assert.throws(() => renderPage(text.replace('<!-- client.state -->', '')), /no markers of client\.state/)
})

test('a diagram has one arrow for each pair of states, and none that leads back', () => {
  const transitions = {
    'went-up': { to: 'up', from: ['down-there', 'up'] },
    rose: { to: 'up', from: ['down-there'] },
    fell: { to: 'down-there' }
  }
  assert.deepEqual(diagramOf(transitions, ['up', 'down-there'], ['up']).split('\n'), [
    '```mermaid',
    'stateDiagram-v2',
    '  state "up" as up',
    '  state "down-there" as down_there',
    '  state "any state" as any_state',
    '  [*] --> up',
    '  down_there --> up: went-up, rose',
    '  any_state --> down_there: fell',
    '```'
  ])
})

test('the meanings come from the comment of a type, also over several lines', () => {
  const source =
    "/** Other. */\n/**\n * Says.\n * - `one`: the first\n *   meaning.\n * - `two`: the other.\n */\nexport type Word = 'one'\n"
  assert.deepEqual(
    [...meaningsOf(source, 'Word')],
    [
      ['one', 'The first meaning.'],
      ['two', 'The other.']
    ]
  )
  assert.throws(() => meaningsOf(source, 'Other'), /no type Other/)
})
