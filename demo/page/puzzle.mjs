// SPDX-License-Identifier: MIT
// Nine tiles, four swaps out of order, twenty seconds: two neighbours change places until they count from one to nine.
import { byId, el } from './dom.mjs'

const SIDE = 3
const LIMIT_MS = 20_000
const TICK_MS = 100

/** Four pairs of neighbours that share no tile, one of several ways: four swaps put them right, and no fewer. */
const WAYS = [
  [
    [0, 1],
    [2, 5],
    [3, 4],
    [6, 7]
  ],
  [
    [0, 3],
    [1, 2],
    [4, 5],
    [7, 8]
  ],
  [
    [0, 1],
    [3, 6],
    [4, 7],
    [5, 8]
  ],
  [
    [1, 4],
    [0, 3],
    [2, 5],
    [6, 7]
  ]
]

const isNear = (one, other) => {
  const [row, column] = [Math.floor(one / SIDE) - Math.floor(other / SIDE), (one % SIDE) - (other % SIDE)]
  return Math.abs(row) + Math.abs(column) === 1
}

/** createPuzzle returns `{ play }`; play resolves to `{ completion_time, moves }`, or to null when the time is up. */
export const createPuzzle = () => {
  const [board, timer] = ['game-board', 'game-time'].map(byId)
  let end = () => {}
  const lay = (tiles, press) =>
    board.replaceChildren(
      ...tiles.map((tile, at) =>
        el('button', { type: 'button', disabled: !press, onclick: () => press?.(at) }, String(tile))
      )
    )

  const play = () =>
    new Promise((resolve) => {
      end()
      const tiles = Array.from({ length: SIDE * SIDE }, (_, at) => at + 1)
      const way = WAYS[crypto.getRandomValues(new Uint8Array(1))[0] % WAYS.length]
      for (const [one, other] of way) [tiles[one], tiles[other]] = [tiles[other], tiles[one]]
      const started = performance.now()
      let moves = 0
      let held

      const finish = (result) => {
        clearInterval(ticking)
        board.dataset.state = result ? 'solved' : 'over'
        end = () => {}
        for (const tile of board.children) tile.disabled = true
        resolve(result)
      }
      const press = (at) => {
        if (held === undefined || !isNear(held, at)) held = held === at ? undefined : at
        else {
          ;[tiles[held], tiles[at]] = [tiles[at], tiles[held]]
          held = undefined
          moves += 1
        }
        draw()
        if (tiles.every((tile, place) => tile === place + 1)) {
          finish({ completion_time: Math.round(performance.now() - started) / 1000, moves })
        }
      }
      const draw = () => {
        for (const [at, tile] of tiles.entries()) {
          const node = board.children[at]
          node.textContent = String(tile)
          node.dataset.right = tile === at + 1 ? 'yes' : 'no'
          node.setAttribute('aria-pressed', String(held === at))
        }
      }
      lay(tiles, press)
      board.dataset.state = 'playing'
      draw()
      board.firstChild.focus({ preventScroll: true })
      const ticking = setInterval(() => {
        const leftMs = LIMIT_MS - (performance.now() - started)
        timer.textContent = `${Math.max(0, leftMs / 1000).toFixed(1)} s`
        if (leftMs <= 0) finish(null)
      }, TICK_MS)
      end = () => finish(null)
    })
  lay([1, 2, 3, 4, 5, 6, 7, 8, 9])
  return { play }
}
