// SPDX-License-Identifier: MIT
// This page's ear on the stream of events: opened by whoever needs it first, opened anew with every session.

/** createStream returns `{ open, live, close, watch }`; watchers hear of `{ event }` and of `{ error }`, which ends the listening. */
export const createStream = ({ client }) => {
  const watchers = new Set()
  let iterator

  const tell = (news) => {
    for (const watcher of watchers) watcher(news)
  }
  const listen = async (events) => {
    try {
      for await (const event of events) tell({ event })
    } catch (error) {
      tell({ error })
    } finally {
      if (iterator === events) iterator = undefined
    }
  }
  const open = () => {
    if (iterator || client.state !== 'ready') return
    // The line that can be cut is that of fetch: no other carrier may go round it.
    iterator = client.events({ carrier: 'sse' })
    listen(iterator)
  }
  return {
    open,
    /** live opens the stream and resolves when it is live, or when there will be none. */
    async live() {
      open()
      while (iterator && client.connection.state !== 'live') await new Promise((resolve) => setTimeout(resolve, 50))
    },
    /** close stops listening, which closes the stream itself where this client held it. */
    async close() {
      const events = iterator
      iterator = undefined
      await events?.return()
    },
    watch(watcher) {
      watchers.add(watcher)
    }
  }
}
