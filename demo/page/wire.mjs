// SPDX-License-Identifier: MIT
// Frames as they went over the wire: fields beside bytes, each lighting the other.
import { byId, el } from './dom.mjs'
import { changedBytes, fieldsOf } from './fields.mjs'
import { segmentsOf } from './flight.mjs'

const SHOWN_PAYLOAD = 192

const sizeText = (size) => `${size} B`

const byteCells = (frame, fields, changed) =>
  fields.flatMap(({ name, start, end }) => {
    const shownEnd = Math.min(end, start + SHOWN_PAYLOAD)
    const cells = Array.from(frame.subarray(start, shownEnd), (byte, index) =>
      el(
        'span',
        { dataset: { field: name, ...(changed.has(start + index) ? { changed: 'yes' } : {}) } },
        byte.toString(16).padStart(2, '0')
      )
    )
    return shownEnd < end
      ? [...cells, el('span', { class: 'more', dataset: { field: name } }, `+${end - shownEnd}`)]
      : cells
  })

const rowOf = ({ name, start, end, value, signed }) =>
  el(
    'li',
    {},
    el(
      'button',
      { type: 'button', dataset: { field: name }, 'aria-pressed': 'false' },
      el('i', { class: 'swatch' }),
      el('b', {}, name),
      el('span', { class: 'value' }, value === '' ? 'empty' : value.slice(0, 160)),
      el(
        'small',
        { title: signed ? 'inside the signing input' : '' },
        ...(signed ? [el('em', {}, 'signed '), sizeText(end - start)] : [sizeText(end - start)])
      )
    )
  )

/** framesOf lists what an exchange put on the wire, as `{ id, name, frame, changed }`. */
export const framesOf = ({ tap }) => {
  const last = tap.passes.at(-1)
  const frames = tap.frame ? [{ id: 'request', name: 'Request', frame: tap.frame, changed: new Set() }] : []
  if (last && changedBytes(tap.frame, last.frame).size > 0) {
    frames.push({ id: 'altered', name: 'Altered', frame: last.frame, changed: changedBytes(tap.frame, last.frame) })
  }
  if (last?.answer.bytes.length)
    frames.push({ id: 'answer', name: 'Answer', frame: last.answer.bytes, changed: new Set() })
  if (tap.delivered && tap.delivered.bytes !== last?.answer.bytes) {
    const changed = last ? changedBytes(last.answer.bytes, tap.delivered.bytes) : new Set()
    frames.push({ id: 'delivered', name: 'Delivered', frame: tap.delivered.bytes, changed })
  }
  return frames
}

/** createWire returns `{ show, pin }`; `onPin(frame id, field?)` tells which frame and field a reader chose. */
export const createWire = ({ core, onPin }) => {
  const root = byId('scene-wire')
  const [tabs, strip, list, hex] = ['frames', 'strip', 'fields', 'hex'].map(byId)
  let frames = []
  let shown
  let pinned

  const light = (name) => {
    for (const node of root.querySelectorAll('[data-field]')) node.classList.toggle('lit', node.dataset.field === name)
    root.classList.toggle('has-lit', name !== undefined)
  }
  const draw = () => {
    for (const tab of tabs.children) tab.setAttribute('aria-pressed', String(tab.dataset.frame === shown.id))
    const fields = fieldsOf(core, shown.frame)
    root.dataset.frame = shown.id
    strip.replaceChildren(...segmentsOf(fields, shown.changed))
    list.replaceChildren(...fields.map(rowOf))
    const whole = [{ name: 'unsigned', start: 0, end: shown.frame.length, value: 'not a frame', signed: false }]
    if (fields.length === 0) list.replaceChildren(...whole.map(rowOf))
    hex.replaceChildren(
      ...byteCells(shown.frame, fields.length ? fields : whole, fields.length ? shown.changed : new Set())
    )
  }
  const pin = (frameId, field) => {
    shown = frames.find(({ id }) => id === frameId) ?? frames[0]
    if (!shown) return
    draw()
    pinned = field && list.querySelector(`[data-field="${CSS.escape(field)}"]`) ? field : undefined
    for (const row of list.querySelectorAll('button'))
      row.setAttribute('aria-pressed', String(row.dataset.field === pinned))
    light(pinned)
  }
  const fieldAt = (event) => event.target.closest?.('[data-field]')?.dataset.field

  root.addEventListener('pointerover', (event) => light(fieldAt(event) ?? pinned))
  root.addEventListener('pointerleave', () => light(pinned))
  root.addEventListener('focusin', (event) => light(fieldAt(event) ?? pinned))
  root.addEventListener('focusout', () => light(pinned))
  root.addEventListener('click', (event) => {
    const frame = event.target.closest('[data-frame]:not(section)')?.dataset.frame
    const field = fieldAt(event)
    if (frame) onPin(frame)
    else if (field) onPin(shown.id, field === pinned ? undefined : field)
  })
  return {
    pin,
    show(exchange, frameId) {
      frames = framesOf(exchange)
      tabs.replaceChildren(
        ...frames.map(({ id, name, frame }) =>
          el('button', { type: 'button', dataset: { frame: id } }, name, el('small', {}, ` ${sizeText(frame.length)}`))
        )
      )
      root.dataset.empty = frames.length === 0 ? 'yes' : 'no'
      // What was tampered with is what a reader came to see.
      pin(frameId ?? frames.find(({ id }) => id === 'altered' || id === 'delivered')?.id)
    }
  }
}
