// SPDX-License-Identifier: MIT
// The documents keep step with the tree: the error table, the error pages, the worked bytes, the code that is shown, the links.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { anchorsOf, rulesOf } from './markdown.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path) => readFileSync(join(root, path), 'utf8')
const rows = Array.from(
  read('include/countersign/errors.def').matchAll(/^CS_ERROR\((\d+), (\w+), (\w+), (\w+), (\w+), "(.*)"\)$/gm),
  ([, number, name, category, stage, retry, message]) => ({
    number,
    code: `ERR_${name.toUpperCase()}`,
    category,
    stage: stage === 'none' ? '' : stage,
    retry,
    message
  })
)
const pages = readdirSync(join(root, 'docs/errors')).filter((name) => name.startsWith('ERR_'))
const markdown = ['', 'demo/gateway/', 'docs/', 'docs/errors/', 'docs/guide/', 'docs/profiles/'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => folder + name)
)

test('R93 PROTOCOL.md lists exactly the codes of errors.def, with number, stage and retry', () => {
  const listed = Array.from(read('PROTOCOL.md').matchAll(/^\| (\d{3}) \| (ERR_\w+) \| ?(\w*) ?\| (\w+) \| (.+) \|$/gm))
  assert.ok(rows.length > 60)
  assert.deepEqual(
    listed
      .map(([, number, code, stage, retry]) => ({ number, code, stage, retry }))
      .sort((a, b) => a.number - b.number),
    rows.map(({ number, code, stage, retry }) => ({ number, code, stage, retry })).sort((a, b) => a.number - b.number)
  )
})

test('every error code has a page that agrees with errors.def, and the index lists it', () => {
  assert.deepEqual(pages.sort(), rows.map(({ code }) => `${code}.md`).sort())
  const index = read('docs/errors/README.md')
  for (const { number, code, category, stage, retry, message } of rows) {
    const page = read(`docs/errors/${code}.md`)
    const shown = stage === '' ? '–' : `\`${stage}\``
    assert.ok(page.startsWith(`# ${code}\n`), code)
    assert.ok(page.includes(`| ${number} | ${category} | ${shown} | \`${retry}\` |`), code)
    assert.ok(page.includes(`> ${message}\n`), code)
    assert.ok(index.includes(`| ${number} | [${code}](${code}.md) | ${message} |`), code)
  }
})

// Later rules were given their numbers in blocks, a block for each subject.
test('each rule has a number of its own, and the first hundred are all there', () => {
  const numbers = rulesOf(read('PROTOCOL.md'))
  assert.equal(new Set(numbers).size, numbers.length)
  assert.deepEqual(
    numbers.sort((a, b) => a - b).slice(0, 100),
    Array.from({ length: 100 }, (_, i) => i + 1)
  )
})

test('every rule that the sources cite exists', () => {
  const rules = new Set(rulesOf(read('PROTOCOL.md')))
  const sources = ['include', 'src', 'js', 'tests', 'demo', 'docs'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(hpp|cpp|ts|mjs|py|md)$/.test(name))
      .map((name) => `${folder}/${name}`)
  )
  let cited = 0
  for (const path of sources) {
    for (const [, numbers] of read(path).matchAll(/\((R\d+(?:(?:, | to | and )R\d+)*)\)/g)) {
      for (const [, number] of numbers.matchAll(/R(\d+)/g)) {
        cited += 1
        assert.ok(rules.has(Number(number)), `${path} cites R${number}`)
      }
    }
  }
  assert.ok(cited > 50)
})

test('SECURITY.md names, for each row, tests that exist and carry the row in a name', () => {
  const table = Array.from(read('SECURITY.md').matchAll(/^\| ([A-H]\d+|F-\d+) \| (.+) \| (.+) \| (.*) \|$/gm))
  assert.equal(table.length, 136)
  for (const [, row, , , tests] of table) {
    const files = Array.from(tests.matchAll(/`([^`]+)`/g), ([, file]) => file)
    assert.ok(files.length > 0, `${row} has no test`)
    for (const file of files)
      assert.match(read(file), new RegExp(`['"\`(].*(?<![\\w-])${row}(?![\\w-])`), `${file} does not name ${row}`)
  }
})

test('the bytes shown in PROTOCOL.md are those of the vectors', () => {
  const vectors = JSON.parse(read('tests/vectors/exchange.json'))
  // A comment stands behind at least four spaces; bytes are in the left column.
  const blocks = Array.from(read('PROTOCOL.md').matchAll(/```hex\n([\s\S]*?)```/g), ([, block]) =>
    block.replace(/(?<=\S) {4,}.*$/gm, '').replace(/\s+/g, '')
  )
  const request = vectors.cases.find(({ name }) => name === 'request-1')
  const { fields, head, request_id: requestId } = vectors.request_ids.find(({ name }) => name === 'id-1')
  assert.equal(blocks[0], request.signing_input)
  assert.ok(blocks[1].includes(Buffer.from(head).toString('hex')) && blocks[1].endsWith(fields.payload_hash))
  const digest = createHash('sha256').update(Buffer.from(blocks[1], 'hex')).digest('base64url')
  assert.equal(`${head}.${digest.slice(0, 22)}`, requestId)
  assert.ok(read('PROTOCOL.md').includes(`\`${requestId}\``))
  assert.equal(blocks[2], request.frame)
  assert.equal(blocks[3], vectors.open_response.accept.find(({ name }) => name === 'good').frame)
})

test('docs/other-languages.md shows the verifier that the tests run', () => {
  const source = read('tests/interop/verify_request.py')
  assert.ok(read('docs/other-languages.md').includes(`\`\`\`python\n${source}\`\`\``))
})

for (const path of markdown) {
  test(`links of ${path} lead somewhere`, () => {
    const text = read(path).replace(/```[\s\S]*?```/g, '')
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [file, anchor] = target.split('#')
      const full = file === '' ? path : join(dirname(path), file)
      assert.ok(existsSync(join(root, full)), `${target} does not exist`)
      if (anchor) assert.ok(anchorsOf(read(full)).includes(anchor), `${full} has no anchor #${anchor}`)
    }
  })
}

// A path begins at the root or at js/.
for (const path of [
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'docs/decisions.md',
  'docs/guide/core.md',
  'docs/guide/flows.md'
]) {
  test(`the files that ${path} names exist`, () => {
    const named = Array.from(
      read(path).matchAll(/(?<![\w./-])(?:[\w-]+\/)+[\w.-]+\.(?:ts|mjs|cpp|hpp|py|cmake)\b/g),
      ([name]) => name
    )
    assert.ok(named.length > 0)
    assert.deepEqual(
      named.filter((name) => !existsSync(join(root, name)) && !existsSync(join(root, 'js', name))),
      []
    )
  })
}

test('ARCHITECTURE.md has at most 120 lines', () => {
  assert.ok(read('ARCHITECTURE.md').trimEnd().split('\n').length <= 120)
})
