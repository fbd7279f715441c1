// SPDX-License-Identifier: MIT
// What the guided mode shows. Every scene is a real exchange; its words are what was reported about it.
import { attacks, honest } from './attacks.mjs'
import { makeSpare } from './spare.mjs'
import { verdictOf } from './verdict.mjs'

const attackOf = (id) => attacks.find((attack) => attack.id === id)

const wordsOf = (exchange, client) => {
  const { tone, head, detail } = verdictOf(exchange, client.state)
  return { words: `${head} · ${detail}`, isRefused: tone !== 'pass' }
}

// On a phone the board is longer than the screen: what happens is seen on the line.
const boardSection = () => (matchMedia('(max-width: 720px)').matches ? 'line' : 'board')

/** tourScenes lists the scenes over an open session and the parts of the page. */
export const tourScenes = ({ session, runner, scenes }) => {
  const { client } = session
  // The client that one scene has started and is to end.
  let shown
  const onBoard = (id, caption, attack) => ({
    id,
    caption,
    place: attack === honest ? ['wire'] : ['tamper', attack.id],
    section: boardSection(),
    run: async () => wordsOf(await runner.run(attack, ['tour', id]), client)
  })
  return [
    onBoard('normal', 'An honest packet goes through', honest),
    onBoard('tamper', 'One byte is changed on the way', attackOf('flip-payload')),
    {
      id: 'replay',
      caption: 'The same packet is sent again',
      place: ['replay'],
      section: 'scene-replay',
      async run() {
        const resultCode = await scenes.replay.again()
        return { words: `Refused: ${resultCode}`, isRefused: resultCode !== 'ok' }
      }
    },
    {
      id: 'clock',
      caption: 'The clock is seven hours wrong',
      place: ['clocks'],
      section: 'scene-clocks',
      async run() {
        const { resultCode } = await scenes.clocks.set(7, false)
        return { words: `Answered: ${resultCode}`, isRefused: resultCode !== 'ok' }
      },
      undo: () => scenes.clocks.reset()
    },
    onBoard('forged', 'Somebody else signs the answer', attackOf('forge-key')),
    {
      id: 'revoked',
      caption: 'A revoked device tries again',
      place: ['wire'],
      section: boardSection(),
      async run() {
        const spare = await makeSpare(session)
        try {
          await spare.revoke()
          return wordsOf(await runner.run(honest, ['tour', 'revoked'], spare.session), spare.session.client)
        } finally {
          await spare.session.client.close()
        }
      }
    },
    {
      id: 'tabs',
      caption: 'One stream, and its leader leaves',
      place: ['tabs'],
      section: 'scene-tabs',
      async run() {
        shown = await scenes.tabs.showHandOver()
        return shown
      },
      undo: () => shown?.end()
    },
    {
      id: 'cheater',
      caption: 'A player edits the time in a signed score',
      place: ['game', 'edit'],
      section: 'scene-game',
      async run() {
        const status = await scenes.game.cheat('edit')
        return { words: `Refused: ${status.replaceAll('_', ' ')}`, isRefused: status !== 'ok' }
      }
    },
    {
      id: 'rotation',
      caption: 'The device takes a new key',
      place: ['rotation'],
      section: 'scene-rotation',
      async run() {
        const { old, fresh } = await scenes.rotation.rotateDevice()
        return { words: `Old packet: ${old} · new packet: ${fresh}`, isRefused: old !== 'ok' || fresh !== 'ok' }
      }
    }
  ]
}
