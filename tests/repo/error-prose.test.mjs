// SPDX-License-Identifier: MIT
// Error texts and error pages are short enough to be understood at first sight.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { longLines, longSentences } from './prose.mjs'

const MAX_WORDS = 25
const MAX_COLUMNS = 110
// What may begin with a capital: names of standards and products, settings of the gateway, abbreviations.
const NAMES = /^(IndexedDB|WebAssembly|WebCrypto|WebSocket|Ed25519|P-256|Redis|[A-Z][A-Z0-9_]+)\b/

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path) => readFileSync(join(root, path), 'utf8')
const textsOf = (table) => Array.from(table.matchAll(/^CS_ERROR\(.*, "(.*)"\)$/gm), ([, text]) => text)
const faultsOf = (text) => [
  ...(text.split(/\s+/).length > MAX_WORDS ? ['long'] : []),
  ...(/^\p{Lu}/u.test(text) && !NAMES.test(text) ? ['capital'] : []),
  ...(text.endsWith('.') ? ['full stop'] : [])
]

test('no error text has more than 25 words, a capital letter at its start or a full stop at its end', () => {
  const texts = textsOf(read('include/countersign/errors.def'))
  assert.ok(texts.length > 60)
  for (const text of texts) assert.deepEqual(faultsOf(text), [], text)
})

// A text that a call hands over as a literal: the detail of an error, or the whole text where no code stands before it.
const LITERAL = /(?:badArgument\(|detail: |new (?:Type|Cli|Config)?Error\()\s*(['"`])((?:\\.|(?!\1).)+)\1/g

test('the details of errors, and the texts of commands and of the gateway, keep the same rules', () => {
  const files = ['js', 'demo/gateway'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(ts|mjs)$/.test(name))
      .map((name) => join(folder, name))
  )
  const texts = files.flatMap((file) => Array.from(read(file).matchAll(LITERAL), ([, , text]) => ({ file, text })))
  assert.ok(texts.length > 150)
  for (const { file, text } of texts) assert.deepEqual(faultsOf(text), [], `${file}: ${text}`)
})

test('a text that breaks one of these rules is found', () => {
  assert.deepEqual(faultsOf('IndexedDB did not open'), [])
  assert.deepEqual(faultsOf('The store did not open'), ['capital'])
  assert.deepEqual(faultsOf('the store did not open.'), ['full stop'])
  assert.deepEqual(faultsOf('no '.repeat(25).trim()), [])
  assert.deepEqual(faultsOf('no '.repeat(26).trim()), ['long'])
})

for (const folder of ['docs/errors', 'docs/profiles']) {
  test(`no page of ${folder} has a sentence of more than 25 words or a line of more than 110 columns`, () => {
    const pages = readdirSync(join(root, folder)).filter((name) => name.endsWith('.md'))
    assert.ok(pages.length > 2)
    for (const page of pages) {
      const text = read(join(folder, page))
      assert.deepEqual(longLines(text, MAX_COLUMNS), [], `${folder}/${page}`)
      assert.deepEqual(longSentences(text, MAX_WORDS), [], `${folder}/${page}`)
    }
  })
}

test('every error page says what happened, why, what to do and whether a retry helps', () => {
  const sections = ['Likely causes', 'What to do', 'Retry', 'Example']
  for (const page of readdirSync(join(root, 'docs/errors')).filter((name) => name.startsWith('ERR_'))) {
    const text = read(join('docs/errors', page))
    assert.deepEqual(
      Array.from(text.matchAll(/^## (.*)$/gm), ([, title]) => title),
      sections,
      page
    )
    assert.match(text, /^> .+\n\n\S/m, page)
  }
})
