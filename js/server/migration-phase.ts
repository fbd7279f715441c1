// SPDX-License-Identifier: MIT
// Moving existing HTTP routes behind signatures in steps (PROTOCOL.md, R140): what would be refused is counted and, in the
// early phases, passed on to the handler that was there before, never to a signed route's.

import type { Stage } from '../common/types.ts'
import type { Metrics } from './support/metrics.ts'
import type { Inbound, PassedOn, Phase } from './types.ts'

export const PHASES: readonly Phase[] = ['observe', 'warn', 'require', 'enforce']

/** What a verified request gets for a target without a signed route. */
export const NO_ROUTE = 'http.404'

/** Passing decides, for one request, on a refusal: undefined where it stands, else what the old handler is told. */
export type Passing = (stage: Stage | undefined, code: string) => PassedOn | undefined

/** What stands behind an old route's answer in phase `warn`. */
export function warningOf({ stage, code }: PassedOn): string {
  return `${stage ?? 'none'}; ${code}`
}

const refuseAll: Passing = () => undefined

/**
 * createPassing makes the decision for one request: `isOwn` says that its target is one of the gateway's own (the endpoint,
 * enrolment), which knows no phases.
 */
export function createPassing(phase: Phase, inbound: Inbound, isOwn: boolean, metrics: Metrics): Passing {
  if (phase === 'enforce' || isOwn || !inbound.canPassOn) return refuseAll
  return (stage, code) => {
    // What a signed route has begun is its own. In `require` only a verified request is passed on, where it has no route yet.
    if (code !== NO_ROUTE && (stage === 'handler' || phase === 'require')) return undefined
    metrics.count('countersign_would_refuse_total', { stage: stage ?? 'none', code })
    return { phase, code, ...(stage === undefined ? {} : { stage }) }
  }
}
