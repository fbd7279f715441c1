// SPDX-License-Identifier: MIT
// Who wants to hear of changes in a store: of a session by its id, or of perhaps any (undefined).

export type Teller = (id: string | undefined) => void

export type Tellers = {
  tell: Teller
  /** Gives the function that ends it. */
  listen(listener: Teller): () => void
  readonly size: number
}

/** createTellers makes an empty set of listeners. One that throws keeps nothing from the others. */
export function createTellers(): Tellers {
  const listeners = new Set<{ listener: Teller }>()
  return {
    tell(id) {
      for (const { listener } of [...listeners]) {
        try {
          listener(id)
        } catch {
          // A listener's fault is not the fault of the change it was told of.
        }
      }
    },
    listen(listener) {
      const entry = { listener }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    get size() {
      return listeners.size
    }
  }
}
