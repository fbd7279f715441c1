// SPDX-License-Identifier: MIT
// Two clocks: the device's, which anybody can set wrong, and the server's, as far as signed answers have told it.
import { createFace } from './clock-face.mjs'
import { HOUR_MS } from './device-clock.mjs'
import { bindDial } from './dial.mjs'
import { byId, el } from './dom.mjs'
import { move } from './motion.mjs'
import { writePlace } from './permalink.mjs'

const TYPE = 'demo.time'
const STEPS_PER_HOUR = 2
const LIMIT_HOURS = 12
const SLEEP_HOURS = 3
const KEPT_PACKETS = 12
const NOTICE_MS = 200
// What the client has noticed stays on show for this long before the answer mends it.
const SEND_MS = 500

const two = (number) => String(number).padStart(2, '0')

/** offsetText writes a span of time as −7:00:00.012. */
export const offsetText = (ms) => {
  const whole = Math.abs(Math.round(ms))
  const [minutes, rest] = [Math.floor(whole / 60_000), whole % 60_000]
  const seconds = `${two(Math.floor(rest / 1000))}.${String(rest % 1000).padStart(3, '0')}`
  return `${ms < 0 ? '−' : '+'}${Math.floor(minutes / 60)}:${two(minutes % 60)}:${seconds}`
}

/** spanText writes how far off an estimate may be. */
export const spanText = (ms) => {
  if (ms === Number.POSITIVE_INFINITY) return '± ∞'
  if (ms < 1000) return `± ${Math.ceil(ms)} ms`
  if (ms < 60_000) return `± ${(ms / 1000).toFixed(1)} s`
  return ms < HOUR_MS ? `± ${(ms / 60_000).toFixed(1)} min` : `± ${(ms / HOUR_MS).toFixed(1)} h`
}

const hoursText = (steps) => {
  const hours = Math.abs(steps) / STEPS_PER_HOUR
  return steps === 0 ? 'drag the hand' : `${hours} h ${steps > 0 ? 'ahead' : 'behind'}`
}

const timeText = (ms) => new Date(ms).toISOString().slice(11, 19)

// From a millisecond to half a day, each decade as wide as the next.
const shareOf = (errorMs) => Math.min(1, Math.max(0.02, Math.log10(1 + errorMs) / Math.log10(LIMIT_HOURS * HOUR_MS)))

// A client that knows nothing yet and is told to believe its own clock: one for each packet, since the first answer would
// teach it better.
const sendByLocalClock = async ({ another, middle }) => {
  const naive = await another({ trustLocalClock: true })
  try {
    const { frame, requestId } = await naive.sign(TYPE)
    const response = await middle.post(frame)
    return await naive.open(new Uint8Array(await response.arrayBuffer()), { requestId })
  } finally {
    await naive.close()
  }
}

// The width of the packet in clocks.css.
const [NEAR, FAR] = [{ left: '0px' }, { left: 'calc(100% - 46px)' }]

const createPackets = () => {
  const [packet, list] = ['clock-packet', 'clock-packets'].map(byId)
  const fly = async (verdict) => {
    packet.dataset.verdict = 'off'
    await move(packet, [NEAR, FAR], 380)
    packet.dataset.verdict = verdict
    if (verdict === 'pass') await move(packet, [FAR, NEAR], 380)
  }
  return ({ fields, resultCode }) => {
    const verdict = resultCode === 'ok' ? 'pass' : 'fail'
    const words = verdict === 'pass' ? 'ok' : resultCode.replace('cs.', '')
    list.prepend(el('li', { dataset: { verdict } }, el('time', {}, timeText(fields.timestampMs)), ` ${words}`))
    while (list.children.length > KEPT_PACKETS) list.lastChild.remove()
    fly(verdict)
  }
}

const createView = ({ client, clock }) => {
  const device = createFace(byId('device-face'))
  const server = createFace(byId('server-face'))
  const facts = Object.fromEntries(['offset', 'error', 'source', 'age'].map((name) => [name, byId(`clock-${name}`)]))
  const draw = (view) => {
    const isKnown = view.source !== 'none'
    device(clock.now())
    server(isKnown ? view.now() : undefined, view.errorMs)
    byId('device-time').textContent = timeText(clock.now())
    byId('server-time').textContent = isKnown ? timeText(view.now()) : 'not known yet'
    facts.offset.textContent = isKnown ? offsetText(view.offsetMs) : '?'
    for (const node of [facts.error, byId('server-spread')]) node.textContent = spanText(view.errorMs)
    facts.source.textContent = view.source
    facts.age.textContent = isKnown ? `${(view.ageMs / 1000).toFixed(0)} s` : '?'
    byId('error-bar').style.width = `${100 * shareOf(view.errorMs)}%`
  }
  return () => {
    try {
      draw(client.clock)
    } catch {
      // A closed client has no clock.
    }
  }
}

