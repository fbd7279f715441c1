// SPDX-License-Identifier: MIT
// Checks whether a connection may become a WebSocket, by its headers alone. The signed subscription that follows is the
// real check. This one refuses pages of other origins, and mistakes.

import { STREAM_PROTOCOL } from '../../common/protocol.ts'
import type { OriginRules } from '../support/origins.ts'
import type { Inbound } from '../types.ts'

/** The settings that an upgrade is checked against. */
export type UpgradeRules = {
  endpoint: string | undefined
  origins: OriginRules
  isClosed: boolean
}

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

/** Returns 101, or the HTTP status of the refusal. */
export function checkUpgrade(inbound: Inbound, { endpoint, origins, isClosed }: UpgradeRules): number {
  const { method, target, isAmbiguous } = inbound
  const origin = inbound.header('origin')
  if (method !== 'GET' || isAmbiguous) return 400
  if (endpoint !== undefined && target.split('?', 1)[0] !== endpoint) return 404
  if (origin !== null && !origins.allows(origin) && !isSameHost(origin, inbound.header('host'))) return 403
  if (!isOffered(inbound.header('sec-websocket-protocol'))) return 400
  return isClosed ? 503 : 101
}
