// SPDX-License-Identifier: MIT
// A spare device: one more key and session beside the reader's own, in memory, to be revoked instead of it.
import { memoryStore } from 'countersign'
import { readCode } from './gateway.mjs'
import { enroll } from './session.mjs'
import { visitor } from './sign-in.mjs'

/** makeSpare signs a device in by the loopback outbox and resolves to `{ session, revoke }`; it rejects where there is none. */
export const makeSpare = async (session) => {
  const client = await session.another({ store: memoryStore() })
  const spare = { ...session, client }
  const email = visitor()
  await enroll(spare, email, async (challengeId) => {
    const code = await readCode(email, challengeId)
    if (!code) throw new Error('codes are shown on loopback only')
    return code
  })
  return {
    session: spare,
    /** revoke tells the gateway alone: the device is to hear of it from there. */
    revoke: () => client.fetch(`/api/v1/sessions/${client.sessionId}/revoke`, { method: 'POST' })
  }
}
