// SPDX-License-Identifier: MIT
// StatsCode's events, as they are and signed over everything: what a change of the hours comes to, here and at the server.
import {
  createDeviceKey,
  importDeviceKey,
  readSyncAnswer,
  signEvent,
  syncBody,
  verifyEvent
} from 'countersign/stats-event'
import { byId } from './dom.mjs'
import { writePlace } from './permalink.mjs'
import { complain } from './screen.mjs'

const HOUR_MS = 3_600_000
const KEPT = 'countersign-demo-stats'

/** createStats returns `{ visit, setReady, show }`. */
export const createStats = ({ client }) => {
  const root = byId('scene-stats')
  let mode = 'compatible'
  let hours = 2
  let made
  let running = Promise.resolve()

  const post = async (path, value) => {
    const response = await client.fetch(path, { method: 'POST', body: JSON.stringify(value) })
    return response.text()
  }
  // StatsCode keeps its key in a file that scripts can read, and so does this scene. A second device would need a new sign-in.
  const makeKey = async () => {
    const kept = localStorage.getItem(KEPT)
    const { key, text } = kept ? { key: await importDeviceKey(kept), text: kept } : await createDeviceKey()
    localStorage.setItem(KEPT, text)
    await post('/api/stats/device', { deviceKey: text, lowestMode: 'compatible' })
    return key
  }
  const deviceKey = () => {
    made ??= makeKey()
    return made
  }
  const eventOf = async (key) => {
    const start = Date.now() - 5 * HOUR_MS
    const data = { id: 'today', start_time: start, end_time: start + 2 * HOUR_MS, duration_ms: 2 * HOUR_MS, hours: 2 }
    return signEvent(key, { type: 'session', data, timestamp: start }, { mode })
  }
  const trustOf = async (key, event) => {
    const totals = { totalHours: hours, totalSessions: 1, totalInteractions: 0 }
    return readSyncAnswer(await post('/api/stats/sync', await syncBody(totals, [event], key.deviceId, Date.now())))
  }

  const show = async () => {
    const key = await deviceKey()
    const event = await eventOf(key)
    const sent = { ...event, data: { ...event.data, hours, duration_ms: hours * HOUR_MS } }
    const { ok, reason } = await verifyEvent(sent, key, { mode })
    root.dataset.verdict = ok ? 'pass' : 'fail'
    byId('stats-check').textContent = ok ? 'the signature fits' : `refused: ${reason}`
    byId('stats-event').textContent = JSON.stringify(sent, undefined, 1)
    const { trustLevel, warnings } = await trustOf(key, sent)
    root.dataset.trust = trustLevel
    byId('stats-badge').textContent = trustLevel
    byId('stats-why').textContent = warnings.join(', ')
    return { ok, trustLevel, warnings }
  }
  const shown = () => {
    running = running.then(show)
    return running
  }
  const setMode = (next) => {
    mode = next
    for (const button of byId('stats-mode').children)
      button.setAttribute('aria-pressed', String(button.dataset.mode === mode))
  }
  const press = (change) => async () => {
    change()
    writePlace('stats', mode, String(hours))
    complain()
    await shown().catch(complain)
  }

  for (const button of byId('stats-mode').children)
    button.addEventListener(
      'click',
      press(() => setMode(button.dataset.mode))
    )
  byId('stats-hours').addEventListener('input', () => {
    byId('stats-claimed').textContent = `${byId('stats-hours').value} h`
  })
  byId('stats-hours').addEventListener(
    'change',
    press(() => {
      hours = Number(byId('stats-hours').value)
    })
  )
  return {
    show: shown,
    setReady(isReady) {
      for (const node of root.querySelectorAll('button, input')) node.disabled = !isReady
      if (!isReady) made = undefined
    },
    visit([what, claimed]) {
      if (what === 'strict' || what === 'compatible') setMode(what)
      if (/^[1-9]\d?$/.test(claimed ?? '')) {
        hours = Number(claimed)
        byId('stats-hours').value = claimed
        byId('stats-claimed').textContent = `${claimed} h`
      }
      return shown()
    }
  }
}
