// SPDX-License-Identifier: MIT
// One table, two languages: what JavaScript knows is errors.def, row for row.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CountersignError } from 'countersign'
import { errorCategories, errorTable } from '../../dist/generated/errors.js'

const source = readFileSync(new URL('../../include/countersign/errors.def', import.meta.url), 'utf8')
const rows = Array.from(
  source.matchAll(/^CS_ERROR\((\d+), (\w+), (\w+), (\w+), (\w+), "(.*)"\)$/gm),
  ([, number, name, category, stage, retry, message]) => ({
    number: Number(number),
    code: `ERR_${name.toUpperCase()}`,
    category,
    stage: stage === 'none' ? '' : stage,
    retry,
    message
  })
)

test('errors.def has no line that is no row', () => {
  assert.ok(rows.length > 60)
  assert.equal(rows.length, source.match(/^\s*CS_ERROR\(/gm)?.length)
})

test('numbers and names are unique, and numbers ascend', () => {
  assert.equal(new Set(rows.map(({ code }) => code)).size, rows.length)
  assert.deepEqual(
    rows.map(({ number }) => number),
    rows.map(({ number }) => number).toSorted((a, b) => a - b)
  )
  assert.equal(new Set(rows.map(({ number }) => number)).size, rows.length)
})

test("a number's leading digit is its category, one category a digit", () => {
  const categories = new Map()
  for (const { number, category } of rows) {
    const digit = Math.floor(number / 100)
    assert.equal(categories.get(digit) ?? category, category, `${number}`)
    categories.set(digit, category)
  }
  assert.equal(new Set(categories.values()).size, categories.size)
})

test('the TypeScript side is errors.def, row for row', () => {
  const listed = Object.entries(errorTable).map(([code, [number, message, retry = 'never', stage = '']]) => ({
    number,
    code,
    category: errorCategories[Math.floor(number / 100) - 1],
    stage,
    retry,
    message
  }))
  assert.deepEqual(listed, rows)
})

test('an error says what its row says', () => {
  for (const { code, category, stage, retry, message } of rows) {
    const error = new CountersignError(code)
    assert.deepEqual(
      [error.code, error.category, error.stage ?? '', error.retry, error.message],
      [code, category, stage, retry, message]
    )
  }
})
