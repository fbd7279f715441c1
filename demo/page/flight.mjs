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

/** createFlight returns the packet's movements on the two rails. */
export const createFlight = () => {
  const tracks = byId('tracks')
  const packet = byId('packet')
  const hold = byId('hold')
  const placeOf = (stop, rail) => {
    const x = STOPS[stop] * (tracks.clientWidth - packet.offsetWidth)
    return { transform: `translate(${x}px, ${rail === 'out' ? 0 : RAIL_GAP}px)`, opacity: 1 }
  }
  let at = { stop: 'here', rail: 'out' }

  const load = (content, kind) => {
    packet.replaceChildren(...content)
    packet.dataset.kind = kind
  }
  return {
    clear() {
      packet.hidden = true
      hold.hidden = true
    },
    /** depart puts a packet on a rail: `fields` of a frame, or a text for bytes that are none. */
    depart({ fields, changed, text, stop, rail }) {
      load(
        text === undefined ? segmentsOf(fields, changed) : [el('span', {}, text)],
        text === undefined ? 'frame' : 'plain'
      )
      packet.hidden = false
      at = { stop, rail }
      Object.assign(packet.style, placeOf(stop, rail))
    },
    async to(stop) {
      const [from, till] = [placeOf(at.stop, at.rail), placeOf(stop, at.rail)]
      at = { ...at, stop }
      await move(packet, [from, till], HOP_MS)
    },
    /** alter swaps the packet's drawing where it stands, with a shake. */
    async alter({ fields, changed }) {
      load(segmentsOf(fields, changed), 'frame')
      const { transform } = placeOf(at.stop, at.rail)
      const shake = [0, -5, 5, -3, 0].map((x) => ({ transform: `${transform} translateX(${x}px)`, opacity: 1 }))
      await move(packet, [...shake, { transform, opacity: 1 }], 320, 'linear')
    },
    /** drop lets the packet fall where a check has stopped it. */
    async drop() {
      const here = placeOf(at.stop, at.rail)
      packet.dataset.kind += ' dropped'
      await move(
        packet,
        [here, { transform: `${here.transform} translateY(34px) rotate(7deg)`, opacity: 0.25 }],
        420,
        'ease-in'
      )
    },
    /** countDown shows how long a held packet still waits, on the real clock. */
    countDown(untilMs, isOver) {
      hold.hidden = false
      const tick = () => {
        const left = Math.max(0, untilMs - performance.now())
        hold.textContent = `held · ${(left / 1000).toFixed(isStill() ? 0 : 1)} s`
        if (isOver() || left === 0) hold.hidden = true
        else setTimeout(tick, isStill() ? 500 : 100)
      }
      tick()
    }
  }
}
