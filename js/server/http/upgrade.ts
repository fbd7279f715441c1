// SPDX-License-Identifier: MIT
// Whether a connection may become a WebSocket: judged by its headers, before a byte is spent on it. What counts is the signed
// subscription that has to follow; this keeps pages of other origins and mistakes away.

import type { Inbound } from '../types.ts'

/** The subprotocol of streams. */
export const SUBPROTOCOL = 'countersign.v1'

export type UpgradeRules = {
  endpoint: string | undefined
  origins: readonly string[]
  isClosed: boolean
}

const isOffered = (offered: string | null): boolean =>
  (offered ?? '').split(',').some((name) => name.trim() === SUBPROTOCOL)

// A default port may be written or left out.
function isSameHost(origin: string, host: string | null): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: wanted } = new URL(origin)
  const own = `${protocol}//${host}`
  return URL.canParse(own) && new URL(own).host === wanted
}

/** judgeUpgrade gives 101, or the status of the refusal. */
export function judgeUpgrade(inbound: Inbound, { endpoint, origins, isClosed }: UpgradeRules): number {
  const { method, target, isAmbiguous } = inbound
  const origin = inbound.header('origin')
  if (method !== 'GET' || isAmbiguous) return 400
  if (endpoint !== undefined && target.split('?', 1)[0] !== endpoint) return 404
  if (origin !== null && !origins.includes(origin) && !isSameHost(origin, inbound.header('host'))) return 403
  if (!isOffered(inbound.header('sec-websocket-protocol'))) return 400
  return isClosed ? 503 : 101
}
