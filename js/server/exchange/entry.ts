// SPDX-License-Identifier: MIT
// Stage 0 of PROTOCOL.md, section 6, before any cryptography (R56): sources, their rates and places, the headers, and
// mounted paths. The other stages follow in the pipeline.

import type { Core } from '../../common/types.ts'
import { createPassing, type Passing } from '../migration-phase.ts'
import type { GatewaySettings } from '../options.ts'
import { pathOf } from '../support/encoding.ts'
import type { GatewayClock } from '../support/gateway-clock.ts'
import type { Inbound, Mounted, Outbound } from '../types.ts'
import { bindingOf } from './parse.ts'
import type { Pipeline } from './pipeline.ts'
import { type Buckets, createBuckets, sourceOf } from './rates.ts'
import { plainAnswer, RETRY_AFTER_MS } from './sign-answer.ts'
import { createTrace, type Observer, reportRefusal } from './trace.ts'
import { createTurns, type Place } from './turns.ts'

/** The most characters of a source's name. */
const MAX_SOURCE = 256

type EntryParts = {
  settings: GatewaySettings
  observer: Observer
  clock: GatewayClock
  coreOf: () => Promise<Core>
  /** Counts the requests of each source whose signature did not verify. */
  failures: Buckets
  pipeline: Pipeline
}

/** Lets requests in. */
export type Entry = {
  /** Answers a request. Rejects only with a fault of the core. */
  route(inbound: Inbound, exchange: number): Promise<Outbound>
  /** Lets a WebSocket upgrade in, where `check` returns no reason against it. */
  upgrade(
    inbound: Inbound,
    exchange: number,
    check: (inbound: Inbound) => { status: number; code: string } | undefined
  ): { status: number; leave(): void }
  passingFor(inbound: Inbound): Passing
  /** Tells whether a target is the endpoint, or one of the enrolment. */
  isInternal(inbound: Pick<Inbound, 'target'>): boolean
  /** The number of sources whose rate is being counted. */
  readonly sources: number
  /** The number of requests that have not reached a handler. */
  readonly places: number
}

function createSourceFinder({ identify }: GatewaySettings): (inbound: Inbound) => string {
  return (inbound) => {
    const { remoteAddress, target } = inbound
    try {
      if (identify) return String(identify(inbound, { remoteAddress, rawTarget: target })).slice(0, MAX_SOURCE)
    } catch {
      // A request that `identify` cannot name counts by its address.
    }
    return sourceOf(remoteAddress)
  }
}

// A request of the enrolment takes turns like the others, and none while it waits for its sender.
async function enroll(mounted: Mounted, inbound: Inbound, place: Place): Promise<Outbound> {
  await place.turn()
  const read = async () => {
    place.pause()
    const piece = await inbound.read()
    await place.turn()
    return piece
  }
  return mounted.exchange({ ...inbound, read }, place.source)
}

/** Returns the entry of one gateway. */
export function createEntry({ settings, observer, clock, coreOf, failures, pipeline }: EntryParts): Entry {
  const { enrollment, endpoint, phase, limits } = settings
  const sourceFor = createSourceFinder(settings)
  const bySource = createBuckets(settings.rates.perSource)
  const turns = createTurns({
    total: limits.inFlight,
    inFlight: limits.sourceInFlight,
    waiting: limits.sourceWaiting
  })

  const isInternal = ({ target }: Pick<Inbound, 'target'>): boolean =>
    enrollment?.owns(target) === true || pathOf(target) === endpoint
  const passingFor = (inbound: Inbound): Passing => createPassing(phase, inbound, isInternal(inbound), observer.metrics)

  return {
    async route(inbound, exchange) {
      const source = sourceFor(inbound)
      const passing = passingFor(inbound)
      const refuse = (status: number, code: string, headers: Record<string, string> = {}): Outbound => {
        const passOn = passing(undefined, code)
        if (!passOn || passOn.phase === 'warn')
          reportRefusal(observer, { exchange, code, status, signed: false, source, passed: passOn ? true : undefined })
        return { ...plainAnswer(status, headers), ...(passOn ? { passOn } : {}) }
      }
      const refuseFor = (waitMs: number, code: string): Outbound =>
        refuse(429, code, { 'retry-after': String(Math.ceil(waitMs / 1000)) })
      const nowMs = clock.now()
      const wait = bySource.take(source, nowMs)
      if (wait > 0) return refuseFor(wait, 'source_rate')
      if (inbound.isAmbiguous) return refuse(400, 'duplicate_header')
      const mounted = enrollment?.owns(inbound.target) ? enrollment : undefined
      const binding = mounted ?? bindingOf(inbound, settings)
      if (typeof binding === 'object' && 'status' in binding) {
        const isUnsigned = phase !== 'enforce' && inbound.header('countersign') === null
        return refuse(binding.status, isUnsigned ? 'unsigned' : binding.code)
      }
      const failureWait = mounted ? 0 : failures.wait(source, nowMs)
      if (failureWait > 0) return refuseFor(failureWait, 'source_failures')
      const place = turns.enter(source)
      if (!place) return refuseFor(RETRY_AFTER_MS, 'source_busy')
      try {
        if (typeof binding !== 'string') return await enroll(binding, inbound, place)
        return await pipeline(await coreOf(), inbound, createTrace(observer, exchange, binding, source, passing), place)
      } finally {
        place.leave()
      }
    },
    upgrade(inbound, exchange, check) {
      const source = sourceFor(inbound)
      const refuse = (status: number, code: string) => {
        reportRefusal(observer, { exchange, code, status, signed: false, source })
        return { status, leave() {} }
      }
      if (bySource.take(source, clock.now()) > 0) return refuse(429, 'source_rate')
      const refusal = check(inbound)
      if (refusal) return refuse(refusal.status, refusal.code)
      const place = turns.enter(source)
      return place ? { status: 101, leave: place.leave } : refuse(429, 'source_busy')
    },
    passingFor,
    isInternal,
    get sources() {
      return bySource.size
    },
    get places() {
      return turns.size
    }
  }
}
