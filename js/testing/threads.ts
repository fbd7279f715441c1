// SPDX-License-Identifier: MIT
// WebCrypto works in threads, so its results come in real time. A test must not move its own time meanwhile.

import { createHook } from 'node:async_hooks'

const work = new Set<number>()

// Node's names of such work end in REQUEST: SIGNREQUEST, HASHREQUEST, KEYPAIRGENREQUEST and so on.
const hook = createHook({
  init(id, type) {
    if (type.endsWith('REQUEST')) work.add(id)
  },
  after: (id) => void work.delete(id),
  destroy: (id) => void work.delete(id)
})

/** Begins to count the work. From then on each promise of this process costs a call more. */
export function countThreads(): void {
  hook.enable()
}

/** Returns whether a thread still works for this process. Where the runtime does not say so: false. */
export function areThreadsBusy(): boolean {
  return work.size > 0
}
