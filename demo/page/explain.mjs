// SPDX-License-Identifier: MIT
// Two messages that should be one: aligned bytes, the first that differs, and the likely cause. Paste your own.
import { causes, explain } from 'countersign/explain'
import { byId, el, printable } from './dom.mjs'
import { writePlace } from './permalink.mjs'

const encoder = new TextEncoder()
const COLUMNS = 16
const ROWS_BEFORE = 1
const ROWS = 4

/** Pairs that were each made by one mistake, by the name of its cause. */
const EXAMPLES = {
  float_spelling: ['{"item":"lamp","price":45.0}', '{"item":"lamp","price":45}'],
  white_space: ['{"move":"Nf3","n":12}', '{"move": "Nf3", "n": 12}'],
  member_order: ['{"from":"a","to":"b"}', '{"to":"b","from":"a"}'],
  escaped_unicode: ['{"name":"Zoë"}', '{"name":"Zo\\u00eb"}'],
  crlf: ['first\nsecond', 'first\r\nsecond'],
  base64_alphabet: ['-_9hYmM', '+/9hYmM='],
  seconds: ['1775000000000', '1775000000'],
  unicode_form: ['caf\u00e9', 'cafe\u0301']
}

const words = (name) => name.replaceAll('_', ' ')

// What was pasted may be hex of a frame: those are taken apart by their fields.
const bytesOf = (text) => {
  const digits = text.replace(/\s+/g, '')
  if (/^435301(?:[0-9a-f]{2})+$/i.test(digits)) {
    return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
      Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16)
    )
  }
  return encoder.encode(text)
}

const cellOf = (byte, mark) =>
  el(
    'i',
    { dataset: { mark } },
    byte === undefined ? '··' : byte.toString(16).padStart(2, '0'),
    el('small', {}, byte === undefined ? '' : byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : '·')
  )

const rowsOf = (bytes, other, offset) => {
  const first = Math.max(0, (Math.floor(offset / COLUMNS) - ROWS_BEFORE) * COLUMNS)
  const end = Math.min(first + ROWS * COLUMNS, Math.max(bytes.length, other.length))
  return Array.from({ length: Math.max(0, end - first) }, (_, step) => {
    const at = first + step
    const mark = at === offset ? 'first' : at > offset && bytes[at] !== other[at] ? 'other' : 'same'
    return cellOf(bytes[at], mark)
  })
}

/** createExplain returns `{ visit, setReady, show }`; it compares what is in its two boxes, and nothing is sent. */
export const createExplain = ({ core }) => {
  const [root, left, right] = ['scene-explain', 'explain-left', 'explain-right'].map(byId)

  // A box changes line ends; what it was given stands beside it.
  const texts = { signed: '', received: '' }
  const compare = () => {
    const [signed, received] = [bytesOf(texts.signed), bytesOf(texts.received)]
    const found = explain(core, signed, received)
    const { isSame, part, offset, cause } = found
    root.dataset.cause = isSame ? 'same' : (cause?.name ?? 'unknown')
    byId('explain-where').textContent = isSame ? 'the same' : `differs in ${part}, byte ${offset}`
    byId('explain-cause').textContent = isSame ? '' : (cause?.text ?? 'no known cause: other bytes')
    const [ones, others] = isSame ? [signed, received] : [found.left, found.right]
    const at = isSame ? Number.POSITIVE_INFINITY : offset
    byId('explain-hex-left').replaceChildren(...rowsOf(ones, others, Number.isFinite(at) ? at : 0))
    byId('explain-hex-right').replaceChildren(...rowsOf(others, ones, Number.isFinite(at) ? at : 0))
    if (isSame) for (const cell of root.querySelectorAll('[data-mark]')) cell.dataset.mark = 'same'
  }
  /** show fills the boxes with an example and says what explain says of it. */
  const show = (name) => {
    const [signed, received] = EXAMPLES[name] ?? EXAMPLES.float_spelling
    Object.assign(texts, { signed, received })
    left.value = signed
    right.value = received
    for (const button of byId('explain-examples').children)
      button.setAttribute('aria-pressed', String(button.dataset.example === name))
    compare()
    return byId('explain-cause').textContent
  }

  byId('explain-examples').append(
    ...Object.keys(EXAMPLES).map((name) =>
      el(
        'button',
        {
          type: 'button',
          title: printable(causes[name]),
          dataset: { example: name },
          onclick: () => {
            writePlace('explain', name)
            show(name)
          }
        },
        words(name)
      )
    )
  )
  for (const [name, box] of [
    ['signed', left],
    ['received', right]
  ]) {
    box.addEventListener('input', () => {
      texts[name] = box.value
      compare()
    })
  }
  show('float_spelling')
  return { show, setReady() {}, visit: ([name]) => void show(name) }
}
