// SPDX-License-Identifier: MIT
// What may have lost a request. A page needs this rarely, so it is loaded on demand.

import { isCountersignError } from '../../common/errors.ts'
import { opaqueOrigin, platformFetch } from '../../common/platform.ts'
import { CORS_CHECK_PATH } from '../../common/protocol.ts'
import { parseJson } from '../../common/text.ts'
import type { ClientSettings } from '../options.ts'
import { readBody, send } from './exchange.ts'

const CHECK_BYTES = 1024

/**
 * Resolves to the error, with a hint where a request was lost. A page cannot tell a lost network from a gateway that does
 * not allow its origin, but the gateway says that to everybody. No hint changes the verdict: nothing of it is signed.
 */
export async function withHint(settings: ClientSettings, error: unknown, signal: AbortSignal): Promise<unknown> {
  const { fetch, origin } = settings
  const { location, navigator } = globalThis as Partial<typeof globalThis>
  if (!isCountersignError(error) || error.code !== 'ERR_NETWORK') return error
  const opaque = opaqueOrigin()
  let allowed: unknown
  if (fetch === platformFetch && location && (opaque || location.origin !== origin))
    try {
      const response = await send(settings, origin + CORS_CHECK_PATH, {}, signal)
      const limits = { cap: CHECK_BYTES, tooLarge: 'ERR_ANSWER_TOO_LARGE', signal } as const
      allowed = (parseJson(await readBody(response, limits)) as { allowed?: unknown }).allowed
    } catch {
      // The gateway is not there, or it is another server. The error says all that is known.
    }
  // A gateway may admit pages without an origin. Then something else has lost the request.
  if (opaque && allowed !== true) error.message += `: ${opaque}`
  else if (navigator?.onLine === false) error.message += ': the device seems to be offline'
  else if (allowed === false) error.message += `: CORS: the gateway's origins lack ${location?.origin}`
  return error
}
