// SPDX-License-Identifier: MIT
// A clock face of twelve hours, and the sector of it that an estimate leaves open.
import { HOUR_MS } from './device-clock.mjs'

const SVG = 'http://www.w3.org/2000/svg'
const TURN_MS = 12 * HOUR_MS
const CENTRE = 50
const SECTOR = 37

const shape = (name, attributes) => {
  const node = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  return node
}

const at = (turns, radius) => {
  const angle = 2 * Math.PI * turns
  return `${(CENTRE + radius * Math.sin(angle)).toFixed(3)} ${(CENTRE - radius * Math.cos(angle)).toFixed(3)}`
}

const line = (name, from, to) => shape('path', { class: name, d: `M${at(0, from)}L${at(0, to)}` })

const ticks = () =>
  Array.from({ length: 12 }, (_, hour) => {
    const length = hour % 3 === 0 ? 8 : 4
    return shape('path', { class: 'tick', d: `M${at(hour / 12, 44)}L${at(hour / 12, 44 - length)}` })
  })

const sectorPath = (from, to) => {
  const isLarge = to - from > 0.5 ? 1 : 0
  return `M${CENTRE} ${CENTRE}L${at(from, SECTOR)}A${SECTOR} ${SECTOR} 0 ${isLarge} 1 ${at(to, SECTOR)}Z`
}

/** turnsOf says how far round the dial a time stands, 0 to 1. */
export const turnsOf = (ms) => (ms % TURN_MS) / TURN_MS

/** createFace draws into `root` and returns `show(ms, errorMs)`; without a time the hands are taken off. */
export const createFace = (root) => {
  const svg = shape('svg', { viewBox: '0 0 100 100', 'aria-hidden': 'true' })
  const sector = shape('path', { class: 'sector' })
  const hour = shape('g', { class: 'hour' })
  hour.append(line('hand', -6, 27), shape('circle', { class: 'knob', cx: CENTRE, cy: CENTRE - 27, r: 6 }))
  const minute = line('hand minute', -6, 38)
  const second = line('hand second', -9, 40)
  const hands = [hour, minute, second]
  svg.append(shape('circle', { class: 'rim', cx: CENTRE, cy: CENTRE, r: 47 }), sector, ...ticks(), minute, hour, second)
  svg.append(shape('circle', { class: 'pin', cx: CENTRE, cy: CENTRE, r: 2.6 }))
  root.replaceChildren(svg)
  const turn = (node, turns) => node.setAttribute('transform', `rotate(${(turns % 1) * 360} ${CENTRE} ${CENTRE})`)

  return (ms, errorMs = 0) => {
    for (const hand of hands) hand.classList.toggle('off', ms === undefined)
    const spread = Math.min(errorMs / TURN_MS, 0.4999)
    if (ms === undefined) sector.setAttribute('d', sectorPath(0, 0.9999))
    else sector.setAttribute('d', sectorPath(turnsOf(ms) - spread, turnsOf(ms) + spread))
    if (ms === undefined) return
    turn(hour, turnsOf(ms))
    turn(minute, (ms / HOUR_MS) % 1)
    turn(second, (Math.floor(ms / 1000) % 60) / 60)
  }
}
