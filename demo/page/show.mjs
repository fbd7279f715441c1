// SPDX-License-Identifier: MIT
// Plays back what an exchange reported, in the order in which it happened.
import { changedBytes, fieldsOf } from './fields.mjs'
import { pause } from './motion.mjs'

const isFrame = (fields) => fields.length > 0

/** createShow returns `play(exchange, { from })` over the flight and the two ladders. */
export const createShow = ({ core, flight, gatewayLadder, clientLadder }) => {
  const hasFailed = (stages) => stages.some(({ verdict }) => verdict === 'fail')

  const playRequest = async ({ tap, gateway }, from) => {
    for (const [pass, { frame }] of tap.passes.entries()) {
      const changed = changedBytes(tap.frame, frame)
      if (pass > 0 || from === 'here') {
        flight.depart({ fields: fieldsOf(core, tap.frame), stop: pass > 0 ? 'middle' : 'here', rail: 'out' })
        if (pass === 0) await flight.to('middle')
      }
      if (changed.size > 0) await flight.alter({ fields: fieldsOf(core, frame), changed })
      await flight.to('there')
      gatewayLadder.clear()
      await gatewayLadder.play(gateway[pass] ?? [])
      if (hasFailed(gateway[pass] ?? [])) await flight.drop()
    }
    if (tap.passes.length > 0 || !tap.frame) return
    flight.depart({ fields: fieldsOf(core, tap.frame), stop: 'here', rail: 'out' })
    await flight.to('middle')
  }

  const departAnswer = ({ status, bytes }, stop) => {
    const fields = fieldsOf(core, bytes)
    flight.depart({ ...(isFrame(fields) ? { fields } : { text: `${status}` }), stop, rail: 'back' })
    return isFrame(fields)
  }

  const playAnswer = async ({ tap, client }) => {
    const genuine = tap.passes.at(-1)?.answer
    if (!tap.delivered) return
    if (genuine) {
      departAnswer(genuine, 'there')
      await flight.to('middle')
    } else departAnswer(tap.delivered, 'middle')
    if (genuine && genuine.bytes !== tap.delivered.bytes) {
      const changed = changedBytes(genuine.bytes, tap.delivered.bytes)
      await flight.alter({ fields: fieldsOf(core, tap.delivered.bytes), changed })
    }
    await flight.to('here')
    await clientLadder.play(client)
    if (hasFailed(client)) await flight.drop()
  }

  return {
    /** hold flies the packet to the man in the middle and leaves it there. */
    async hold(frame) {
      flight.depart({ fields: fieldsOf(core, frame), stop: 'here', rail: 'out' })
      await flight.to('middle')
    },
    async play(exchange, { from = 'here' } = {}) {
      await playRequest(exchange, from)
      await pause(120)
      await playAnswer(exchange)
    }
  }
}
