// SPDX-License-Identifier: MIT
// Moves existing HTTP routes behind signatures in steps (PROTOCOL.md, R140). The gateway counts each request that
// `enforce` would refuse. In the early phases it passes the request on to the handler that was there before, never to a
// signed route.

import type { Stage } from '../common/types.ts'
import type { Metrics } from './support/metrics.ts'
import type { Inbound, MigrationPhase, PassedOn } from './types.ts'

/** The phases, from the most lenient to the strictest. */
export const PHASES: readonly MigrationPhase[] = ['observe', 'warn', 'require', 'enforce']

/** The codes for a verified request that has no signed route: its path has none, or only for other methods (R170). */
export type Unrouted = 'http.404' | 'http.405'

const isUnrouted = (code: string): code is Unrouted => code === 'http.404' || code === 'http.405'

/**
 * Decides on a refusal of one request. Returns undefined where it stands, and otherwise the verdict for the old
 * handler.
 */
export type Passing = (stage: Stage | undefined, code: string) => PassedOn | undefined

/** Returns the value of the header `countersign-warning` on an old handler's answer in phase `warn`. */
export function warningOf({ stage, code }: PassedOn): string {
  return `${stage ?? 'none'}; ${code}`
}

const refuseAll: Passing = () => undefined

/**
 * Returns the decision function of one request. With `isInternal` the target is the gateway's own (the endpoint or
 * enrolment), and the phases do not apply.
 */
export function createPassing(phase: MigrationPhase, inbound: Inbound, isInternal: boolean, metrics: Metrics): Passing {
  if (phase === 'enforce' || isInternal || !inbound.canPassOn) return refuseAll
  return (stage, code) => {
    // A request that a signed handler began stays with it. In `require` only a verified request without a route is
    // passed on.
    if (!isUnrouted(code) && (stage === 'handler' || phase === 'require')) return undefined
    metrics.count('countersign_would_refuse_total', { stage: stage ?? 'none', code })
    return { phase, code, ...(stage === undefined ? {} : { stage }) }
  }
}
