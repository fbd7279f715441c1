// SPDX-License-Identifier: MIT
// The states of a client and what leads from one to the next, as data. The tests take their cases from this table, and
// docs/guide/states.md its diagram.

/** Whether a client can send, and if not, why. */
export type ClientState = 'no-session' | 'ready' | 'revoked' | 'key-lost' | 'signed-out'

/**
 * What happens to a client's session.
 * - `enrolled`: this client has enrolled and stored its session.
 * - `revoked`: the server has said, signed, that the session is over.
 * - `deleted`: this client has deleted its key.
 * - `damaged`: the record in the store is damaged, or its key does not sign.
 * - `gone`: the record is no longer in the store.
 * - `left`: another tab has signed out.
 * - `own-ready`, `own-revoked`: the record is that of this client's session.
 * - `replaced`: the record is that of another session, which another tab has enrolled.
 * - `other-ready`, `other-revoked`: that other session becomes this client's.
 */
export type SessionEvent =
  | 'enrolled'
  | 'revoked'
  | 'deleted'
  | 'damaged'
  | 'gone'
  | 'left'
  | 'own-ready'
  | 'own-revoked'
  | 'replaced'
  | 'other-ready'
  | 'other-revoked'

type Transitions = { readonly [Event in SessionEvent]?: ClientState }

const always = { enrolled: 'ready', deleted: 'signed-out', damaged: 'key-lost' } as const
const taken = { 'other-ready': 'ready', 'other-revoked': 'revoked' } as const

/** The next state for each state and event. An event that a state does not list changes nothing. */
export const clientTransitions: { readonly [State in ClientState]: Transitions } = {
  'no-session': { ...always, ...taken },
  ready: {
    ...always,
    ...taken,
    revoked: 'revoked',
    gone: 'key-lost',
    left: 'signed-out',
    replaced: 'signed-out',
    'own-ready': 'ready',
    'own-revoked': 'revoked'
  },
  // A record that has not heard the server's word does not take it back: `own-ready` is not listed.
  revoked: { ...always, ...taken, gone: 'key-lost', left: 'signed-out' },
  'key-lost': { ...always, ...taken, left: 'signed-out' },
  'signed-out': { ...always, ...taken }
}
