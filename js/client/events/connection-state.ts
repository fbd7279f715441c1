// SPDX-License-Identifier: MIT
// The states of the stream of events and what leads from one to the next, as data. The tests take their cases from this
// table, and docs/guide/states.md its diagram.

/**
 * - `idle`: the application does not listen.
 * - `connecting`: the client connects to the gateway, or waits before its next try.
 * - `live`: the client is connected, and something verified has come within the last 25 s.
 * - `stale`: the client is connected, and nothing has come for 25 s. A new connection follows.
 * - `offline`: the device or the network says that there is no way to the gateway.
 * - `refused`: the gateway has refused the stream. The `reason` is its signed refusal.
 */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'stale' | 'offline' | 'refused'

/**
 * What happens to a client's stream of events.
 * - `attempted`: the client tries to connect.
 * - `attempted-offline`: the client tries to connect although the device says that it is offline.
 * - `begun`: the client has verified the answer to its subscription.
 * - `silent`: nothing has come for 25 s.
 * - `ended`: the connection has ended or failed. The client waits before its next try.
 * - `unreachable`: the connection has failed because there is no way to the gateway. The client waits as well.
 * - `following`: another tab holds the stream, and this client begins to follow it.
 * - `leader-connecting`: the followed tab says that its stream is connecting.
 * - `leader-live`: the followed tab says that its stream is live.
 * - `leader-stale`: the followed tab says that its stream is stale.
 * - `leader-offline`: the followed tab says that its stream is offline.
 * - `closed`: the last listener has left, or the client can no longer listen.
 * - `refused`: the gateway has refused the stream with a signed answer.
 */
export type ConnectionEvent =
  | 'attempted'
  | 'attempted-offline'
  | 'begun'
  | 'silent'
  | 'ended'
  | 'unreachable'
  | 'following'
  | 'leader-connecting'
  | 'leader-live'
  | 'leader-stale'
  | 'leader-offline'
  | 'closed'
  | 'refused'

/** A transition: the next state, and the states in which the event counts, all of them when none is named. */
type ConnectionTransition = { readonly to: ConnectionState; readonly from?: readonly ConnectionState[] }

/** The states of a stream that the client holds open, or tries to. */
const OPEN: readonly ConnectionState[] = ['connecting', 'live', 'stale', 'offline']

/** What each event leads to. In a state that its row does not name, an event changes nothing. */
export const connectionTransitions: { readonly [Event in ConnectionEvent]: ConnectionTransition } = {
  attempted: { to: 'connecting' },
  'attempted-offline': { to: 'offline' },
  begun: { to: 'live', from: ['connecting', 'offline'] },
  // Not from `connecting`: a connection that never began is not stale.
  silent: { to: 'stale', from: ['live'] },
  ended: { to: 'connecting', from: OPEN },
  unreachable: { to: 'offline', from: OPEN },
  following: { to: 'connecting' },
  // A late word of the leader does not open a stream that has no listener any more.
  'leader-connecting': { to: 'connecting', from: OPEN },
  'leader-live': { to: 'live', from: OPEN },
  'leader-stale': { to: 'stale', from: OPEN },
  'leader-offline': { to: 'offline', from: OPEN },
  closed: { to: 'idle' },
  refused: { to: 'refused' }
}
