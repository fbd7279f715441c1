// SPDX-License-Identifier: MIT
// The request ids that the gateway keeps, on a line of time that scrolls: each bar ends when its id may be forgotten.
import { byId, el } from './dom.mjs'
import { isStill, move } from './motion.mjs'
import { writePlace } from './permalink.mjs'
import { complain } from './screen.mjs'

const TYPE = 'demo.ping'
const LANES = 8
const KEPT_BARS = 64
const SLACK_MS = 2000
// Two thirds of the line lie ahead: a whole life of an id.
const AHEAD = 2 / 3

// Refused after the id was taken: it is used all the same.
const BURNT = new Set(['cs.payload_mismatch', 'cs.too_large', 'cs.rate_limited'])
const isUsed = (resultCode) => resultCode !== undefined && (!resultCode.startsWith('cs.') || BURNT.has(resultCode))

/** lifeOf says how long an id is kept, counted from the time its request was stamped with. */
export const lifeOf = ({ pastMs, futureMs }) => pastMs + Math.ceil(futureMs / 2) + SLACK_MS

const flash = (bar) =>
  move(bar, [{ opacity: 1 }, { opacity: 0.15 }, { opacity: 1 }, { opacity: 0.15 }, { opacity: 1 }], 700, 'linear')

const createBar = ({ frame, fields }, { lane, spanMs, lifeMs, pastMs, originMs, onReplay }) => {
  const { requestId, messageType, timestampMs } = fields
  const left = el('small', {}, '')
  const bar = el(
    'button',
    { type: 'button', class: 'used', dataset: { id: requestId, verdict: 'kept' }, onclick: () => onReplay(frame) },
    el('b', {}, requestId.slice(0, 6)),
    left
  )
  const share = (ms) => `${(100 * ms) / spanMs}%`
  bar.style.left = share(timestampMs - originMs)
  bar.style.width = share(lifeMs)
  bar.style.top = `${lane * 30}px`
  bar.style.setProperty('--fresh', `${(100 * pastMs) / lifeMs}%`)
  const endsMs = timestampMs + lifeMs
  let refusals = 0
  return {
    bar,
    endsMs,
    tick(nowMs) {
      const leftMs = Math.max(0, endsMs - nowMs)
      bar.dataset.alive = leftMs > 0 ? 'yes' : 'no'
      left.textContent = refusals > 0 ? `${bar.dataset.verdict} ×${refusals}` : `${Math.ceil(leftMs / 1000)} s`
      bar.setAttribute('aria-label', `${messageType} ${requestId.slice(0, 6)}, ${left.textContent}: replay it`)
    },
    hit(resultCode) {
      refusals += 1
      bar.dataset.verdict = resultCode?.replace('cs.', '') ?? 'unsigned'
      flash(bar)
    }
  }
}

/** createUsedIds returns `{ visit, setReady, again }`; bars come from what passed the line, never from a button. */
export const createUsedIds = ({ client, middle, description }) => {
  const [root, track] = ['scene-replay', 'ids-track'].map(byId)
  const { pastMs } = description
  const lifeMs = lifeOf(description)
  const spanMs = lifeMs / AHEAD
  const bars = new Map()
  let originMs
  let count = 0
  let last

  const now = () => {
    try {
      return client.clock.now()
    } catch {
      return originMs
    }
  }
  const scroll = () => {
    const behindMs = now() - originMs - spanMs * (1 - AHEAD)
    track.style.transform = `translateX(${(-100 * behindMs) / spanMs}%)`
  }
  const tick = () => {
    if (bars.size === 0) return
    const nowMs = now()
    for (const [id, entry] of bars) {
      entry.tick(nowMs)
      if (entry.endsMs > nowMs - spanMs * (1 - AHEAD) && bars.size <= KEPT_BARS) continue
      entry.bar.remove()
      bars.delete(id)
    }
    root.dataset.empty = bars.size === 0 ? 'yes' : 'no'
    byId('ids-count').textContent = String([...bars.values()].filter(({ endsMs }) => endsMs > nowMs).length)
    scroll()
  }
  // Frames are asked for only while there is something to move: an idle page costs nothing.
  let isGliding = false
  const glide = () => {
    isGliding = bars.size > 0
    if (!isGliding) return
    scroll()
    requestAnimationFrame(glide)
  }
  const add = (pass) => {
    originMs ??= pass.fields.timestampMs
    const options = { lane: count % LANES, spanMs, lifeMs, pastMs, originMs, onReplay: press }
    const entry = createBar(pass, options)
    count += 1
    last = pass.frame
    bars.set(pass.fields.requestId, entry)
    track.append(entry.bar)
    if (!isStill() && !isGliding) glide()
  }
  const replay = (frame = last) => frame && middle.resend(frame)
  const press = (frame) => {
    writePlace('replay')
    replay(frame)?.catch(complain)
  }
  // An answer may be with the client a moment before its copy was read here.
  const send = async () => {
    const { requestId } = await client.request(TYPE)
    for (let tries = 0; tries < 100 && !bars.has(requestId); tries += 1) await new Promise((go) => setTimeout(go, 10))
  }

  middle.watch((pass) => {
    const known = bars.get(pass.fields.requestId)
    if (known) known.hit(pass.resultCode)
    else if (pass.fields.kind === 'request' && isUsed(pass.resultCode)) add(pass)
    tick()
  })
  byId('ids-send').addEventListener('click', () => send().catch(complain))
  byId('ids-replay').addEventListener('click', () => press())
  setInterval(tick, 250)
  byId('ids-life').textContent = `${lifeMs / 1000} s`

  /** again sends one request twice and resolves to what the second came to. */
  const again = async () => {
    await send()
    return replay()
  }
  return {
    again,
    setReady(isReady) {
      for (const id of ['ids-send', 'ids-replay']) byId(id).disabled = !isReady
    },
    /** visit reads #replay/again, which sends one request and replays it. */
    visit: ([what]) => (what === 'again' ? again() : undefined)
  }
}
