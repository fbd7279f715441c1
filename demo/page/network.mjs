// SPDX-License-Identifier: MIT
// The client's way to the gateway, which can be cut: what is under way breaks off, and nothing new gets through.

const CUT = 'the line is cut'

/** createNetwork returns `{ fetch, cut, isCut }`; `cut(ms)` resolves when the line is whole again. */
export const createNetwork = () => {
  let whole = new AbortController()
  let cuts = 0

  // A browser tells its pages when the network goes and comes; this line has to say so itself.
  const say = (name) => dispatchEvent(new Event(name))
  return {
    isCut: () => cuts > 0,
    async fetch(url, init) {
      if (cuts > 0) throw new TypeError(CUT)
      const ends = [whole.signal, init.signal].filter(Boolean)
      return fetch(url, { ...init, signal: AbortSignal.any?.(ends) ?? init.signal })
    },
    async cut(ms) {
      cuts += 1
      whole.abort(new TypeError(CUT))
      whole = new AbortController()
      say('offline')
      await new Promise((resolve) => setTimeout(resolve, ms))
      cuts -= 1
      if (cuts === 0) say('online')
    }
  }
}
