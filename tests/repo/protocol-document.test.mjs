// SPDX-License-Identifier: MIT
// PROTOCOL.md can be read, linked and cited: anchors, the index of rules, links between rules, sentences and lines. Each
// check is first shown a text with the fault that it has to find.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  anchorsOf,
  indexFaults,
  linksOf,
  ruleLinkFaults,
  rulesOf,
  rulesWithoutAnchor,
  unlinkedMentions
} from './markdown.mjs'
import { longLines, longSentences } from './prose.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const protocol = readFileSync(join(root, 'PROTOCOL.md'), 'utf8')
const rules = rulesOf(protocol)

/** Numbers that no rule has, as ranges: the text keeps them free for a subject. */
const UNUSED_RANGES = [
  [115, 119],
  [155, 159],
  [169, 169]
]
const UNUSED = UNUSED_RANGES.flatMap(([first, last]) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)
)
const elsewhere = new Set(['node_modules', 'dist', 'build', '.git'])
const markdownFiles = (folder = '') =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return elsewhere.has(entry.name) ? [] : markdownFiles(path)
    return entry.name.endsWith('.md') ? [path] : []
  })

const good = [
  '## 1. Words',
  '<a id="r1"></a>**R1.** A label is text, as in [R2](#r2). `R3` in code is no mention.',
  '',
  '### More words',
  '<a id="r2"></a>**R2.** R2 is this rule.',
  '',
  '| [R1](#r1) | Form of labels | [1. Words](#1-words) |',
  '| [R2](#r2) | This rule | [1. More words](#more-words) |',
  ''
].join('\n')

test('a text without a fault passes every check', () => {
  assert.deepEqual(rulesOf(good), [1, 2])
  for (const faults of [rulesWithoutAnchor, indexFaults, unlinkedMentions]) {
    assert.deepEqual(faults(good), [], faults.name)
  }
  assert.deepEqual(ruleLinkFaults(good, [1, 2]), [])
})

test('every rule of PROTOCOL.md begins with its anchor', () => {
  assert.deepEqual(rulesWithoutAnchor(good.replace('<a id="r2"></a>', '')), ['R2 has no anchor'])
  assert.deepEqual(rulesWithoutAnchor(good.replace('<a id="r2">', '<a id="r1">')), ['R2 has no anchor'])
  assert.deepEqual(rulesWithoutAnchor(good.replace('<a id="r2">', '<a id="R2">')), ['R2 has no anchor'])
  assert.deepEqual(rulesWithoutAnchor(protocol), [])
})

test('the numbers from 1 to the highest are rules, or are named as unused', () => {
  const highest = Math.max(...rules)
  const missing = Array.from({ length: highest }, (_, index) => index + 1).filter((number) => !rules.includes(number))
  assert.deepEqual(missing, UNUSED)
  for (const [first, last] of UNUSED_RANGES)
    assert.ok(protocol.includes(first === last ? `R${first} is unused` : `R${first} to R${last} are unused`))
})

test('no anchor of PROTOCOL.md stands twice', () => {
  const text = '## A `b`, c\n```\n## not this\n```\n## A b c\n<a id="r1"></a>**R1.** x\n'
  assert.deepEqual(anchorsOf(text), ['a-b-c', 'a-b-c-1', 'r1'])
  const anchors = anchorsOf(protocol)
  assert.equal(new Set(anchors).size, anchors.length)
  assert.ok(!anchors.some((anchor) => /-1$/.test(anchor)), 'two headings have the same words')
})

test('the index of PROTOCOL.md lists exactly the rules, in order, each under its section', () => {
  const lines = good.split('\n')
  const swapped = [...lines.slice(0, -3), lines.at(-2), lines.at(-3), ''].join('\n')
  assert.match(indexFaults(swapped)[0], /the index lists 2,1, the rules are 1,2/)
  assert.match(indexFaults(good.replace(/^\| \[R2.*\n/m, ''))[0], /the index lists 1, the rules are 1,2/)
  assert.deepEqual(indexFaults(good.replace('| [R2](#r2)', '| [R2](#r1)')), ['the index leads from R2 to R1'])
  assert.deepEqual(indexFaults(good.replace('This rule |', 'This |')), ['the title of R2 has 1 words'])
  assert.deepEqual(indexFaults(good.replace('(#more-words)', '(#1-words)')), ['R2 is not in #1-words'])
  assert.deepEqual(indexFaults(protocol), [])
})

test('PROTOCOL.md links every rule that it mentions', () => {
  assert.deepEqual(unlinkedMentions(good.replace('[R2](#r2)', 'R2')), ['line 2 mentions R2'])
  assert.deepEqual(unlinkedMentions(good.replace('| Form of', '| R1 and the form of')), ['line 7 mentions R1'])
  assert.deepEqual(unlinkedMentions(protocol, UNUSED), [])
})

test('every link to a rule, in any Markdown file, leads to the rule that it names', () => {
  assert.deepEqual(ruleLinkFaults('See [R3](PROTOCOL.md#r3).', [1, 2]), ['PROTOCOL.md#r3 leads to no rule'])
  assert.deepEqual(ruleLinkFaults('See [that](#r3).', [1, 2]), ['#r3 leads to no rule'])
  assert.deepEqual(ruleLinkFaults('See [R1](../PROTOCOL.md#r2).', [1, 2]), ['[R1] leads to R2'])
  let links = 0
  for (const path of markdownFiles()) {
    const text = readFileSync(join(root, path), 'utf8')
    links += linksOf(text).filter(({ target }) => /#r\d+$/.test(target)).length
    assert.deepEqual(ruleLinkFaults(text, rules), [], path)
  }
  assert.ok(links > rules.length + 100)
})

test('no sentence of PROTOCOL.md has more than 25 words, and no line of its prose more than 110 columns', () => {
  const words = (count) => Array.from({ length: count }, () => 'word').join(' ')
  // A rule, a step and an item of a list: each sentence counts by itself, code as one word, a link as its label.
  for (const start of ['<a id="r1"></a>**R1.** ', '1. ', '- Short. ']) {
    assert.deepEqual(longSentences(`${start}A [word](#r2) \`a b c\`\n${words(22)}. More.`, 25), [])
    assert.equal(longSentences(`${start}A [word](#r2) \`a b c\`\n${words(23)}. More.`, 25).length, 1)
  }
  assert.equal(longLines(`A line.\n${'x'.repeat(111)}\n| ${'x'.repeat(111)} |\n`, 110).length, 1)
  assert.ok(longSentences(protocol, 5).length > 300)
  assert.deepEqual(longSentences(protocol, 25), [])
  assert.deepEqual(longLines(protocol, 110), [])
})
