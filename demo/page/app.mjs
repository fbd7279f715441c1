// SPDX-License-Identifier: MIT
// The page's one piece of state and its wiring: who is signed in, which exchange is shown, where in the page the reader is.
import { attacks, honest } from './attacks.mjs'
import { createBench } from './bench.mjs'
import { byId } from './dom.mjs'
import { runExchange } from './exchange.mjs'
import { createFlight } from './flight.mjs'
import { readTrace } from './gateway.mjs'
import { createKeyCard } from './key-card.mjs'
import { createLadder } from './ladder.mjs'
import { isStill } from './motion.mjs'
import { markScene, readPlace, writePlace } from './permalink.mjs'
import { openSession } from './session.mjs'
import { createShow } from './show.mjs'
import { createSignIn } from './sign-in.mjs'
import { deleteDatabase } from './stored-key.mjs'
import { stopOf, verdictOf } from './verdict.mjs'
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
const PAYLOAD = '{"move":"Nf3"}'
const SECTIONS = { wire: 'scene-wire', lights: 'board', tamper: 'board', key: 'scene-key' }

const encoder = new TextEncoder()
const root = document.documentElement

const setState = (state) => {
  root.dataset.state = state
}

const say = ({ tone, head, detail }) => {
  const verdict = byId('verdict')
  verdict.dataset.tone = tone
  verdict.replaceChildren(Object.assign(document.createElement('b'), { textContent: head }), ` ${detail}`)
}

const complain = (error) => {
  const notice = byId('notice')
  notice.hidden = !error
  notice.textContent = error ? `${error.code ?? error.name ?? 'Error'}: ${error.message}` : ''
}

/** createApp wires one open session to the page. */
const createApp = (session) => {
  const { client, core, description } = session
  const flight = createFlight()
  const ladders = {
    gatewayLadder: createLadder(byId('gateway-lamps'), 'gateway', GATEWAY_STAGES),
    clientLadder: createLadder(byId('client-lamps'), 'client', CLIENT_STAGES)
  }
  const show = createShow({ core, flight, ...ladders })
  const keyCard = createKeyCard({ client, core, label: description.label })
  const bench = createBench(attacks, (attack) => run(attack))
  const wire = createWire({
    core,
    onPin: (frame, field) => {
      writePlace('wire', frame, field)
      wire.pin(frame, field)
    }
  })
  const signIn = createSignIn(session, {
    onState: (state) => setState(state),
    onDone: () => arrive(),
    onError: complain
  })
  let running
  let last

  const refresh = async () => {
    const isReady = client.state === 'ready'
    byId('chip-text').textContent = client.state
    byId('send').hidden = !isReady
    byId('send-button').disabled = !isReady
    bench.setEnabled(isReady)
    for (const id of ['export', 'clear', 'sign-out']) byId(id).disabled = !isReady
    if (isReady) await keyCard.show()
    else {
      keyCard.hide()
      signIn.open()
    }
    if (isReady) signIn.close()
    setState(isReady ? 'ready' : 'signed-out')
  }

  const perform = async (attack, signal) => {
    const held = { over: false }
    const exchange = await runExchange(session, {
      attack,
      payload: encoder.encode(byId('payload').value),
      signal,
      readTrace,
      onHold({ frame, untilMs }) {
        setState('held')
        say({ tone: 'wait', head: 'Held by the man in the middle', detail: 'until its window has passed' })
        wire.show({ tap: { frame, passes: [] } })
        show.hold(frame)
        flight.countDown(untilMs, () => held.over || signal.aborted)
      }
    })
    held.over = true
    if (signal.aborted) return
    last = exchange
    byId('gateway-hint').textContent =
      exchange.tap.passes.length > 0 && exchange.gateway.length === 0
        ? 'this gateway shows its lights on loopback only'
        : ''
    wire.show(exchange)
    await show.play(exchange, { from: attack.isHeld ? 'middle' : 'here' })
    if (signal.aborted) return
    bench.note(attack.id, stopOf(exchange))
    say(verdictOf(exchange, client.state))
  }

  /** run sends one packet through an attack; another run ends it. */
  const run = async (attack, place = attack === honest ? ['wire'] : ['tamper', attack.id]) => {
    running?.abort()
    const own = new AbortController()
    running = own
    writePlace(...place)
    complain()
    setState('busy')
    flight.clear()
    for (const ladder of Object.values(ladders)) ladder.clear()
    bench.setRunning(attack.id)
    say({ tone: 'wait', head: 'On its way', detail: '' })
    byId('line').scrollIntoView({ behavior: isStill() ? 'auto' : 'smooth', block: 'nearest' })
    try {
      await perform(attack, own.signal)
    } finally {
      if (running === own) {
        bench.setRunning(undefined)
        await refresh()
      }
    }
  }

  const scrollTo = (scene) => {
    const id = SECTIONS[scene]
    if (id) byId(id).scrollIntoView({ behavior: isStill() ? 'auto' : 'smooth', block: 'start' })
  }

  /** visit shows the state an address names; what only an exchange can show, it sends one for. */
  const visit = async () => {
    const [scene = 'wire', first, second] = readPlace()
    markScene(scene)
    const attack = scene === 'tamper' && attacks.find(({ id }) => id === first)
    if (client.state === 'ready') {
      if (attack) await run(attack)
      else if ((scene === 'wire' && first) || scene === 'lights') {
        if (!last) await run(honest, [scene, first, second])
        if (first) wire.pin(first, second)
      } else if (scene === 'key' && first === 'export') await keyCard.export()
    }
    scrollTo(location.hash ? scene : undefined)
  }

  const arrive = async () => {
    complain()
    await refresh()
    say({ tone: 'idle', head: 'Ready', detail: 'press Send' })
    await visit()
  }

  const leave = async (work) => {
    running?.abort()
    complain()
    try {
      await work()
    } catch (error) {
      complain(error)
    }
    writePlace('key')
    location.reload()
  }

  byId('payload').value = PAYLOAD
  byId('send').addEventListener('submit', (event) => {
    event.preventDefault()
    run(honest)
  })
  byId('export').addEventListener('click', () => {
    writePlace('key', 'export')
    keyCard.export()
  })
  byId('reload').addEventListener('click', () => {
    writePlace('key')
    location.reload()
  })
  byId('sign-out').addEventListener('click', () => leave(() => client.signOut()))
  byId('clear').addEventListener('click', () =>
    leave(async () => {
      await client.close()
      await deleteDatabase()
    })
  )
  addEventListener('hashchange', visit)
  client.on('state', () => {
    byId('chip-text').textContent = client.state
  })
  return { refresh, visit }
}

const start = async (options) => {
  try {
    const session = await openSession(options)
    const { label, pastMs, futureMs, serverKeys } = session.description
    byId('footer').textContent =
      `label ${label} · window −${pastMs / 1000} s … +${futureMs / 1000} s · server key ${serverKeys[0].id}`
    const app = createApp(session)
    await app.refresh()
    say({ tone: 'idle', head: session.client.state === 'ready' ? 'Ready' : 'Nobody is signed in', detail: '' })
    await app.visit()
  } catch (error) {
    setState('error')
    complain(error)
    if (error.category === 'storage' && !options?.allowMemoryKey) offerMemoryKey()
  }
}

const offerMemoryKey = () => {
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Use a key in memory' })
  button.addEventListener('click', () => {
    complain()
    start({ allowMemoryKey: true })
  })
  byId('notice').append(' ', button)
}

document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
  root.dataset.violation = effectiveDirective
})
start()
