// SPDX-License-Identifier: MIT
// Which tab holds the stream: the one that holds a lock of the browser's. The lock passes on when a tab closes or crashes,
// and is taken away from one that has fallen silent.

import { keepConnection, SILENCE_MS } from './connection.ts'
import type { EventHub } from './event-hub.ts'
import { follow } from './follower.ts'
import { childOf, untilAborted } from './signals.ts'
import type { ConnectionView } from './types.ts'

// A leader whose connection brings nothing is told from one that is gone.
const SIGN_OF_LIFE_MS = SILENCE_MS / 2.5

type Release = () => void

/**
 * take resolves when the lock is held, to what gives it back, and to nothing where it is not available and was not to be
 * waited for; `onLost` is told when another tab takes it away.
 */
const take = (name: string, options: LockOptions, onLost: () => void): Promise<Release | undefined> =>
  new Promise((resolve, reject) => {
    let isHeld = false
    navigator.locks
      .request(name, options, (lock) => {
        if (!lock) return resolve(undefined)
        isHeld = true
        return new Promise<void>((release) => resolve(release))
      })
      .catch((error) => {
        if (isHeld) onLost()
        else reject(error)
      })
  })

/** lead runs the connection for all tabs until the signal aborts; rejects as runLink does. */
const lead = async (hub: EventHub, sessionId: string, signal: AbortSignal): Promise<void> => {
  // Given up while the lock was asked for: nothing is said of a stream that nobody listens to.
  signal.throwIfAborted()
  const { settings, tabs } = hub.host
  const say = (message: object): void => tabs.post({ about: 'events', session: sessionId, ...message })
  const tellState = ({ state, carrier }: ConnectionView): void => say({ state, carrier })
  let cancel = (): void => {}
  const showLife = (): void => {
    // One that has stopped reading is no use to the others.
    if (!hub.isFull) tellState(hub.view)
    cancel = settings.schedule(showLife, SIGN_OF_LIFE_MS)
  }
  const off = tabs.listen('events', ({ session, isNew }) => {
    if (session === sessionId && isNew) tellState(hub.view)
  })
  hub.onTell = tellState
  hub.role = 'leader'
  showLife()
  try {
    await keepConnection(hub, signal, ({ frame }) => say({ frame }))
  } finally {
    hub.onTell = undefined
    cancel()
    off()
  }
}

/** runTogether is the feed of a client whose tabs share one stream; rejects with the signal's reason, or with what is final. */
const runTogether = async (hub: EventHub, signal: AbortSignal): Promise<void> => {
  const { id } = (await hub.host.context()).session
  const name = `countersign:${hub.host.settings.name}:${id}:events`
  for (;;) {
    signal.throwIfAborted()
    const leading = childOf(signal)
    const lose = (): void => leading.abort()
    try {
      const release =
        (await take(name, { ifAvailable: true }, lose)) ?? (await waitForLead(hub, name, id, signal, lose))
      await lead(hub, id, leading.signal).finally(release)
    } catch (error) {
      signal.throwIfAborted()
      if (!leading.signal.aborted) throw error
    }
  }
}

/** waitForLead follows until the lock is ours, by turn or because the leader has fallen silent. */
const waitForLead = async (
  hub: EventHub,
  name: string,
  id: string,
  signal: AbortSignal,
  onLost: () => void
): Promise<Release> => {
  signal.throwIfAborted()
  const waiting = childOf(signal)
  const turn = take(name, { signal: waiting.signal }, onLost)
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
  // Granted at the last moment, it is given back before it is taken again.
  turn.then((release) => release?.()).catch(() => {})
  return (await take(name, { steal: true }, onLost)) as Release
}

const canAgree = (): boolean =>
  typeof globalThis.BroadcastChannel === 'function' &&
  (globalThis as { navigator?: Navigator }).navigator?.locks !== undefined

// Where storage is denied, as in a sandboxed frame, so are locks.
const isDenied = (error: unknown): boolean => (error as Error | undefined)?.name === 'SecurityError'

/** runFeed is the feed of a client's hub: one stream for all tabs of the browser where they can agree, one of its own elsewhere. */
export async function runFeed(hub: EventHub, signal: AbortSignal): Promise<void> {
  try {
    if (canAgree()) return await runTogether(hub, signal)
  } catch (error) {
    if (signal.aborted || !isDenied(error)) throw error
  }
  hub.role = 'alone'
  return keepConnection(hub, signal, () => {})
}
