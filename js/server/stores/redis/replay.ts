// SPDX-License-Identifier: MIT
// Replay ids in Redis: what one gateway knows of them between two scripts.

import { CountersignError } from '../../../common/errors.ts'
import type { ReserveVerdict } from '../../../common/types.ts'
import { encodeText } from '../../support/encoding.ts'
import type { ReplayStore } from '../../types.ts'
import { checkPolicy, storageFailed } from './client.ts'
import { beatScript, fenceScript, GROUP_MS, reserveScript } from './replay-scripts.ts'
import type { Run } from './scripts.ts'

const KEY_SIZE = 32

type Answer = { word: string; mark: string; identity: string; floorMs: number; fenceMs: number; size: number }

function answerOf(reply: unknown): Answer {
  const [word = '', mark = '', identity = '', floor, fence, size] = (reply as unknown[]).map(String)
  return { word, mark, identity, floorMs: Number(floor), fenceMs: Number(fence), size: Number(size) }
}

/** A ReplayStore in Redis, and what keeps it in step with the server it is connected to. */
export type RedisReplay = ReplayStore & {
  /** Looks at the server, over a connection that may be new; rejects where ids could be evicted. */
  look(run: Run): Promise<void>
}

export type RedisReplayOptions = {
  prefix: string
  capacity: number
  /** Called when ids may have been forgotten, and whatever else was in the same Redis with them. */
  onLost(): void
}

/** redisReplay makes a ReplayStore whose keys begin with `prefix`. */
export function redisReplay(run: Run, { prefix, capacity, onLost }: RedisReplayOptions): RedisReplay {
  const quota = Math.max(1, Math.floor(capacity / 64))
  const shared = ['state', 'due', 'groups'].map((name) => `${prefix}replay:${name}`)
  let last: Answer = { word: '', mark: '', identity: '', floorMs: 0, fenceMs: 0, size: 0 }
  // The mark under which this process may reserve; none where ids may have been forgotten.
  let mark: string | undefined
  /** The newest time that this process had reserved. */
  let newestMs = 0
  let isClosed = false

  const floorMs = (): number => Math.max(last.floorMs, last.fenceMs)

  // A mark that somebody else has set after a loss will do where nothing of this process lies above the floor: all that may
  // have been forgotten is refused by it.
  const note = (answer: Answer): Answer => {
    last = answer
    const known = mark
    if (answer.word === 'lost') mark = undefined
    else if (answer.mark !== known) mark = newestMs <= floorMs() ? answer.mark : undefined
    if (known !== undefined && mark !== known) onLost()
    return answer
  }

  return {
    async reserve(key32, timestampMs, expiresMs, nowMs, session = '') {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      if (key32.length !== KEY_SIZE)
        throw new CountersignError('ERR_INVALID_ARGUMENT', { detail: 'reserve: key32 must be 32 bytes' })
      if (mark === undefined) throw storageFailed('Redis may have lost ids; the gateway must fence it first')
      const keys = [...shared, `${prefix}replay:id:${encodeText(key32, 'base64url')}`, `${prefix}replay:of:${session}`]
      const lifeMs = Math.max(expiresMs, timestampMs, nowMs) - nowMs
      const values = [mark, timestampMs, lifeMs, quota, capacity, GROUP_MS]
      // Counted before anybody answers: an answer that gets lost may have been "reserved".
      newestMs = Math.max(newestMs, timestampMs)
      const { word } = note(answerOf(await run(reserveScript, keys, values)))
      if (word === 'lost') throw storageFailed('Redis has lost ids: it was restarted, emptied or replaced')
      return word as ReserveVerdict
    },
    floorMs,
    // A fence is ahead of the clock: a clock that started at it would move on with every restart.
    storedFloorMs: () => last.floorMs,
    isShared: true,
    get mayHaveForgotten() {
      return mark === undefined
    },
    async fence(ms) {
      const word = encodeText(crypto.getRandomValues(new Uint8Array(16)), 'base64url')
      const answer = answerOf(await run(fenceScript, shared, [Math.ceil(ms), last.identity, word]))
      note(answer)
      if (answer.word === 'lost') throw storageFailed('Redis was replaced while it was fenced')
      mark = answer.mark
    },
    size: () => last.size,
    async look(over) {
      const reply = await over(beatScript, shared, [])
      note(answerOf(reply))
      checkPolicy(String((reply as unknown[])[6]))
    },
    close() {
      isClosed = true
    }
  }
}
