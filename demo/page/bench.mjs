// SPDX-License-Identifier: MIT
// The tamper bench: one button per attack, each keeping the name of the lamp that stopped it last.
import { byId, el } from './dom.mjs'

/** createBench fills the bench; `onAttack(attack)` runs when a button is pressed. */
export const createBench = (attacks, onAttack) => {
  const rows = new Map()
  for (const attack of attacks) {
    const result = el('small', {}, '')
    const button = el(
      'button',
      { type: 'button', dataset: { attack: attack.id }, onclick: () => onAttack(attack) },
      el('span', {}, attack.name),
      result
    )
    rows.set(attack.id, { button, result })
  }
  byId('attacks').replaceChildren(...[...rows.values()].map(({ button }) => el('li', {}, button)))
  return {
    setEnabled(isEnabled) {
      for (const { button } of rows.values()) button.disabled = !isEnabled
    },
    setRunning(id) {
      for (const [attackId, { button }] of rows) button.dataset.running = attackId === id ? 'yes' : 'no'
    },
    /** note writes what stopped an attack: `{ side, stage }` of a reported failure, or nothing if nothing did. */
    note(id, stop) {
      const row = rows.get(id)
      if (!row) return
      row.result.textContent = stop ? `${stop.side} · ${stop.stage}` : 'not stopped'
      row.button.dataset.stopped = stop ? 'yes' : 'no'
    }
  }
}
