// SPDX-License-Identifier: MIT
// Removes what the stores have of a person. Each step may be taken again, so a call that was cut off is simply repeated.

import { badArgument, textOf } from '../core/args.ts'
import type { GatewaySettings } from './options.ts'
import { partOf } from './support/checks.ts'
import type { GatewayClock } from './support/gateway-clock.ts'
import { gatewayOptionsOf } from './support/option-names.ts'
import type { AnswerStore } from './types.ts'

/** The reason of the revocation that ends the streams of a person who is forgotten. */
const REASON = 'forgotten'

/** Returns `forgetUser` of a gateway. */
export function createForgetUser({ sessions, events }: GatewaySettings, clock: GatewayClock) {
  return async (userId: string, options: { answers?: AnswerStore } = {}): Promise<number> => {
    textOf(userId, 'forgetUser: userId')
    const { answers } = gatewayOptionsOf(options, 'forgetUser')
    if (!sessions.forgetUser) throw badArgument('forgetUser: the session store must have forgetUser')
    if (answers !== undefined) partOf(answers, ['forgetUser'], 'forgetUser: answers must be an AnswerStore that has it')
    const found = await sessions.listByUser(userId)
    // First, so that nothing new comes in by these sessions while the rest goes.
    for (const { id } of found) await sessions.revoke(id, REASON, clock.now())
    for (const { id } of found) await events?.drop(id)
    await answers?.forgetUser?.(userId)
    const removed = await sessions.forgetUser(userId)
    // A session that was enrolled meanwhile has gone too.
    for (const id of removed) await events?.drop(id)
    return removed.length
  }
}
