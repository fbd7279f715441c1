// SPDX-License-Identifier: MIT
// The hooks in a component: compiled strictly, never run.
import { connect } from 'countersign'
import { type UsedClient, useClient, useEvents, useSession } from 'countersign/react'

const connecting = connect({ url: 'https://api.example.com', label: 'shop', serverKeys: [] })

export function App(): string {
  const used: UsedClient = useClient(connecting)
  const { state, sessionId } = useSession(used.client)
  useEvents(used.client, ({ type }) => console.log(type), { types: ['cart.changed'], onEnd: console.error })
  if (used.isLoading) return 'loading'
  if (used.error) return String(used.error)
  // @ts-expect-error a client may be missing here for the compiler, until the error is ruled out
  const missing: string = used.client.sessionId
  return `${state} ${sessionId} ${missing}`
}
