// SPDX-License-Identifier: MIT
// The server's key is changed in steps: the next one is announced under the present one, then signs, then the old one goes.
import { byId } from './dom.mjs'
import { serverKeyStep } from './gateway.mjs'
import { createKeyBars } from './key-bars.mjs'
import { patience } from './patience.mjs'

const TYPE = 'demo.ping'
const SPAN_MS = 60_000
const PATIENCE_MS = 15_000 * patience

const STEPS = { steady: 'announce', announced: 'switch', switched: 'retire' }
const LABELS = {
  announce: 'Announce the next key',
  switch: 'Switch to it',
  retire: 'Retire the old one'
}

const encoder = new TextEncoder()
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** createServerRotation returns `{ step, show, tick }`; which key signs is read off the answers, never supposed. */
export const createServerRotation = ({ client, core, middle }) => {
  const bars = createKeyBars(byId('server-bars'), { spanMs: SPAN_MS })
  const button = byId('server-step')
  let stands
  let isReady = false

  const now = () => client.clock.now()
  const begin = (keyId) => {
    if (keyId && !bars.has(keyId))
      bars.begin(keyId, { hash: core.sha256(encoder.encode(keyId)), label: keyId, fromMs: now() })
  }
  const draw = () => {
    const next = stands && STEPS[stands.phase]
    button.textContent = next ? LABELS[next] : 'On loopback only'
    button.dataset.step = next ?? ''
    button.disabled = !isReady || !next
    byId('server-phase').textContent = stands?.phase ?? '–'
  }
  const look = async () => {
    stands = await serverKeyStep()
    if (stands) for (const keyId of [stands.previous, stands.signer, stands.next]) begin(keyId)
    draw()
    return stands
  }
  // A step takes effect with a restart; until then the gateway answers nobody.
  const restarted = async (before) => {
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
      await wait(100)
      const after = await serverKeyStep()
      if (after && after.phase !== before) return
    }
    throw new Error('the gateway has not come back')
  }
  const post = async ({ frame }) => new Uint8Array(await (await middle.post(frame)).arrayBuffer())
  /** step takes the next step and resolves to `{ step, kept, fresh }`: an answer from before it, opened now, and one from after. */
  const step = async () => {
    const { phase, previous } = await look()
    const signed = await client.sign(TYPE)
    const kept = await post(signed)
    if (!(await serverKeyStep(STEPS[phase]))) throw new Error('the gateway refused this step')
    await restarted(phase)
    await look()
    if (phase === 'switched') bars.end(previous, now())
    bars.tick(now())
    const opened = await client.open(kept, { requestId: signed.requestId })
    bars.dot(core.parseFrame(kept).keyId, { atMs: now(), verdict: 'pass', label: `kept: ${opened.resultCode}` })
    const { resultCode } = await client.request(TYPE)
    const said = { step: STEPS[phase], kept: opened.resultCode, fresh: resultCode }
    byId('server-said').textContent = `kept answer: ${said.kept} · new answer: ${said.fresh}`
    return said
  }
  middle.watch(({ fields, keyId, resultCode }) => {
    if (!keyId) return
    begin(keyId)
    // What tells of keys is signed by the one that clients were configured with.
    if (fields.messageType !== 'cs.keys') byId('server-signs').textContent = keyId.slice(0, 8)
    bars.dot(keyId, { atMs: now(), verdict: 'pass', label: resultCode })
  })
  return {
    step,
    async show() {
      await look()
    },
    setReady(nextReady) {
      isReady = nextReady
      draw()
    },
    tick: () => bars.tick(now())
  }
}
