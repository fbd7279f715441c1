// SPDX-License-Identifier: MIT
// Events as they come: signed and numbered, each checked; what was missed while the line was cut is asked for, in order.
import { byId, el, printable } from './dom.mjs'
import { move } from './motion.mjs'
import { writePlace } from './permalink.mjs'
import { complain } from './screen.mjs'

const CUT_MS = 10_000
const TICKS = { count: 12, every_ms: 900 }
const KEPT_CELLS = 24
const KEPT_ROWS = 6
// An event that took longer than this from its publishing to its signing had to wait for the line.
const LATE_MS = 500

const decoder = new TextDecoder()

const readTick = (payload) => {
  try {
    return JSON.parse(decoder.decode(payload))
  } catch {
    return {}
  }
}

const timeText = (ms) => new Date(ms).toISOString().slice(11, 19)

const rowOf = ({ type, sequence, timestampMs, payload }, lateMs) =>
  el(
    'li',
    { dataset: { sequence, late: lateMs > LATE_MS ? 'yes' : 'no' } },
    el('b', {}, `#${sequence}`),
    el('span', {}, `${type} ${printable(decoder.decode(payload)).slice(0, 80)}`),
    el('small', {}, lateMs > LATE_MS ? `waited ${(lateMs / 1000).toFixed(1)} s` : timeText(timestampMs))
  )

const connectionText = ({ state, carrier, role }) =>
  [state, carrier, role === 'none' ? '' : role].filter(Boolean).join(' · ')

/** createPush returns `{ visit, setReady, cut }`; nothing is drawn that the client has not verified. */
export const createPush = ({ client, network, stream }) => {
  const [root, cells, rows, gap] = ['scene-push', 'event-cells', 'event-rows', 'event-gap'].map(byId)
  let seen = { stream: undefined, sequence: 0 }
  let lost = 0

  const showConnection = () => {
    const { connection } = client
    root.dataset.connection = connection.state
    byId('push-connection').textContent = connectionText(connection)
  }
  const showEvent = (event) => {
    const { stream: name, sequence, type, payload, timestampMs } = event
    if (seen.stream === name && sequence > seen.sequence + 1) lost += sequence - seen.sequence - 1
    seen = { stream: name, sequence }
    const lateMs = type === 'cs.gap' ? 0 : timestampMs - (readTick(payload).at_ms ?? timestampMs)
    const cell = el('i', { dataset: { late: lateMs > LATE_MS ? 'yes' : 'no', sequence } }, String(sequence))
    gap.before(cell)
    move(cell, [{ transform: 'scale(0.4)' }, { transform: 'none' }], 240)
    while (cells.children.length > KEPT_CELLS + 1) cells.firstChild.remove()
    rows.prepend(rowOf(event, lateMs))
    while (rows.children.length > KEPT_ROWS) rows.lastChild.remove()
    root.dataset.empty = 'no'
    byId('push-lost').textContent = String(lost)
    byId('push-last').textContent = String(sequence)
  }
  const ask = (type, value) => client.request(type, JSON.stringify(value))
  // The gap is open for as long as the line is cut; how many events it will hold, nobody here can know.
  const openGap = async (ms) => {
    const endsMs = performance.now() + ms
    root.dataset.cut = 'yes'
    const timer = setInterval(() => {
      gap.textContent = `cut · ${Math.max(0, Math.ceil((endsMs - performance.now()) / 1000))} s`
    }, 100)
    await network.cut(ms)
    clearInterval(timer)
    root.dataset.cut = 'no'
  }
  const cut = async (ms = CUT_MS) => {
    await stream.live()
    await ask('demo.ticker', TICKS)
    await openGap(ms)
  }
  const publish = async () => {
    await stream.live()
    await ask('demo.publish', { text: 'hello' })
  }
  const press =
    (work, ...place) =>
    async () => {
      writePlace('push', ...place)
      complain()
      await work().catch(complain)
    }

  stream.watch(({ event, error }) => {
    if (event) showEvent(event)
    else byId('push-connection').textContent = error.code ?? error.name
  })
  client.on('connection', showConnection)
  byId('push-one').addEventListener('click', press(publish))
  byId('push-cut').addEventListener(
    'click',
    press(() => cut(), 'cut')
  )
  showConnection()
  return {
    cut,
    setReady(isReady) {
      for (const id of ['push-one', 'push-cut']) byId(id).disabled = !isReady
    },
    /** visit listens for #push, and cuts the line for #push/cut. */
    visit: ([what]) => (what === 'cut' ? cut() : stream.live())
  }
}
