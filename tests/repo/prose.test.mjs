// SPDX-License-Identifier: MIT
// The pages are written in short lines and short sentences.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { longLines, longSentences } from './prose.mjs'

const MAX_COLUMNS = 110
const MAX_WORDS = 25
const pages = [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'demo/gateway/README.md',
  'docs/assurance.md',
  'docs/browsers.md',
  'docs/command.md',
  'docs/decisions.md',
  'docs/guide/core.md',
  'docs/guide/flows.md',
  'docs/guide/frames.md',
  'docs/guide/states.md',
  'docs/guide/tour.md',
  'docs/other-languages.md',
  'docs/testing.md'
]

for (const page of pages) {
  test(`${page} has lines of ${MAX_COLUMNS} columns and sentences of ${MAX_WORDS} words at most`, () => {
    const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
    assert.deepEqual(longLines(text, MAX_COLUMNS), [])
    assert.deepEqual(longSentences(text, MAX_WORDS), [])
  })
}

test('a long line is found in prose, lists and headings, and not in fences and tables', () => {
  const text = ['four', '- fives', '# a head', '| a table |', '```sh', 'some code', '```', 'last one'].join('\n')
  assert.deepEqual(longLines(text, 6), [
    { line: 2, columns: 7 },
    { line: 3, columns: 8 },
    { line: 8, columns: 8 }
  ])
  assert.deepEqual(longLines(text, 8), [])
  // A fence ends at marks of its own kind and length.
  assert.deepEqual(longLines('````md\n```\nsome code\n```\n````\nlast one', 6), [{ line: 6, columns: 8 }])
})

test('a long sentence is found across lines, and ends where its paragraph or list item ends', () => {
  const found = (text, max) => longSentences(text, max).map(({ line, words }) => [line, words])
  assert.deepEqual(found('One two three\nfour five. Six seven.', 4), [[1, 5]])
  assert.deepEqual(found('One two three\nfour five. Six seven.', 5), [])
  assert.deepEqual(found('# One two\nthree four\n\n- five six\n  seven\n- eight\n1. nine ten\n', 2), [[4, 3]])
  assert.deepEqual(found('One two (three). "Four five!" Six **seven.** Eight?', 3), [])
  assert.deepEqual(found('One two, e.g. three four.', 4), [[1, 5]])
})

test('code spans are one word, link targets and fences none, and rows of tables are not sentences', () => {
  const words = (text) => longSentences(text, 0).map((found) => found.words)
  assert.deepEqual(words('One `two three four` five'), [3])
  assert.deepEqual(words('One [two three](https://example.com/four) <https://example.com/> five'), [5])
  assert.deepEqual(words('One – two = three'), [3])
  assert.deepEqual(words('| one two |\n|---|\n```\none two\n```\n<!-- one -->'), [])
})
