// SPDX-License-Identifier: MIT
// Web Locks for a Node that has none, in the parts that are used here: exclusive, by turn, at once or not at all, stolen.

const createLocks = () => {
  const held = new Map()
  const queues = new Map()

  const grant = async (name, work, settle) => {
    const lock = { name }
    const holder = { lock, steal: () => {} }
    held.set(name, holder)
    const stolen = new Promise((_, reject) => {
      holder.steal = () => reject(new DOMException('stolen', 'AbortError'))
    })
    settle(Promise.race([(async () => work(lock))(), stolen]))
    const done = await Promise.race([Promise.resolve(settle.promise), stolen]).catch(() => {})
    if (held.get(name) === holder) {
      held.delete(name)
      queues.get(name)?.shift()?.()
    }
    return done
  }

  return {
    request(name, ...given) {
      const work = given.at(-1)
      const { ifAvailable = false, steal = false, signal } = given.length > 1 ? given[0] : {}
      return new Promise((resolve, reject) => {
        const settle = (promise) => {
          settle.promise = promise
          promise.then(resolve, reject)
        }
        const run = () => void grant(name, work, settle)
        if (steal) {
          held.get(name)?.steal()
          return run()
        }
        if (!held.has(name)) return run()
        if (ifAvailable) return settle((async () => work(null))())
        const queue = queues.get(name) ?? []
        queues.set(name, queue)
        queue.push(run)
        signal?.addEventListener('abort', () => {
          const at = queue.indexOf(run)
          if (at < 0) return
          queue.splice(at, 1)
          reject(signal.reason)
        })
      })
    }
  }
}

/** withLocks runs a test with Web Locks, which Node 20 lacks. */
export const withLocks = async (run) => {
  if (globalThis.navigator?.locks) return run()
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  Object.defineProperty(globalThis, 'navigator', { value: { locks: createLocks() }, configurable: true })
  try {
    return await run()
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before)
    else delete globalThis.navigator
  }
}
