// SPDX-License-Identifier: MIT
// Two keys on one line of time: each bar is as long as its key is good for, each dot is a packet that met it.
import { el } from './dom.mjs'
import { identicon } from './identicon.mjs'

const LANES = 2
const BEHIND = 1 / 3

/**
 * createKeyBars draws into `root` and returns `{ begin, end, dot, tick }`. A bar has a name; a third of `spanMs` is past, and
 * `hash` makes its ring.
 */
export const createKeyBars = (root, { spanMs }) => {
  const bars = new Map()
  let next = 0
  const share = (ms) => `${(100 * ms) / spanMs}%`
  const leftOf = (ms, nowMs) => ms - nowMs + spanMs * BEHIND

  const place = ({ bar, fromMs, toMs, dots }, nowMs) => {
    const from = Math.max(0, leftOf(fromMs, nowMs))
    const to = Math.min(spanMs, leftOf(toMs, nowMs))
    bar.style.left = share(from)
    bar.style.width = share(Math.max(0, to - from))
    bar.dataset.ended = toMs <= nowMs ? 'yes' : 'no'
    for (const { node, atMs } of dots) {
      const at = leftOf(atMs, nowMs)
      node.style.left = share(at)
      node.hidden = at < 0
    }
  }
  const drop = (name) => {
    const old = bars.get(name)
    bars.delete(name)
    for (const node of [old.ring, old.bar, old.row]) node.remove()
  }
  const tick = (nowMs) => {
    for (const entry of bars.values()) place(entry, nowMs)
  }
  return {
    has: (name) => bars.has(name),
    /** begin starts a key's bar, open to the right; of three keys the eldest makes room. */
    begin(name, { hash, label, fromMs }) {
      if (bars.size === LANES) drop(bars.keys().next().value)
      const ring = el('span', { class: 'ring', title: label }, identicon(hash))
      const bar = el('i', { class: 'span' })
      const row = el('div', { class: 'key-lane', dataset: { key: name, tone: String(next % 2) } }, ring, bar)
      next += 1
      bars.set(name, { ring, bar, row, fromMs, toMs: Number.POSITIVE_INFINITY, dots: [] })
      root.append(row)
    },
    end(name, toMs) {
      bars.get(name).toMs = toMs
    },
    /** dot notes what a packet came to; it stands on the bar of its key. */
    dot(name, { atMs, verdict, label }) {
      const entry = bars.get(name)
      if (!entry) return
      const node = el('b', { class: 'hit', dataset: { verdict }, title: label })
      entry.dots.push({ node, atMs })
      entry.row.append(node)
      place(entry, atMs)
      if (entry.dots.length > 40) entry.dots.shift().node.remove()
    },
    tick
  }
}
