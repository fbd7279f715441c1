// SPDX-License-Identifier: MIT
// The signed events of one gateway, as the rest of the gateway uses them.

import type { Core } from '../../common/types.ts'
import type { AnswerSigner } from '../exchange/sign-answer.ts'
import { checkUpgrade, type UpgradeRefusal } from '../http/upgrade.ts'
import type { GatewaySettings } from '../options.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Metrics } from '../support/metrics.ts'
import type { Gateway, Handler, Inbound, RotatedEvent } from '../types.ts'
import { createEventHandlers } from './handlers.ts'
import { createPublish, createTellRotated } from './publish.ts'
import { createStreamHub } from './stream-hub.ts'

/** The part of a gateway that pushes events. */
export type Events = {
  /** Handlers by message type. There are none without a store of events, so that the types are unknown. */
  handlers: { readonly [type: string]: Handler }
  publish: Gateway['publish']
  /** Tells the other sessions of a user that a session has a new key. Does nothing without a store of events. */
  tellRotated(event: RotatedEvent): Promise<void>
  /** Returns why a WebSocket upgrade is refused, or undefined where it is not. */
  checkUpgrade(inbound: Inbound): UpgradeRefusal | undefined
  close(): void
}

/** Creates the events of a gateway from its settings. */
export function createEvents(parts: {
  settings: GatewaySettings
  clock: GatewayClock
  metrics: Metrics
  coreOf: () => Promise<Core>
  signAnswer: AnswerSigner
  /** Takes `count` requests of a session from its rate. */
  charge: (sessionId: string, count: number) => void
  isClosed: () => boolean
}): Events {
  const { settings, metrics, isClosed } = parts
  const { sessions, events, limits, endpoint, origins } = settings
  const { userIdOf } = settings.enrollment ?? {}
  const publish = createPublish({ sessions, events, metrics, storeMs: limits.storeMs, isClosed, userIdOf })
  if (!events) {
    const checkUpgrade = (): UpgradeRefusal => ({ status: 404, code: 'not_found' })
    return { handlers: {}, publish, tellRotated: async () => {}, checkUpgrade, close() {} }
  }
  const hub = createStreamHub({ ...settings, ...parts, events })
  return {
    handlers: createEventHandlers({ hub, ...parts }),
    publish,
    tellRotated: createTellRotated({ sessions, events, metrics, storeMs: limits.storeMs }),
    checkUpgrade: (inbound) => checkUpgrade(inbound, { endpoint, origins, isClosed: isClosed() }),
    close: hub.close
  }
}
