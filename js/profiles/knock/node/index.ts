// SPDX-License-Identifier: MIT
// Knocks over UDP, for Node. Browsers have no UDP.

export {
  type AcceptedKnock,
  createKnockListener,
  type KnockEvent,
  type KnockListener,
  type KnockListenerOptions,
  type KnockOutcome,
  type KnockRefusal,
  type KnockUser
} from './listener.ts'
export { type SendKnockOptions, sendKnock } from './send.ts'
