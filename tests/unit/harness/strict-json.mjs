// SPDX-License-Identifier: MIT
// A second reader of strict JSON (R173 to R175), which shares nothing with the one in C++: JSON.parse, and the rules that it
// does not have. Also bodies of every kind, to compare the two on.
import { concat, fromHex, utf8 } from './bytes.mjs'

const MAX_DEPTH = 64
const STRINGS = /"(?:[^"\\]|\\[\s\S])*"/g
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Counts the members of all objects of a value; undefined where a number or a text of it is not allowed. */
const countMembers = (root) => {
  let count = 0
  const open = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'number' && !Number.isFinite(value)) return undefined
    if (typeof value === 'string' && !value.isWellFormed()) return undefined
    if (typeof value !== 'object' || value === null) continue
    if (!Array.isArray(value)) {
      const names = Object.keys(value)
      if (!names.every((name) => name.isWellFormed())) return undefined
      count += names.length
    }
    open.push(...Object.values(value))
  }
  return count
}

const depthOf = (marks) => {
  let [depth, deepest] = [0, 0]
  for (const mark of marks) {
    if (mark === '{' || mark === '[') deepest = Math.max(deepest, ++depth)
    if (mark === '}' || mark === ']') depth--
  }
  return deepest
}

/** readStrict gives `{ value }` of strict JSON, and undefined for every other body. */
export const readStrict = (bytes) => {
  try {
    const text = decoder.decode(bytes)
    const value = JSON.parse(text)
    const marks = text.replace(STRINGS, '')
    // Of two equal names JSON.parse keeps one: fewer members are in the value than colons are in the text.
    const isStrict = countMembers(value) === marks.split(':').length - 1 && depthOf(marks) <= MAX_DEPTH
    return isStrict ? { value } : undefined
  } catch {
    return undefined
  }
}

/** canonicalOf writes a value as canonical JSON (R175). */
export const canonicalOf = (value) => {
  if (Array.isArray(value)) return `[${value.map(canonicalOf).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalOf(value[name])}`).join(',')}}`
}

/** bodyOfCase gives the bytes of a case of json-test-suite.json. */
export const bodyOfCase = ({ hex, times = 1, tail = '' }) => fromHex(hex.repeat(times) + tail)

// What a reader decides by: signs, words, numbers at an edge, strings of every kind of character and escape.
const PIECES = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', ' ', '\n', '\t', '\r', '\f', '\u00a0', '\ufeff', '\u0000'],
  ...['true', 'false', 'null', 'True', 'nul', 'NaN', 'Infinity', '"a":', '"a":1,', '"\\u0061":2', '"__proto__":1,'],
  ...['0', '-0', '01', '1.', '.5', '+1', '-', '1e5', '1E+00001', '1e-99999', '1e400', '1.7976931348623158e308'],
  ...[
    '1.7976931348623159e308',
    '5e-324',
    '2.4703282292062327e-324',
    '9007199254740993',
    '0.1',
    '1e21',
    '123456.789e-3'
  ],
  ...[
    '"é"',
    '"😀"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"\\ude00"',
    '"\\u00e9"',
    '"\\/"',
    '"\\x"',
    '"\u007f"',
    '"\u2028"'
  ]
].map(utf8)
const BYTES = [0x80, 0xc0, 0xc2, 0xe0, 0xed, 0xa0, 0xf0, 0xf4, 0x90, 0xff, 0x1f, 0x7f]

/** mutated changes a body in one to four places: a bit, a byte, a piece, a cut, a repetition. */
export const mutated = (body, random) => {
  let bytes = body
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(bytes.length + 1)
    const length = random.pick([0, 0, 1, 1, 2, random.below(9)])
    const kind = random.below(4)
    const piece =
      kind === 0
        ? Uint8Array.of((bytes[at] ?? 0) ^ (1 << random.below(8)))
        : kind === 1
          ? Uint8Array.of(random.pick(BYTES))
          : kind === 2
            ? random.pick(PIECES)
            : bytes.slice(random.below(bytes.length + 1)).slice(0, random.below(20))
    bytes = concat(bytes.slice(0, at), piece, bytes.slice(at + length))
  }
  return bytes
}

const number = (random) => {
  const digits = (most) => Array.from({ length: 1 + random.below(most) }, () => random.below(10)).join('')
  const whole = random.pick(['0', '0', `${1 + random.below(9)}${random.below(2) ? '' : digits(24)}`])
  const fraction = random.below(2) ? '' : `.${digits(random.pick([3, 20, 500]))}`
  const exponent = random.below(2)
    ? ''
    : `${random.pick(['e', 'E-', 'e+', 'e-0'])}${digits(random.pick([1, 2, 3, 3, 6]))}`
  return `${random.pick(['', '-'])}${whole}${fraction}${exponent}`
}

/** anyBody makes a text that is nearly always strict JSON. */
export const anyBody = (random, depth = 4) => {
  const kind = random.below(depth === 0 ? 3 : 5)
  const text = () => random.pick(['"a"', '"b"', '"é\\n"', '"\\u0041\\ud83d\\ude00"', '""', `"${random.below(99)}"`])
  const items = (make) => Array.from({ length: random.below(5) }, make).join(random.pick([',', ' , ']))
  if (kind === 0) return number(random)
  if (kind === 1) return text()
  if (kind === 2) return random.pick(['true', 'false', 'null'])
  if (kind === 3) return `[${items(() => anyBody(random, depth - 1))}]`
  return `{${items(() => `${text()}:${anyBody(random, depth - 1)}`)}}`
}
