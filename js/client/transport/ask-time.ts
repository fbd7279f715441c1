// SPDX-License-Identifier: MIT
// The question for the server's time. The client asks it when a request needs the time and no message has brought it
// yet (R77).

import { isCountersignError } from '../../common/errors.ts'
import type { HttpBinding } from './bindings/binding.ts'
import type { Call, CallContext } from './types.ts'

const TRIES = 2

/** Returns the `cs.time` request, stamped with the best time that the client has. */
export function probeCall(binding: HttpBinding, timeoutMs: number): Call {
  return {
    type: 'cs.time',
    payload: new Uint8Array(0),
    idempotencyKey: undefined,
    isSafe: true,
    isProbe: true,
    binding,
    timeoutMs
  }
}

/** Asks for the time until the clock has its answer. Rejects as the call does. */
export async function probe({ clock }: Pick<CallContext, 'clock'>, ask: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < TRIES && clock.lacksAnswer; tries++) {
    try {
      await ask()
    } catch (error) {
      // A signed `cs.stale` brings the time as any other answer does.
      if (!isCountersignError(error) || error.resultCode !== 'cs.stale') throw error
    }
  }
}
