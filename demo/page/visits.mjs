// SPDX-License-Identifier: MIT
// The address is the state: what it names is shown, and what only an exchange can show, an exchange is sent for.
import { attacks, honest } from './attacks.mjs'
import { byId } from './dom.mjs'
import { isStill } from './motion.mjs'
import { markScene, readPlace } from './permalink.mjs'
import { SECTIONS } from './scenes.mjs'

/** scrollTo brings a section into view. */
export const scrollTo = (id) => byId(id).scrollIntoView({ behavior: isStill() ? 'auto' : 'smooth', block: 'start' })

/** createVisits returns the function that shows what the address says. */
export const createVisits = ({ client, keyCard, wire, runner, scenes, tour }) => {
  const showFrame = async (place) => {
    if (!runner.hasRun()) await runner.run(honest, place)
    if (place[1]) wire.pin(place[1], place[2])
  }
  const act = async (place) => {
    const [scene, name] = place
    const attack = scene === 'tamper' && attacks.find(({ id }) => id === name)
    if (attack) await runner.run(attack)
    else if (scene === 'lights' || (scene === 'wire' && name)) await showFrame(place)
    else if (scene === 'key' && name === 'export') await keyCard.export()
    else await scenes[scene]?.visit(place.slice(1))
  }
  return async () => {
    const place = readPlace()
    const [scene = 'wire'] = place
    markScene(scene)
    if (scene === 'tour') {
      if (!tour.isRunning()) tour.start(place[1])
      return
    }
    if (client.state === 'ready') await act(place)
    if (location.hash && SECTIONS[scene]) scrollTo(SECTIONS[scene])
  }
}
