// SPDX-License-Identifier: MIT
// A scoreboard of action proofs (docs/profiles/action-proof.md): a puzzle of twenty seconds, and who has most points, pushed to
// whoever watches. Points live as long as the process.
import { createHmac, randomBytes } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { actionProofs, actionRoutes, actionSecrets, secretHandler } from 'countersign/action-proof/server'

const WATCH_MS = 15 * 60_000
const SHOWN = 10
const PLAYERS = 10_000

const json = (value) => ({ contentType: 'application/json', payload: JSON.stringify(value) })

// Written whole and then named: a start that was killed leaves no half of a key. Of two that start at once on one folder the
// first to name it wins, and both read the same.
const readKey = async (path) => {
  try {
    return await readFile(path)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    const fresh = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
    await writeFile(fresh, randomBytes(32), { mode: 0o600, flag: 'wx' })
    await link(fresh, path).catch((failure) => {
      if (failure.code !== 'EEXIST') throw failure
    })
    await rm(fresh)
    return readFile(path)
  }
}

/** namesUnder gives how a user is shown to others. Under a key: from a plain hash anybody could tell an address they guess. */
const namesUnder = (master) => (userId) =>
  `player-${createHmac('sha256', master).update(`player name\0${userId}`).digest('hex').slice(0, 6)}`

/** createBoard keeps the points of a bounded number of players. */
const createBoard = (playerName) => {
  const points = new Map()
  return {
    add(userId, more) {
      const total = (points.get(userId) ?? 0) + more
      points.delete(userId)
      if (points.size >= PLAYERS) points.delete(points.keys().next().value)
      points.set(userId, total)
    },
    top: () =>
      [...points]
        .sort(([, one], [, other]) => other - one)
        .slice(0, SHOWN)
        .map(([userId, total], at) => ({ rank: at + 1, player: playerName(userId), points: total }))
  }
}

/** What a puzzle is worth: 100, and a point for each second that was left. */
const puzzle = {
  points: ({ actionData }) => 100 + Math.max(0, 20 - Math.ceil(actionData.completion_time)),
  // Nobody puts nine tiles in order in under three seconds, or in fewer moves than they lie apart.
  isPlausible: ({ actionData }) =>
    Number.isFinite(actionData?.completion_time) &&
    actionData.completion_time >= 3 &&
    actionData.completion_time <= 20 &&
    Number.isSafeInteger(actionData.moves) &&
    actionData.moves >= 4
}

/** createScores gives the routes of the scoreboard, the handler of `cs.action_secret`, and metrics. */
export const createScores = async ({ dataDir, replay, codes, publish, log, now = Date.now }) => {
  const master = await readKey(join(dataDir, 'action.key'))
  const secrets = actionSecrets({ master })
  const playerName = namesUnder(master)
  const board = createBoard(playerName)
  const watchers = new Map()

  const tell = () => {
    const payload = JSON.stringify({ top: board.top() })
    for (const [userId, untilMs] of watchers) {
      if (untilMs < now()) watchers.delete(userId)
      else
        publish({ userId }, 'score.board', payload).catch((error) =>
          log.line('publish failed', { error: error.message })
        )
    }
  }

  const proofs = actionProofs({
    actions: { puzzle_complete: puzzle },
    nonces: replay,
    counters: codes,
    secrets,
    now,
    onAccepted({ userId, points }) {
      board.add(userId, points)
      tell()
    },
    onAlert: (alert) => log.line('action proofs', { ...alert, userId: playerName(alert.userId ?? '') })
  })

  return {
    actionSecret: secretHandler(secrets, now),
    metrics: proofs.metrics,
    routes: {
      ...actionRoutes(proofs),
      'GET /api/score/board': () => json({ top: board.top() }),
      'score.watch': ({ userId }) => {
        if (watchers.size >= PLAYERS) watchers.delete(watchers.keys().next().value)
        watchers.set(userId, now() + WATCH_MS)
        return { payload: JSON.stringify({ top: board.top(), player: playerName(userId) }) }
      }
    }
  }
}
