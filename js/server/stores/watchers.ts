// SPDX-License-Identifier: MIT
// The listeners that watch a store for changes.

/** Receives the id of a changed session, or undefined when any session may have changed. */
export type ChangeListener = (id: string | undefined) => void

/** A set of listeners. */
export type Watchers = {
  notify: ChangeListener
  /** Adds a listener; returns the function that removes it. */
  watch(listener: ChangeListener): () => void
  readonly size: number
}

/** Creates an empty set of listeners. */
export function createWatchers(): Watchers {
  const listeners = new Set<{ listener: ChangeListener }>()
  return {
    notify(id) {
      for (const { listener } of [...listeners]) {
        try {
          listener(id)
        } catch {
          // A fault of one listener must not reach the others, nor the change itself.
        }
      }
    },
    watch(listener) {
      const entry = { listener }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    get size() {
      return listeners.size
    }
  }
}
