// SPDX-License-Identifier: MIT
// What the page asks its gateway without a signature: the public description, and the development endpoints.
import { patience } from './patience.mjs'

const json = async (path, headers = {}) => {
  try {
    const response = await fetch(path, { cache: 'no-store', credentials: 'omit', headers })
    return response.ok ? await response.json() : undefined
  } catch {
    return undefined
  }
}

/**
 * describe reads `{ label, serverKeys, pastMs, futureMs }`. This demo believes the key its own origin shows it; an
 * application ships the key in its configuration.
 */
export const describe = async () => {
  const found = await json('/.well-known/countersign.json')
  if (!found) throw new Error('the gateway does not describe itself')
  return {
    label: found.label,
    serverKeys: found.server_keys.map(({ id, public_key: publicKey }) => ({ id, publicKey })),
    pastMs: found.past_ms,
    futureMs: found.future_ms
  }
}

/** readCode returns the code mailed for a challenge, or undefined where the gateway keeps no outbox for this reader. */
export const readCode = async (email, challengeId) => {
  // The gateway answers before the mail is written: which addresses there are is nobody's business.
  for (let tries = 0; tries < 20 * patience; tries += 1) {
    const mails = await json(`/dev/outbox?email=${encodeURIComponent(email)}`)
    const mail = mails?.find(({ challenge_id: id }) => id === challengeId)
    if (mail || !mails) return mail?.code
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return undefined
}

/** readTrace returns the stages the gateway reported for a request id, or undefined where it shows none. */
export const readTrace = async (requestId) =>
  (await json(`/dev/trace?request_id=${encodeURIComponent(requestId)}`))?.stages

// A header of its own, which no page of another origin can send without being asked first.
const develop = (path) => json(path, { 'x-countersign-dev': 'yes' })

/** restartGateway asks the gateway to restart in its place, and says whether it will. */
export const restartGateway = async () => (await develop('/dev/restart')) !== undefined

/**
 * serverKeyStep takes a step in the change of the server's key, or none, and returns where it stands: `{ phase, signer, next,
 * previous }`, or undefined where the gateway does not let this reader.
 */
export const serverKeyStep = (step = '') => develop(`/dev/server-key${step && `?step=${step}`}`)
