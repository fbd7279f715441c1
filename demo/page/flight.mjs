// SPDX-License-Identifier: MIT
// The packet on its way. It is drawn from the frame's own fields and goes where the exchange went.
import { byId, el } from './dom.mjs'
import { isStill, move } from './motion.mjs'

const HOP_MS = 330
// The distance of the two rails in board.css.
const RAIL_GAP = 58
const STOPS = { here: 0, middle: 0.5, there: 1 }

/** segmentsOf draws a frame as one coloured bar, each field as wide as its bytes. */
export const segmentsOf = (fields, changed = new Set()) =>
  fields.map(({ name, start, end }) => {
    const isChanged = [...changed].some((place) => place >= start && place < end)
    const segment = el('i', { dataset: { field: name, ...(isChanged ? { changed: 'yes' } : {}) } })
    segment.style.flexGrow = String(end - start)
    return segment
  })

/** createFlight returns the packet's movements on the two rails; each throws where its signal has been aborted. */
export const createFlight = () => {
  const [tracks, packet, hold] = ['tracks', 'packet', 'hold'].map(byId)
  let at = { stop: 'here', rail: 'out' }

  const placeOf = ({ stop, rail }) => {
    const x = STOPS[stop] * (tracks.clientWidth - packet.offsetWidth)
    return { transform: `translate(${x}px, ${rail === 'out' ? 0 : RAIL_GAP}px)`, opacity: 1 }
  }
  const load = (content, kind) => {
    packet.replaceChildren(...content)
    packet.dataset.kind = kind
  }
  const go = async (keyframes, ms, easing, signal) => {
    signal.throwIfAborted()
    await move(packet, keyframes, ms, easing)
    signal.throwIfAborted()
  }
  return {
    clear() {
      packet.hidden = true
      hold.hidden = true
    },
    /** depart puts a packet on a rail: `fields` of a frame, or a text for bytes that are none. */
    depart({ fields, text, stop, rail }) {
      if (text === undefined) load(segmentsOf(fields), 'frame')
      else load([el('span', {}, text)], 'plain')
      packet.hidden = false
      at = { stop, rail }
      Object.assign(packet.style, placeOf(at))
    },
    async to(stop, signal) {
      const from = placeOf(at)
      at = { ...at, stop }
      await go([from, placeOf(at)], HOP_MS, 'cubic-bezier(.5,.1,.2,1)', signal)
    },
    /** alter swaps the packet's drawing where it stands, with a shake. */
    async alter({ fields, changed }, signal) {
      load(segmentsOf(fields, changed), 'frame')
      const { transform } = placeOf(at)
      const shake = [0, -5, 5, -3, 0].map((x) => ({ transform: `${transform} translateX(${x}px)`, opacity: 1 }))
      await go(shake, 320, 'linear', signal)
    },
    /** drop lets the packet fall where a check has stopped it. */
    async drop(signal) {
      const here = placeOf(at)
      const fallen = { transform: `${here.transform} translateY(34px) rotate(7deg)`, opacity: 0.25 }
      packet.dataset.kind += ' dropped'
      await go([here, fallen], 420, 'ease-in', signal)
    },
    /** countDown shows how long a held packet still waits. */
    countDown(untilMs, signal) {
      const tick = () => {
        const leftMs = Math.max(0, untilMs - performance.now())
        if (signal.aborted) return
        hold.hidden = leftMs === 0
        hold.textContent = `held · ${(leftMs / 1000).toFixed(isStill() ? 0 : 1)} s`
        if (leftMs > 0) setTimeout(tick, isStill() ? 500 : 100)
      }
      tick()
    }
  }
}
