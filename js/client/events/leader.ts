// SPDX-License-Identifier: MIT
// Decides which tab holds the stream: the tab that holds a Web Lock. The browser passes the lock on when a tab closes
// or crashes. The other tabs steal it from a tab that has fallen silent.

import { CountersignError } from '../../common/errors.ts'
import { webLocks } from '../tabs.ts'
import { keepConnection, SILENCE_MS } from './connection.ts'
import type { EventHub } from './event-hub.ts'
import { follow } from './follower.ts'
import { childOf, untilAborted } from './signals.ts'
import type { ConnectionView } from './types.ts'

// The leader reports its state this often, so that the others can tell a quiet stream from a tab that is gone.
const SIGN_OF_LIFE_MS = SILENCE_MS / 2.5

type Release = () => void
type TakeLock = (options: LockOptions, onLost: () => void) => Promise<Release | undefined>

/**
 * Asks for the lock. Resolves to the function that releases it, or to undefined where `options` ask not to wait and
 * another tab holds it. Calls `onLost` when another tab steals it. Rejects with ERR_STORAGE_BLOCKED when the browser
 * denies it.
 */
function takeLock(
  locks: LockManager,
  name: string,
  options: LockOptions,
  onLost: () => void
): Promise<Release | undefined> {
  return new Promise((resolve, reject) => {
    let isHeld = false
    const ask = async (): Promise<unknown> =>
      locks.request(name, options, (lock) => {
        if (!lock) return resolve(undefined)
        isHeld = true
        return new Promise<void>((release) => resolve(release))
      })
    ask().catch((cause) => {
      if (isHeld) onLost()
      else reject(new CountersignError('ERR_STORAGE_BLOCKED', { cause }))
    })
  })
}

/** Keeps the connection for all tabs until the signal aborts. Rejects as `keepConnection` does. */
async function lead(hub: EventHub, sessionId: string, signal: AbortSignal): Promise<void> {
  // The last listener may have left while the tab waited for the lock.
  signal.throwIfAborted()
  const { settings, tabs } = hub.host
  const post = (message: object): void => tabs.post({ about: 'events', session: sessionId, ...message })
  const postState = ({ state, carrier }: ConnectionView): void => post({ state, carrier })
  let cancel = (): void => {}
  const postSignOfLife = (): void => {
    // A tab that has stopped reading must lose the lead: it brings the others no events.
    if (!hub.isFull) postState(hub.view)
    cancel = settings.schedule(postSignOfLife, SIGN_OF_LIFE_MS)
  }
  const off = tabs.listen('events', ({ session, isNew }) => {
    if (session === sessionId && isNew) postState(hub.view)
  })
  hub.onView = postState
  hub.role = 'leader'
  postSignOfLife()
  try {
    await keepConnection(hub, signal, ({ frame }) => post({ frame }))
  } finally {
    hub.onView = undefined
    cancel()
    off()
  }
}

/** Leads or follows until the signal aborts. Rejects with the signal's reason or a final error. */
async function runTogether(hub: EventHub, locks: LockManager, signal: AbortSignal): Promise<void> {
  const { id } = (await hub.host.context()).session
  const name = `countersign:${hub.host.settings.name}:${id}:events`
  const take: TakeLock = (options, onLost) => takeLock(locks, name, options, onLost)
  for (;;) {
    signal.throwIfAborted()
    const leading = childOf(signal)
    const lose = (): void => leading.abort()
    try {
      const release = (await take({ ifAvailable: true }, lose)) ?? (await waitForLead(hub, take, id, signal, lose))
      await lead(hub, id, leading.signal).finally(release)
    } catch (error) {
      signal.throwIfAborted()
      if (!leading.signal.aborted) throw error
    }
  }
}

/**
 * Follows until this tab holds the lock: by its turn, or because the leader has fallen silent and it steals the lock.
 */
async function waitForLead(
  hub: EventHub,
  take: TakeLock,
  id: string,
  signal: AbortSignal,
  onLost: () => void
): Promise<Release> {
  signal.throwIfAborted()
  const waiting = childOf(signal)
  const turn = take({ signal: waiting.signal }, onLost)
  const following = childOf(signal)
  const silent = follow(hub, id, following.signal)
  try {
    const release = await untilAborted(Promise.race([turn, silent.then(() => undefined)]), signal)
    if (release) return release
  } finally {
    following.abort()
    waiting.abort()
    silent.catch(() => {})
    turn.catch(() => {})
  }
  // A lock that was granted at the last moment is released before the tab steals it.
  turn.then((release) => release?.()).catch(() => {})
  return (await take({ steal: true }, onLost)) as Release
}

// A browser that denies storage, as in a sandboxed frame, denies locks as well.
const isDenied = (error: unknown): boolean => (error as CountersignError | undefined)?.code === 'ERR_STORAGE_BLOCKED'

/** Brings the stream to a client's hub: one stream for all tabs where they can agree, one of its own elsewhere. */
export async function runStream(hub: EventHub, signal: AbortSignal): Promise<void> {
  const locks = webLocks()
  try {
    if (locks && !hub.host.tabs.isAlone) return await runTogether(hub, locks, signal)
  } catch (error) {
    if (signal.aborted || !isDenied(error)) throw error
  }
  hub.role = 'alone'
  return keepConnection(hub, signal, () => {})
}
