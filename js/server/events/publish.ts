// SPDX-License-Identifier: MIT
// Publishes events: checks an event, then numbers it for each session of its target.

import { CountersignError } from '../../common/errors.ts'
import { encodeJson, encodeText } from '../../common/text.ts'
import { badArgument, copyOf } from '../../core/args.ts'
import { isHeaderType, isReservedName } from '../exchange/routes.ts'
import { within } from '../support/deadline.ts'
import { isText } from '../support/encoding.ts'
import type { Metrics } from '../support/metrics.ts'
import type { EventStore, Gateway, RotatedEvent, SessionStore } from '../types.ts'

/** The most bytes of an event. A client that needs more asks for it with a request. */
const MAX_EVENT_BYTES = 64 * 1024

type PublishParts = {
  sessions: SessionStore
  events: EventStore | undefined
  metrics: Metrics
  storeMs: number
  isClosed: () => boolean
  /** Returns the user of an address. Absent without an enrolment. */
  userIdOf: ((email: string) => string) | undefined
}

function checkType(type: unknown): string {
  if (!isText(type)) throw badArgument('publish: type', 'ERR_INVALID_TEXT')
  if (isReservedName(type) || isHeaderType(type)) throw badArgument('publish: type', 'ERR_RESERVED_TYPE')
  return type
}

function checkPayload(payload: unknown): Uint8Array {
  const bytes = typeof payload === 'string' ? encodeText(payload) : copyOf(payload as never, 'payload')
  if (bytes.length > MAX_EVENT_BYTES)
    throw badArgument(`publish: the payload has more than ${MAX_EVENT_BYTES} bytes`, 'ERR_PAYLOAD_TOO_LARGE')
  return bytes
}

type Receiver = { sessionId: string } | { userId: string }

function readTarget(target: unknown, userIdOf: PublishParts['userIdOf']): Receiver {
  const given = typeof target === 'string' ? { sessionId: target } : target
  const { sessionId, userId, email } = (given ?? {}) as { [name: string]: unknown }
  const [one, ...others] = [sessionId, userId, email].filter((value) => value !== undefined)
  if (typeof one !== 'string' || others.length > 0)
    throw badArgument('publish: pass one of sessionId, userId and email')
  if (sessionId !== undefined) return { sessionId: one }
  if (userId !== undefined) return { userId: one }
  if (!userIdOf) throw badArgument('publish: email needs the option enrollment of createGateway')
  return { userId: userIdOf(one) }
}

/** Creates a gateway's `publish`. */
export function createPublish(parts: PublishParts): Gateway['publish'] {
  const { sessions, events, metrics, storeMs, isClosed, userIdOf } = parts
  const idsOf = async (receiver: Receiver): Promise<string[]> => {
    const found = await within(storeMs, 'the session store', async () =>
      'userId' in receiver ? sessions.listByUser(receiver.userId) : [await sessions.get(receiver.sessionId)]
    )
    return found.flatMap((session) => (session?.status === 'active' ? session.id : []))
  }

  const append = async (store: EventStore, id: string, type: string, payload: Uint8Array): Promise<void> => {
    await within(storeMs, 'the event store', () => store.append(id, { type, payload }))
    metrics.count('countersign_events_published_total', {})
  }

  return async (target, type, payload = '') => {
    if (!events) throw badArgument('publish: pass the option events to createGateway')
    const event = [checkType(type), checkPayload(payload)] as const
    const receiver = readTarget(target, userIdOf)
    if (isClosed()) throw new CountersignError('ERR_CLOSED')
    const ids = await idsOf(receiver).catch((cause) => {
      throw new CountersignError('ERR_STORAGE_FAILED', { detail: 'publish: the session store failed', cause })
    })
    const outcomes = await Promise.allSettled(ids.map((id) => append(events, id, ...event)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failed) return ids.length
    const count = outcomes.filter(({ status }) => status === 'fulfilled').length
    metrics.count('countersign_fail_closed_total', { reason: 'events' })
    throw new CountersignError('ERR_STORAGE_FAILED', {
      detail: `publish: stored for ${count} of ${ids.length} sessions`,
      cause: failed.reason
    })
  }
}

type TellParts = { sessions: SessionStore; events: EventStore; metrics: Metrics; storeMs: number }

/**
 * Returns the function that tells the other active sessions of a user about a new key, by `cs.key_replaced` (R122). The
 * key is replaced already, so a store that fails changes nothing and is counted.
 */
export function createTellRotated({ sessions, events, metrics, storeMs }: TellParts) {
  return async ({ session, userId, thumbprint }: RotatedEvent): Promise<void> => {
    const payload = encodeJson({ device_session_id: session.id, thumbprint })
    try {
      const found = await within(storeMs, 'the session store', () => sessions.listByUser(userId))
      const others = found.filter(({ id, status }) => id !== session.id && status === 'active')
      await within(storeMs, 'the event store', () =>
        Promise.all(others.map(({ id }) => events.append(id, { type: 'cs.key_replaced', payload })))
      )
    } catch {
      metrics.count('countersign_fail_closed_total', { reason: 'events' })
    }
  }
}
