// SPDX-License-Identifier: MIT
// What the page says about itself: its state, the one line under the rails, and what went wrong.
import { byId, el } from './dom.mjs'

/** setState names what the page is doing: `loading`, `signed-out`, `code`, `ready`, `busy`, `held` or `error`. */
export const setState = (state) => {
  document.documentElement.dataset.state = state
  // One press, one request: the buttons that start something rest while it runs.
  for (const id of ['get-code', 'enter']) byId(id).disabled = state === 'busy'
}

/** say writes the line under the rails. */
export const say = ({ tone, head, detail = '' }) => {
  byId('verdict').dataset.tone = tone
  byId('verdict').replaceChildren(el('b', {}, head), ' ', el('span', { title: detail }, detail))
}

/** complain shows an error with at most one way out, `{ label, act }`; without an error it clears the line. */
export const complain = (error, way) => {
  const notice = byId('notice')
  notice.hidden = !error
  notice.textContent = error ? `${error.code ?? error.name}: ${error.message}` : ''
  if (way) notice.append(' ', el('button', { type: 'button', onclick: way.act }, way.label))
}
