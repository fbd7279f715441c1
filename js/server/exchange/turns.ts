// SPDX-License-Identifier: MIT
// The requests of each source that have not reached their handler (R145). A few are at work at a time: a burst would
// make every answer of a store late, and all would be refused. The others wait in a queue of their source. Turns go
// round the sources, so a source that floods the gateway delays mostly itself.

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

/**
 * Returns the places: `total` requests at work, `inFlight` of them for each source, and `waiting` more for each source.
 */
export function createTurns(limits: { total: number; inFlight: number; waiting: number }): Turns {
  const { total, inFlight, waiting } = limits
  const sources = new Map<string, SourceState>()
  // The sources with requests that wait for their turn. The first that may have one gets it, and goes to the end.
  const queued = new Set<SourceState>()
  let atWork = 0
  let size = 0

  const begin = (state: SourceState): void => {
    state.atWork += 1
    atWork += 1
  }
  const end = (state: SourceState): void => {
    state.atWork -= 1
    atWork -= 1
    for (const next of queued) {
      if (next.atWork >= inFlight) continue
      queued.delete(next)
      const start = next.queue.shift()
      if (next.queue.length > 0) queued.add(next)
      begin(next)
      start?.()
      return
    }
  }

  const createPlace = (source: string, state: SourceState): Place => {
    let isPresent = true
    let isAtWork = false
    let hadTurn = false
    const pause = (): void => {
      if (!isAtWork) return
      isAtWork = false
      end(state)
    }
    return {
      source,
      turn() {
        const isSecond = hadTurn
        hadTurn = true
        if (atWork < total && state.atWork < inFlight) {
          begin(state)
          isAtWork = true
          return undefined
        }
        return new Promise((resolve) => {
          const start = () => {
            isAtWork = true
            resolve()
          }
          // Requests that have begun end first: they hold memory, and their ids are used up.
          if (isSecond) state.queue.unshift(start)
          else state.queue.push(start)
          queued.add(state)
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
