// SPDX-License-Identifier: MIT
// A dial that is turned by dragging, or by the arrow keys, any number of times round.

const KEYS = { ArrowUp: 2, ArrowRight: 2, ArrowDown: -2, ArrowLeft: -2, PageUp: 12, PageDown: -12 }

/** bindDial makes `root` a slider over `read()` in steps within ±`limit`; `write(steps)` hears of every change. */
export const bindDial = (root, { limit, stepsPerTurn, read, write }) => {
  let grip
  const turnsAt = ({ clientX, clientY }) => {
    const { left, top, width, height } = root.getBoundingClientRect()
    return Math.atan2(clientX - left - width / 2, top + height / 2 - clientY) / (2 * Math.PI)
  }
  const within = (steps) => Math.max(-limit, Math.min(limit, steps))
  const set = (steps) => {
    const bounded = Math.round(within(steps))
    if (bounded !== read()) write(bounded)
  }
  root.addEventListener('pointerdown', (event) => {
    root.setPointerCapture(event.pointerId)
    grip = { turns: turnsAt(event), steps: read() }
  })
  root.addEventListener('pointermove', (event) => {
    if (!grip) return
    const turns = turnsAt(event)
    const moved = turns - grip.turns
    // The short way round: past the top it goes on counting.
    grip = { turns, steps: within(grip.steps + (moved - Math.round(moved)) * stepsPerTurn) }
    set(grip.steps)
  })
  for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) {
    root.addEventListener(end, () => {
      grip = undefined
    })
  }
  root.addEventListener('keydown', (event) => {
    const by = KEYS[event.key]
    if (by === undefined && event.key !== 'Home') return
    event.preventDefault()
    set(by === undefined ? 0 : read() + by)
  })
}
