// SPDX-License-Identifier: MIT
// What the tabs of one origin tell each other about one stored key: that its record has changed, what came on the stream of
// events, what time it is. Other tabs are this origin's own script, no more and no less trusted; frames are verified anew by
// whoever gets them.

/** A message between tabs; `about` says whose it is. */
export type TabMessage = {
  readonly about: 'record' | 'events' | 'clock' | 'intents'
  readonly [member: string]: unknown
}

export type Tabs = {
  post(message: TabMessage): void
  /** Calls back for each message of another tab; gives the function that ends it. */
  listen(about: TabMessage['about'], listener: (message: TabMessage) => void): () => void
  close(): void
}

const ALONE: Tabs = { post() {}, listen: () => () => {}, close() {} }

/** openTabs joins the tabs that share the record `name` of one scope; alone where the platform has no BroadcastChannel. */
export function openTabs(name: string, scope = ''): Tabs {
  const { BroadcastChannel: Channel } = globalThis
  if (typeof Channel !== 'function') return ALONE
  const channel = new Channel(`countersign:${name}:${scope}`)
  // Node would wait for it before it exits.
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
