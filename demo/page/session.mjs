// SPDX-License-Identifier: MIT
// The client of this page: connected through the man in the middle, enrolled by an e-mail code.
import { connect, emailEnrollment, indexedDbStore } from 'countersign'
import { loadCore } from 'countersign/core'
import { createDeviceClock } from './device-clock.mjs'
import { describe } from './gateway.mjs'
import { createMiddle } from './middle.mjs'
import { createNetwork } from './network.mjs'
import { patience } from './patience.mjs'
import { createStream } from './stream.mjs'

/**
 * openSession connects and resolves to `{ client, core, network, middle, clock, stream, description, another }`; `another(options)` connects
 * one more client of the same key, clock and line. It rejects with a CountersignError.
 */
export const openSession = async ({ allowMemoryKey = false } = {}) => {
  const core = await loadCore()
  const description = await describe()
  const network = createNetwork()
  const middle = createMiddle({ core, type: 'demo.echo', line: network.fetch })
  const clock = createDeviceClock()
  const { label, serverKeys, pastMs, futureMs } = description
  const another = (options) =>
    connect({
      url: location.origin,
      label,
      serverKeys,
      pastMs,
      // The tampering middle holds frames past their window: their answers are to be opened all the same.
      futureMs: futureMs + 5000,
      fetch: middle.fetch,
      now: clock.now,
      store: indexedDbStore({ timeoutMs: 5000 * patience }),
      timeoutMs: 15_000 * patience,
      ...options
    })
  const client = await another({ allowMemoryKey })
  return { client, core, network, middle, clock, stream: createStream({ client }), description, another }
}

/** enroll asks for a code, waits for `askCode(challengeId)`, and resolves when the gateway has registered the new key. */
export const enroll = ({ client }, email, askCode) => emailEnrollment(client, { email, code: askCode })
