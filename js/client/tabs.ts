// SPDX-License-Identifier: MIT
// Messages between the tabs of one origin that share a stored key: changes of its record, events and intents. Other
// tabs run this origin's own script, so they are trusted as much as this one. A tab that receives a frame verifies it
// again. A page that is denied a channel or locks goes on alone: it loses the other tabs, and nothing else.

import type { LockManager } from '../common/platform-types.ts'

/** A message between tabs. `about` names its topic. */
export type TabMessage = {
  readonly about: 'record' | 'events' | 'intents'
  readonly [member: string]: unknown
}

/** The other tabs that share one record. */
export type Tabs = {
  /** True when no message leaves this tab, and none arrives. */
  readonly isAlone: boolean
  post(message: TabMessage): void
  /** Calls `listener` for each message of another tab. Returns the function that ends it. */
  listen(about: TabMessage['about'], listener: (message: TabMessage) => void): () => void
  close(): void
}

const ALONE: Tabs = { isAlone: true, post() {}, listen: () => () => {}, close() {} }

// A platform may lack an object, or have null in its place. It may also throw at its mention or at its use, as Firefox
// does where it blocks cookies.
const orNone = <T>(take: () => T | null | undefined): T | undefined => {
  try {
    return take() ?? undefined
  } catch {
    return undefined
  }
}

/** Returns the locks that all tabs of this origin share, or undefined where there are none. */
export function webLocks(): LockManager | undefined {
  return orNone(() => globalThis.navigator.locks)
}

/** Joins the tabs that share the record `name` of one scope. Without a BroadcastChannel the tab stays alone. */
export function openTabs(name: string, scope = ''): Tabs {
  const channel = orNone(() => new BroadcastChannel(`countersign:${name}:${scope}`))
  if (!channel) return ALONE
  const { unref } = channel as { unref?: () => void }
  // An open channel would keep Node from exiting.
  unref?.call(channel)
  const listeners = new Set<readonly [TabMessage['about'], (message: TabMessage) => void]>()
  channel.onmessage = ({ data }) => {
    for (const [about, listener] of listeners) if (data?.about === about) listener(data)
  }
  return {
    isAlone: false,
    post(message) {
      // A page that the browser is taking down has a channel that throws.
      orNone(() => channel.postMessage(message))
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
