// SPDX-License-Identifier: MIT
// Hooks for React 18 and later. The client lives outside of React, so a component that mounts twice (StrictMode) changes
// nothing: hooks read from it and listen to it.

import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { Client } from '../client/client.ts'
import type { ClientEvent, EventsOptions } from '../client/events/types.ts'
import type { ClientState } from '../client/session/client-state.ts'

/** What `useClient` returns: the client when it is there, or why it is not. */
export type UsedClient =
  | { client: undefined; error: undefined; isLoading: true }
  | { client: Client; error: undefined; isLoading: false }
  | { client: undefined; error: unknown; isLoading: false }

const LOADING: UsedClient = { client: undefined, error: undefined, isLoading: true }

/**
 * Waits for a client. `connecting` is the promise of `connect`, made once outside of components, so that all of them
 * share one client. Nothing is closed when a component leaves.
 *
 * @example
 * const connecting = connect({ url, label, serverKeys })
 * function App() {
 *   const { client, error, isLoading } = useClient(connecting)
 */
export function useClient(connecting: Promise<Client>): UsedClient {
  const [used, setUsed] = useState<{ of: Promise<Client>; now: UsedClient }>({ of: connecting, now: LOADING })
  useEffect(() => {
    let isGone = false
    const set = (now: UsedClient): void => {
      if (!isGone) setUsed({ of: connecting, now })
    }
    connecting.then(
      (client) => set({ client, error: undefined, isLoading: false }),
      (error) => set({ client: undefined, error, isLoading: false })
    )
    return () => {
      isGone = true
    }
  }, [connecting])
  return used.of === connecting ? used.now : LOADING
}

/** What `useSession` returns: the state of the client and the id of its session. */
export type UsedSession = { state: ClientState | undefined; sessionId: string | null }

/**
 * Follows the session of a client: sign-in, sign-out, revocation, in any tab. Takes `undefined` while there is no
 * client.
 */
export function useSession(client: Client | undefined): UsedSession {
  const subscribe = useMemo(() => (changed: () => void) => client?.on('state', changed) ?? (() => {}), [client])
  // One text for both, so that React can compare what it has read.
  const read = (): string => (client ? `${client.state} ${client.sessionId ?? ''}` : '')
  const text = useSyncExternalStore(subscribe, read, () => '')
  return useMemo(() => {
    const [state, id] = text.split(' ')
    return { state: (state || undefined) as ClientState | undefined, sessionId: id || null }
  }, [text])
}

/**
 * Calls `onEvent` with each verified event, in order, while the component is there and the session is ready. `onEnd`
 * gets the error that ends the stream. Both may change from one rendering to the next.
 */
export function useEvents(
  client: Client | undefined,
  onEvent: (event: ClientEvent) => void,
  { onEnd, types, carrier }: Pick<EventsOptions, 'types' | 'carrier'> & { onEnd?: (error: unknown) => void } = {}
): void {
  const { state, sessionId } = useSession(client)
  const latest = useRef({ onEvent, onEnd })
  useEffect(() => {
    latest.current = { onEvent, onEnd }
  })
  const wanted = JSON.stringify(types)
  useEffect(() => {
    if (!client || state !== 'ready' || sessionId === null) return
    const stop = new AbortController()
    const listen = async (): Promise<void> => {
      const options = {
        signal: stop.signal,
        ...(wanted === undefined ? {} : { types: JSON.parse(wanted) }),
        ...(carrier === undefined ? {} : { carrier })
      }
      for await (const event of client.events(options)) latest.current.onEvent(event)
    }
    listen().catch((error) => {
      if (!stop.signal.aborted) latest.current.onEnd?.(error)
    })
    return () => stop.abort()
  }, [client, state, sessionId, wanted, carrier])
}
