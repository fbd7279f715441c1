// SPDX-License-Identifier: MIT
// Messages between the tabs of one origin that share a stored key: changes of its record, events and intents. Other
// tabs run this origin's own script, so they are trusted as much as this one. A tab that receives a frame verifies it
// again.

/** A message between tabs. `about` names its topic. */
export type TabMessage = {
  readonly about: 'record' | 'events' | 'intents'
  readonly [member: string]: unknown
}

/** The other tabs that share one record. */
export type Tabs = {
  post(message: TabMessage): void
  /** Calls `listener` for each message of another tab. Returns the function that ends it. */
  listen(about: TabMessage['about'], listener: (message: TabMessage) => void): () => void
  close(): void
}

const ALONE: Tabs = { post() {}, listen: () => () => {}, close() {} }

/** Joins the tabs that share the record `name` of one scope. Without BroadcastChannel the tab stays alone. */
export function openTabs(name: string, scope = ''): Tabs {
  const { BroadcastChannel: Channel } = globalThis
  if (typeof Channel !== 'function') return ALONE
  const channel = new Channel(`countersign:${name}:${scope}`)
  // An open channel would keep Node from exiting.
  ;(channel as { unref?: () => void }).unref?.()
  const listeners = new Set<readonly [TabMessage['about'], (message: TabMessage) => void]>()
  channel.onmessage = ({ data }) => {
    for (const [about, listener] of listeners) if (data?.about === about) listener(data)
  }
  return {
    post(message) {
      channel.postMessage(message)
    },
    listen(about, listener) {
      const entry = [about, listener] as const
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    close() {
      listeners.clear()
      channel.close()
    }
  }
}
