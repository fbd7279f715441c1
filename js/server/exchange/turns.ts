// SPDX-License-Identifier: MIT
// The requests of each source that have not reached their handler (R145). A few are at work at a time. The others wait
// in a queue of their source, so a source that floods the gateway delays only itself.

/** A request's place among those of its source. */
export type Place = {
  readonly source: string
  /**
   * Waits for the request's turn. Resolves at once while few requests of the source are at work. A request that had a
   * turn before goes ahead of those that had none.
   */
  turn(): Promise<void> | undefined
  /** Ends the turn, and keeps the place: the request waits for its sender. */
  pause(): void
  /** Gives turn and place up. A second call has no effect. */
  leave(): void
}

/** The places of all sources. */
export type Turns = {
  /** Returns a place, or undefined when the source has none left. */
  enter(source: string): Place | undefined
  /** The number of requests in a place, for metrics. */
  readonly size: number
}

type SourceState = { present: number; atWork: number; queue: (() => void)[] }

/** Returns the places: for each source `inFlight` requests at work, and `waiting` more. */
export function createTurns({ inFlight, waiting }: { inFlight: number; waiting: number }): Turns {
  const sources = new Map<string, SourceState>()
  let size = 0

  const createPlace = (source: string, state: SourceState): Place => {
    let isPresent = true
    let isAtWork = false
    let hadTurn = false
    const pause = (): void => {
      if (!isAtWork) return
      isAtWork = false
      const next = state.queue.shift()
      // The turn is handed on, so the number at work stays.
      if (next) next()
      else state.atWork -= 1
    }
    return {
      source,
      turn() {
        const isSecond = hadTurn
        hadTurn = true
        if (state.atWork < inFlight) {
          state.atWork += 1
          isAtWork = true
          return undefined
        }
        return new Promise((resolve) => {
          const begin = () => {
            isAtWork = true
            resolve()
          }
          // Requests that have begun end first: they hold memory, and their ids are used up.
          if (isSecond) state.queue.unshift(begin)
          else state.queue.push(begin)
        })
      },
      pause,
      leave() {
        if (!isPresent) return
        isPresent = false
        pause()
        size -= 1
        state.present -= 1
        if (state.present === 0) sources.delete(source)
      }
    }
  }

  return {
    enter(source) {
      const state = sources.get(source) ?? { present: 0, atWork: 0, queue: [] }
      if (state.present >= inFlight + waiting) return undefined
      if (state.present === 0) sources.set(source, state)
      state.present += 1
      size += 1
      return createPlace(source, state)
    },
    get size() {
      return size
    }
  }
}
