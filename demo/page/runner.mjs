// SPDX-License-Identifier: MIT
// Runs one exchange at a time and shows what was reported about it. A later one ends an earlier one, lights and all.
import { honest } from './attacks.mjs'
import { byId } from './dom.mjs'
import { runExchange } from './exchange.mjs'
import { readTrace } from './gateway.mjs'
import { isStill } from './motion.mjs'
import { writePlace } from './permalink.mjs'
import { complain, say, setState } from './screen.mjs'
import { stopOf, verdictOf } from './verdict.mjs'

const encoder = new TextEncoder()

const hintFor = ({ tap, gateway }) =>
  tap.passes.length > 0 && gateway.length === 0 ? 'lights are shown on loopback only' : ''

/** createRunner returns `{ run, stop, isRunning, hasRun }`; `onSettled(exchange)` hears of every exchange that was not overtaken. */
export const createRunner = ({ session, show, bench, wire, onSettled }) => {
  let running
  let hasRun = false

  const hold = (signal) => (frame, untilMs) => {
    setState('held')
    say({ tone: 'wait', head: 'Held by the man in the middle', detail: 'until its window has passed' })
    wire.show({ tap: { frame, passes: [] } })
    show.hold(frame, untilMs, signal)
  }

  const perform = async (attack, signal, own) => {
    const payload = encoder.encode(byId('payload').value)
    const exchange = await runExchange(own, { attack, payload, signal, readTrace, onHold: hold(signal) })
    signal.throwIfAborted()
    byId('gateway-hint').textContent = hintFor(exchange)
    wire.show(exchange)
    await show.play(exchange, { from: attack.isHeld ? 'middle' : 'here', signal })
    hasRun = true
    bench.note(attack.id, stopOf(exchange))
    say(verdictOf(exchange, own.client.state))
    return exchange
  }

  const begin = (attack, place) => {
    writePlace(...place)
    complain()
    setState('busy')
    show.clear()
    bench.setRunning(attack.id)
    say({ tone: 'wait', head: 'On its way' })
    byId('line').scrollIntoView({ behavior: isStill() ? 'auto' : 'smooth', block: 'nearest' })
  }

  return {
    /**
     * run sends one packet through an attack, by another session where one is given; it resolves to the exchange when
     * everything has been shown, or to nothing when another run began.
     */
    async run(attack, place = attack === honest ? ['wire'] : ['tamper', attack.id], by = session) {
      running?.abort()
      const own = new AbortController()
      running = own
      begin(attack, place)
      try {
        const exchange = await perform(attack, own.signal, by)
        bench.setRunning(undefined)
        await onSettled(exchange)
        return exchange
      } catch (error) {
        if (!own.signal.aborted) throw error
        return undefined
      } finally {
        if (running === own) running = undefined
      }
    },
    isRunning: () => running !== undefined,
    stop() {
      running?.abort()
    },
    hasRun: () => hasRun
  }
}
