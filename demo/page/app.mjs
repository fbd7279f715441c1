// SPDX-License-Identifier: MIT
// The page's wiring: who is signed in, what is shown, where in the page the reader is.
import { attacks, honest } from './attacks.mjs'
import { createBench } from './bench.mjs'
import { byId } from './dom.mjs'
import { createFlight } from './flight.mjs'
import { createKeyCard } from './key-card.mjs'
import { createLadder } from './ladder.mjs'
import { isStill } from './motion.mjs'
import { writePlace } from './permalink.mjs'
import { createRunner } from './runner.mjs'
import { createScenes } from './scenes.mjs'
import { complain, say, setState } from './screen.mjs'
import { openSession } from './session.mjs'
import { createShow } from './show.mjs'
import { createSignIn } from './sign-in.mjs'
import { deleteDatabase } from './stored-key.mjs'
import { createTour, whenUntouched } from './tour.mjs'
import { tourScenes } from './tour-scenes.mjs'
import { createVisits, scrollTo } from './visits.mjs'
import { createWire } from './wire.mjs'

const GATEWAY_STAGES = [
  'parse',
  'version',
  'session',
  'signature',
  'freshness',
  'replay',
  'payload_hash',
  'rate',
  'handler'
]
const CLIENT_STAGES = ['parse', 'signature', 'request_id', 'payload_hash', 'freshness']
// Time to read the form before it is pressed, and to touch the page before it plays itself.
const PRESS_MS = 700
const UNTOUCHED_MS = 20_000
const PAYLOAD = '{"move":"Nf3"}'

const createParts = (session, run) => {
  const { client, core, description } = session
  const show = createShow({
    core,
    flight: createFlight(),
    gatewayLadder: createLadder(byId('gateway-lamps'), 'gateway', GATEWAY_STAGES),
    clientLadder: createLadder(byId('client-lamps'), 'client', CLIENT_STAGES)
  })
  const wire = createWire({
    core,
    onPin: (frame, field) => {
      writePlace('wire', frame, field)
      wire.pin(frame, field)
    }
  })
  const keyCard = createKeyCard({ client, label: description.label })
  return {
    show,
    wire,
    keyCard,
    bench: createBench(attacks, run),
    scenes: createScenes(session, { onRotated: keyCard.show })
  }
}

/** leave ends this page's session by `work` and starts afresh; where that fails it stays and says why. */
const leave = async (runner, work) => {
  runner.stop()
  complain()
  const before = document.documentElement.dataset.state
  // Until the page is loaded again, a press of a button would be lost.
  setState('busy')
  try {
    await work()
    writePlace('key')
    location.reload()
  } catch (error) {
    setState(before)
    complain(error)
  }
}

/** createGuide makes the tour, which presses through the sign-in as a visitor would. */
const createGuide = ({ session, runner, scenes, signIn }) => {
  const { client } = session
  const prepare = async (signal) => {
    while (client.state !== 'ready' && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, PRESS_MS))
      if (['signed-out', 'code'].includes(document.documentElement.dataset.state)) signIn.press()
    }
  }
  return createTour({ scenes: tourScenes({ session, runner, scenes }), prepare, scrollTo })
}

const bind = ({ client, keyCard, runner, tour, visit }) => {
  const onClick = (id, act) => byId(id).addEventListener('click', act)
  byId('payload').value = PAYLOAD
  byId('send').addEventListener('submit', (event) => {
    event.preventDefault()
    runner.run(honest)
  })
  onClick('export', () => {
    writePlace('key', 'export')
    keyCard.export()
  })
  onClick('reload', () => {
    writePlace('key')
    location.reload()
  })
  onClick('sign-out', () => leave(runner, () => client.signOut()))
  onClick('clear', () => leave(runner, () => client.close().then(deleteDatabase)))
  onClick('tour-link', (event) => {
    event.preventDefault()
    tour.start()
  })
  addEventListener('hashchange', visit)
}

/** createApp wires one open session to the page. */
const createApp = (session) => {
  const { client } = session
  const parts = createParts(session, (attack) => runner.run(attack))
  const signIn = createSignIn(session, { onDone: () => arrive() })

  const refresh = async () => {
    const isReady = client.state === 'ready'
    byId('chip-text').textContent = client.state
    byId('send').hidden = !isReady
    parts.bench.setEnabled(isReady)
    for (const scene of Object.values(parts.scenes)) scene.setReady(isReady)
    if (isReady) {
      signIn.close()
      await parts.keyCard.show()
    } else {
      parts.keyCard.hide()
      signIn.open()
    }
    setState(isReady ? 'ready' : 'signed-out')
  }
  const onSettled = async ({ attack, outcome: { error } }) => {
    await refresh()
    if (attack !== honest || error?.code !== 'ERR_UNAUTHENTICATED') return
    const act = () => leave(runner, () => client.signOut())
    complain(error, { label: 'Sign in anew', act })
  }
  const runner = createRunner({ session, ...parts, onSettled })
  const tour = createGuide({ session, runner, signIn, ...parts })
  const visit = createVisits({ client, runner, tour, ...parts })
  const arrive = async () => {
    complain()
    await refresh()
    say({ tone: 'idle', head: 'Ready', detail: 'press Send' })
    byId('send-button').focus({ preventScroll: true })
    await visit()
  }
  // A session may end by its stream, and another tab may sign in or out, while nothing is under way here.
  client.on('state', (state) => {
    byId('chip-text').textContent = state
    if (!runner.isRunning() && document.documentElement.dataset.state !== 'busy') refresh()
  })
  bind({ client, runner, tour, visit, ...parts })
  if (!location.hash && !isStill()) whenUntouched(UNTOUCHED_MS, () => tour.start(undefined, false))
  return { refresh, visit }
}

const start = async (options) => {
  try {
    const session = await openSession(options)
    const { label, pastMs, futureMs, serverKeys } = session.description
    const bounds = `−${pastMs / 1000} s … +${futureMs / 1000} s`
    byId('footer').textContent = `label ${label} · window ${bounds} · server key ${serverKeys[0].id}`
    const app = createApp(session)
    await app.refresh()
    say({ tone: 'idle', head: session.client.state === 'ready' ? 'Ready' : 'Nobody is signed in' })
    await app.visit()
  } catch (error) {
    setState('error')
    say({ tone: 'fail', head: 'This page cannot start' })
    const isStorage = error.category === 'storage' && !options?.allowMemoryKey
    complain(
      error,
      isStorage ? { label: 'Use a key in memory', act: () => start({ allowMemoryKey: true }) } : undefined
    )
  }
}

document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
  document.documentElement.dataset.violation = effectiveDirective
})
start()
