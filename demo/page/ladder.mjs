// SPDX-License-Identifier: MIT
// A ladder of lights. A lamp changes for one reason only: a stage that the gateway or the client reported.
import { el, printable } from './dom.mjs'
import { pause } from './motion.mjs'

const STEP_MS = 75

const lampOf = (side, stage) =>
  el(
    'li',
    { class: 'lamp', dataset: { lamp: `${side}:${stage}`, verdict: 'off' } },
    el('i', { class: 'bulb', 'aria-hidden': 'true' }),
    el('span', { class: 'stage' }, stage),
    el('span', { class: 'note' })
  )

const show = (lamp, { verdict, code, ms }) => {
  lamp.dataset.verdict = verdict
  const took = ms === undefined ? '' : `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`
  lamp.querySelector('.note').textContent = verdict === 'fail' ? printable(code ?? 'refused') : took
  lamp.setAttribute(
    'aria-label',
    `${lamp.dataset.lamp.split(':')[1]}: ${verdict}${verdict === 'fail' ? ` ${code ?? ''}` : ''}`
  )
}

/**
 * createLadder returns `{ clear, play }` over an `<ol>`; `play` lights one lamp per report, in the order of the reports,
 * until its signal is aborted.
 */
export const createLadder = (root, side, stages) => {
  const lamps = new Map(stages.map((stage) => [stage, lampOf(side, stage)]))
  root.replaceChildren(...lamps.values())
  const lampFor = (stage) => {
    const lamp = lamps.get(stage) ?? lampOf(side, stage)
    if (!lamps.has(stage)) {
      lamps.set(stage, lamp)
      root.append(lamp)
    }
    return lamp
  }
  return {
    clear() {
      for (const lamp of lamps.values()) {
        lamp.dataset.verdict = 'off'
        lamp.querySelector('.note').textContent = ''
        lamp.removeAttribute('aria-label')
      }
    },
    async play(reports, signal) {
      for (const report of reports) {
        signal.throwIfAborted()
        show(lampFor(report.stage), report)
        await pause(STEP_MS)
      }
    }
  }
}
