// SPDX-License-Identifier: MIT
// Checks whether a connection may become a WebSocket, by its headers alone. The signed subscription that follows is the
// real check. This one refuses pages of other origins, and mistakes.

import { STREAM_PROTOCOL } from '../../common/protocol.ts'
import { pathOf } from '../support/encoding.ts'
import { NO_ORIGIN, type OriginRules } from '../support/origins.ts'
import type { Inbound } from '../types.ts'

/** The settings that an upgrade is checked against. */
export type UpgradeRules = {
  endpoint: string | undefined
  origins: OriginRules
  isClosed: boolean
}

/** Why an upgrade is refused: the HTTP status, and a code for the operator. */
export type UpgradeRefusal = { status: number; code: string }

const isOffered = (offered: string | null): boolean =>
  (offered ?? '').split(',').some((name) => name.trim() === STREAM_PROTOCOL)

// A default port may be written or left out, so URL compares the hosts.
function isSameHost(origin: string, host: string | null): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: wanted } = new URL(origin)
  // A gateway serves pages over the web alone. An application's own scheme may have any host that it likes.
  if (protocol !== 'https:' && protocol !== 'http:') return false
  const gateway = `${protocol}//${host}`
  return URL.canParse(gateway) && new URL(gateway).host === wanted
}

/** Returns why a connection must not become a WebSocket, or undefined where it may. */
export function checkUpgrade(
  inbound: Inbound,
  { endpoint, origins, isClosed }: UpgradeRules
): UpgradeRefusal | undefined {
  const { method, target, isAmbiguous } = inbound
  const origin = inbound.header('origin')
  if (method !== 'GET') return { status: 400, code: 'no_websocket' }
  if (isAmbiguous) return { status: 400, code: 'duplicate_header' }
  if (endpoint !== undefined && pathOf(target) !== endpoint) return { status: 404, code: 'not_found' }
  // A browser asks nobody before it opens a WebSocket, and reads what comes. So it is for origins with a name alone.
  if (origin === NO_ORIGIN) return { status: 403, code: 'opaque_origin' }
  if (origin !== null && !origins.allows(origin) && !isSameHost(origin, inbound.header('host')))
    return { status: 403, code: 'foreign_origin' }
  if (!isOffered(inbound.header('sec-websocket-protocol'))) return { status: 400, code: 'no_websocket' }
  return isClosed ? { status: 503, code: 'closed' } : undefined
}
