// SPDX-License-Identifier: MIT
// Plays back what an exchange reported, in the order in which it happened.
import { changedBytes, fieldsOf } from './fields.mjs'
import { pause } from './motion.mjs'

const hasFailed = (stages) => stages.some(({ verdict }) => verdict === 'fail')

/** createShow returns `clear`, `hold` and `play` over the flight and the two ladders; an aborted signal ends a playback. */
export const createShow = ({ core, flight, gatewayLadder, clientLadder }) => {
  const drawn = (frame) => fieldsOf(core, frame)

  const playPass = async ({ tap }, { frame }, stages, { from, signal }) => {
    const changed = changedBytes(tap.frame, frame)
    flight.depart({ fields: drawn(tap.frame), stop: from, rail: 'out' })
    await flight.to('middle', signal)
    if (changed.size > 0) await flight.alter({ fields: drawn(frame), changed }, signal)
    await flight.to('there', signal)
    gatewayLadder.clear()
    await gatewayLadder.play(stages, signal)
    if (hasFailed(stages)) await flight.drop(signal)
  }

  const playRequest = async (exchange, { from, signal }) => {
    const { tap, gateway } = exchange
    for (const [index, pass] of tap.passes.entries()) {
      await playPass(exchange, pass, gateway[index] ?? [], { from: index === 0 ? from : 'middle', signal })
    }
    if (tap.passes.length > 0 || !tap.frame) return
    flight.depart({ fields: drawn(tap.frame), stop: from, rail: 'out' })
    await flight.to('middle', signal)
  }

  const departAnswer = ({ status, bytes }, stop) => {
    const fields = drawn(bytes)
    flight.depart({ ...(fields.length > 0 ? { fields } : { text: String(status) }), stop, rail: 'back' })
  }

  const playAnswer = async ({ tap: { passes, delivered }, client }, signal) => {
    if (!delivered) return
    const genuine = passes.at(-1)?.answer
    departAnswer(genuine ?? delivered, genuine ? 'there' : 'middle')
    await flight.to('middle', signal)
    if (genuine && genuine.bytes !== delivered.bytes) {
      const changed = changedBytes(genuine.bytes, delivered.bytes)
      await flight.alter({ fields: drawn(delivered.bytes), changed }, signal)
    }
    await flight.to('here', signal)
    await clientLadder.play(client, signal)
    if (hasFailed(client)) await flight.drop(signal)
  }

  return {
    clear() {
      flight.clear()
      gatewayLadder.clear()
      clientLadder.clear()
    },
    /** hold flies the packet to the man in the middle and counts down there, on the clock that holds it. */
    hold(frame, untilMs, signal) {
      flight.depart({ fields: drawn(frame), stop: 'here', rail: 'out' })
      flight.to('middle', signal).catch(() => {})
      flight.countDown(untilMs, signal)
    },
    async play(exchange, { from, signal }) {
      await playRequest(exchange, { from, signal })
      await pause(120)
      await playAnswer(exchange, signal)
    }
  }
}
