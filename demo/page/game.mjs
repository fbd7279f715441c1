// SPDX-License-Identifier: MIT
// A puzzle whose score is a signed action, a board that is pushed, and a drawer of ways to cheat.
import { createProof, fetchSecret, submitAction } from 'countersign/action-proof'
import { byId, el } from './dom.mjs'
import { writePlace } from './permalink.mjs'
import { createPuzzle } from './puzzle.mjs'
import { complain } from './screen.mjs'

const decoder = new TextDecoder()
const TYPE = 'puzzle_complete'
// Actions are three seconds apart at least; the drawer waits for its turn.
const APART_MS = 3100

const worth = ({ completion_time: seconds }) => 100 + Math.max(0, 20 - Math.ceil(seconds))
const actionOf = (data) => ({ actionType: TYPE, actionData: data, expectedPoints: worth(data) })
const honest = { completion_time: 9.5, moves: 7 }

/** Ways to cheat, each with the refusal it meets. `send` gets what it needs to talk to the gateway. */
const CHEATS = [
  {
    id: 'points',
    label: 'Claim 9999 points',
    send: ({ strict }) => strict({ ...actionOf(honest), expectedPoints: 9999 })
  },
  {
    id: 'time',
    label: 'Solve it in 0.1 s',
    send: ({ strict }) => strict(actionOf({ completion_time: 0.1, moves: 7 }))
  },
  {
    id: 'late',
    label: 'Date it a minute back',
    send: ({ strict, nowMs }) => strict({ ...actionOf(honest), timestamp: nowMs - 60_000 })
  },
  {
    id: 'edit',
    label: 'Edit the signed time',
    // By its name: the digits alone may stand in the timestamp too, which comes first.
    send: async ({ sealed, post }) => {
      const { text } = await sealed(actionOf({ completion_time: 19.5, moves: 7 }))
      return post(text.replace('"completion_time":19.5', '"completion_time":3.5'))
    }
  },
  {
    id: 'nonce',
    label: 'Send one proof twice',
    send: async ({ sealed, post }) => {
      const { text } = await sealed(actionOf(honest))
      await post(text)
      return post(text)
    }
  }
]

const boardRow =
  (mine) =>
  ({ rank, player, points }) =>
    el(
      'li',
      { dataset: { mine: player === mine ? 'yes' : 'no' } },
      el('b', {}, `${rank}`),
      el('span', {}, player),
      el('b', {}, String(points))
    )

/** createGame returns `{ visit, setReady, cheat }`; whatever it shows of a score, the gateway has said. */
export const createGame = ({ client, stream }) => {
  const root = byId('scene-game')
  const puzzle = createPuzzle()
  let secret
  let player
  let mode = 'strict'
  let lastMs = Number.NEGATIVE_INFINITY

  const showBoard = ({ top }) => {
    byId('game-top').replaceChildren(...top.map(boardRow(player)))
    root.dataset.empty = top.length === 0 ? 'yes' : 'no'
  }
  const say = (status, points) => {
    root.dataset.verdict = status === 'ok' ? 'pass' : 'fail'
    root.dataset.status = status
    byId('game-said').textContent =
      status === 'ok' ? `accepted: ${points} points` : `refused: ${status.replaceAll('_', ' ')}`
  }
  const post = async (body) => {
    const response = await client.fetch('/api/score/update', { method: 'POST', body })
    const { error, points } = await response.json()
    return { status: error ?? 'ok', points }
  }
  const tools = {
    strict: (fields) => submitAction(client, fields),
    async sealed(fields) {
      secret ??= await fetchSecret(client)
      return createProof(secret, fields, { clock: client.clock })
    },
    post,
    get nowMs() {
      return client.clock.now()
    }
  }
  // Counted from the last answer: the gateway counts from when it took the action, which is later than when it was sent.
  const inTurn = async (work) => {
    const waitMs = lastMs + APART_MS - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    try {
      return await work()
    } finally {
      lastMs = performance.now()
    }
  }
  const send = async (fields) =>
    mode === 'strict' ? tools.strict(fields) : tools.post((await tools.sealed(fields)).text)

  const watch = async () => {
    await stream.live()
    const seen = JSON.parse(decoder.decode((await client.request('score.watch')).payload))
    player = seen.player
    showBoard(seen)
  }
  const play = async () => {
    await watch()
    const result = await puzzle.play()
    if (!result) return say('time_is_up')
    const { status, points } = await inTurn(() => send(actionOf(result)))
    say(status, points)
  }
  const cheat = async (id) => {
    const { send: run } = CHEATS.find((one) => one.id === id) ?? CHEATS[0]
    // An answer first, as before a game: it sets right what a stored clock was wrong about, and a proof is dated by that clock.
    await watch()
    const { status, points } = await inTurn(() => run(tools))
    say(status, points)
    return status
  }
  const press =
    (work, ...place) =>
    async () => {
      writePlace('game', ...place)
      complain()
      await work().catch(complain)
    }
  const setMode = (next) => {
    mode = next
    for (const button of byId('game-mode').children)
      button.setAttribute('aria-pressed', String(button.dataset.mode === mode))
  }

  stream.watch(({ event }) => {
    if (event?.type === 'score.board') showBoard(JSON.parse(decoder.decode(event.payload)))
  })
  byId('game-play').addEventListener('click', press(play))
  for (const button of byId('game-mode').children) button.addEventListener('click', () => setMode(button.dataset.mode))
  byId('game-cheats').append(
    ...CHEATS.map(({ id, label }) =>
      el('li', {}, el('button', { type: 'button', dataset: { cheat: id }, onclick: press(() => cheat(id), id) }, label))
    )
  )
  return {
    cheat,
    setReady(isReady) {
      for (const button of root.querySelectorAll('#game-play, [data-cheat]')) button.disabled = !isReady
      if (!isReady) secret = undefined
    },
    visit: ([what]) => (what ? cheat(what) : watch())
  }
}
