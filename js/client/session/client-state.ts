// SPDX-License-Identifier: MIT
// The states of a client and the transitions between them, as data. The tests take their cases from this table, and
// docs/guide/states.md takes its diagram.

/**
 * The state of a client: it says whether the client can send, and if not, why.
 * - `no-session`: this device has not enrolled yet.
 * - `ready`: the client has a key and a session, and can send.
 * - `revoked`: the server has ended the session. The client cannot send until it enrols again.
 * - `key-lost`: the key is gone from the store, is damaged, or does not sign. The client cannot send until it enrols again.
 * - `signed-out`: this client or another tab has signed out.
 */
export type ClientState = 'no-session' | 'ready' | 'revoked' | 'key-lost' | 'signed-out'

/**
 * What happens to a client's session.
 * - `enrolled`: this client, or another tab, has enrolled and stored the session that this client goes on with.
 * - `enrolled-revoked`: another tab has enrolled that session, and the server has revoked it already.
 * - `confirmed`: the record in the store is still that of this client's session.
 * - `revoked`: a signed message of the server says that this client's session is over, or its record says so.
 * - `replaced`: the record is that of another session. `enrolled` or `enrolled-revoked` follows.
 * - `gone`: the record is no longer in the store.
 * - `damaged`: the record is damaged, or its key does not sign.
 * - `left`: another tab has signed out.
 * - `deleted`: this client has deleted its key.
 */
export type SessionEvent =
  | 'enrolled'
  | 'enrolled-revoked'
  | 'confirmed'
  | 'revoked'
  | 'replaced'
  | 'gone'
  | 'damaged'
  | 'left'
  | 'deleted'

/** A transition: the next state, and the states in which the event counts. Without `from` it counts in all states. */
type Transition = { readonly to: ClientState; readonly from?: readonly ClientState[] }

/** The transition of each event. An event changes nothing in a state that its row does not name. */
export const clientTransitions: { readonly [Event in SessionEvent]: Transition } = {
  enrolled: { to: 'ready' },
  'enrolled-revoked': { to: 'revoked' },
  // Not from `revoked`: a record without the server's revocation does not undo it.
  confirmed: { to: 'ready', from: ['ready'] },
  revoked: { to: 'revoked', from: ['ready'] },
  replaced: { to: 'signed-out', from: ['ready'] },
  gone: { to: 'key-lost', from: ['ready', 'revoked'] },
  damaged: { to: 'key-lost' },
  left: { to: 'signed-out', from: ['ready', 'revoked', 'key-lost'] },
  deleted: { to: 'signed-out' }
}
