// SPDX-License-Identifier: MIT
// The scenes below the board. Each has `setReady(isReady)` and `visit(rest)`, which shows what its part of the address says.
import { createClocks } from './clocks.mjs'
import { createExplain } from './explain.mjs'
import { createGame } from './game.mjs'
import { createKnock } from './knock.mjs'
import { createPush } from './push.mjs'
import { createRotation } from './rotation.mjs'
import { createStats } from './stats.mjs'
import { createTabs } from './tabs.mjs'
import { createUsedIds } from './used-ids.mjs'

/** SECTIONS says where in the page a scene of the address is. */
export const SECTIONS = {
  wire: 'scene-wire',
  lights: 'board',
  tamper: 'board',
  clocks: 'scene-clocks',
  replay: 'scene-replay',
  push: 'scene-push',
  tabs: 'scene-tabs',
  rotation: 'scene-rotation',
  explain: 'scene-explain',
  game: 'scene-game',
  stats: 'scene-stats',
  knock: 'scene-knock',
  key: 'scene-key'
}

/** createScenes makes every scene over one open session, by its name in the address; `onRotated` hears of a new device key. */
export const createScenes = (session, { onRotated }) => ({
  clocks: createClocks(session),
  replay: createUsedIds(session),
  push: createPush(session),
  tabs: createTabs(session),
  rotation: createRotation(session, { onRotated }),
  explain: createExplain(session),
  game: createGame(session),
  stats: createStats(session),
  knock: createKnock(session)
})
