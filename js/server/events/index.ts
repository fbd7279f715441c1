// SPDX-License-Identifier: MIT
// Signed events of one gateway: what of them the rest of it uses.

import type { Core } from '../../common/types.ts'
import type { Sealer } from '../exchange/sign-answer.ts'
import { judgeUpgrade } from '../http/upgrade.ts'
import type { Settings } from '../options.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Gateway, Handler, Inbound } from '../types.ts'
import { createEventHandlers } from './handlers.ts'
import { createPublish } from './publish.ts'
import { createHub } from './stream-hub.ts'

/** Events is the part of a gateway that pushes. */
export type Events = {
  /** None where there is no store of events: the types are unknown then. */
  handlers: { readonly [type: string]: Handler }
  publish: Gateway['publish']
  /** The status of a WebSocket upgrade. */
  judgeUpgrade(inbound: Inbound): number
  close(): void
}

/** createEvents makes it from a gateway's settings. */
export function createEvents(parts: {
  settings: Settings
  clock: GatewayClock
  metrics: Metrics
  coreOf: () => Promise<Core>
  seal: Sealer
  isClosed: () => boolean
}): Events {
  const { settings, metrics, isClosed } = parts
  const { sessions, events, limits, endpoint, origins } = settings
  const publish = createPublish({ sessions, events, metrics, storeMs: limits.storeMs, isClosed })
  if (!events) return { handlers: {}, publish, judgeUpgrade: () => 404, close() {} }
  const hub = createHub({ ...settings, ...parts, events })
  return {
    handlers: createEventHandlers({ hub, ...parts }),
    publish,
    judgeUpgrade: (inbound) => judgeUpgrade(inbound, { endpoint, origins, isClosed: isClosed() }),
    close: hub.close
  }
}