/** createClocks returns `{ visit, set, reset, setReady }`; what each packet came to is read off the line. */
export const createClocks = (session) => {
  const { client, middle, clock } = session
  const face = byId('device-face')
  const draw = createView(session)
  const note = createPackets()
  let steps = 0
  let isLocal = false
  let isReady = false
  let turn = 0

  const place = () => writePlace('clocks', String(steps / STEPS_PER_HOUR), isLocal ? 'local' : '')
  const send = async () => {
    if (!isReady) return undefined
    byId('clock-notice').textContent = ''
    try {
      return await (isLocal ? sendByLocalClock(session) : client.request(TYPE))
    } catch (error) {
      byId('clock-notice').textContent = error.code ?? error.name
      return { resultCode: error.resultCode ?? error.code }
    } finally {
      draw()
    }
  }
  // First the client looks at its clocks and notices what happened to them; then it sends.
  const settle = async () => {
    turn += 1
    const own = turn
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    await wait(NOTICE_MS)
    if (own !== turn || !isReady) return undefined
    if (!isLocal) await client.sign(TYPE).catch(() => {})
    draw()
    await wait(SEND_MS)
    return own === turn ? send() : undefined
  }
  const show = () => {
    face.setAttribute('aria-valuenow', String(steps / STEPS_PER_HOUR))
    face.setAttribute('aria-valuetext', hoursText(steps))
    byId('device-skew').textContent = hoursText(steps)
    for (const button of byId('clock-trust').children)
      button.setAttribute('aria-pressed', String((button.dataset.trust === 'local') === isLocal))
    byId('scene-clocks').dataset.trust = isLocal ? 'local' : 'server'
    draw()
  }
  const set = (nextSteps, nextLocal = isLocal) => {
    steps = nextSteps
    isLocal = nextLocal
    clock.setSkew((steps / STEPS_PER_HOUR) * HOUR_MS)
    show()
    return settle()
  }
  const change = (...args) => {
    const settled = set(...args)
    place()
    return settled
  }
  const sleep = () => change(Math.min(steps + SLEEP_HOURS * STEPS_PER_HOUR, LIMIT_HOURS * STEPS_PER_HOUR))

  bindDial(face, {
    limit: LIMIT_HOURS * STEPS_PER_HOUR,
    stepsPerTurn: 12 * STEPS_PER_HOUR,
    read: () => steps,
    write: (next) => void change(next)
  })
  byId('clock-trust').addEventListener('click', ({ target }) => {
    const trust = target.closest('button')?.dataset.trust
    if (trust) change(steps, trust === 'local')
  })
  byId('clock-sleep').addEventListener('click', sleep)
  byId('clock-right').addEventListener('click', () => change(0))
  byId('clock-send').addEventListener('click', send)
  middle.watch((pass) => {
    if (pass.fields.messageType === TYPE) note(pass)
  })
  client.on('clock', draw)
  setInterval(draw, 250)
  show()
  return {
    /** set turns the hand to `hours` off and resolves to the packet's answer, or to nothing where it was turned again. */
    set: (hours, nextLocal) => set(hours * STEPS_PER_HOUR, nextLocal),
    /** reset sets the device's clock right and does not wait. */
    reset: () => void set(0, false),
    setReady(nextReady) {
      isReady = nextReady
      const isStored = nextReady && client.key?.storage === 'store'
      for (const id of ['clock-sleep', 'clock-right', 'clock-send']) byId(id).disabled = !nextReady
      // A key in memory signs for this client alone.
      byId('clock-trust').lastElementChild.disabled = !isStored
    },
    /** visit reads #clocks/HOURS, #clocks/HOURS/local or #clocks/sleep, and resolves when its packet was answered. */
    visit([what, trust]) {
      if (what === 'sleep') return sleep()
      const hours = Number(what)
      const isHours = what !== undefined && Math.abs(hours) <= LIMIT_HOURS
      return isHours ? set(Math.round(hours * STEPS_PER_HOUR), trust === 'local') : undefined
    }
  }
}
