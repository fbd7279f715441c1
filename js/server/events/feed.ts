// SPDX-License-Identifier: MIT
// One stream: the frames of a session's events in their order, made one at a time when the carrier asks for the next. What
// waits for a slow reader is at most one page of the store.

import { createBell, type Listen } from '../support/deadline.ts'
import type { EventPage, StoredEvent } from '../types.ts'
import { isBehind, writePosition } from './subscription.ts'

/** Why a stream ended. Only `revoked` is told to the client; to it, all others are a lost connection. */
export type EndReason = 'revoked' | 'left' | 'done' | 'closed' | 'slow' | 'lost' | 'store' | 'signer'

/** Runs something later; gives the way to cancel that. */
export type Schedule = (run: () => void, afterMs: number) => () => void

export type FeedParts = {
  stream: string
  /** The number after which events follow. */
  last: number
  /** Whether a `cs.gap` comes first in any case: the subscriber knows another stream. */
  isOther: boolean
  /** Reads the store; rejects where it does not answer in time. */
  read(after: number, limit: number): Promise<EventPage>
  sign(event: StoredEvent): Promise<Uint8Array>
  schedule: Schedule
  heartbeatMs: number
  /** Whether it ends by itself once there is nothing more at the moment: after one `cs.time` at least. */
  isOnce?: boolean
  /** How long a reader may take nothing before it is let go. */
  stalledMs: number
  onSent(type: string): void
  onEnd(reason: EndReason): void
}

/** Feed gives a stream's frames. */
export type Feed = {
  /** The next frame, null at the end; asked again only when the last one is on its way. Never rejects. */
  next(): Promise<Uint8Array | null>
  /** There may be new events. */
  wake(): void
  /** Ends it: after a `cs.revoked` where that is the reason, and soon, whether the reader takes that or not. */
  end(reason: EndReason): void
  readonly reason: EndReason | undefined
  /** Rings when the carrier has to let go of whatever it still holds. */
  onOver: Listen
}

/** Events read at once. With the bound on a payload, a reader that takes none holds half a MiB at most. */
export const PAGE_EVENTS = 8
/** What an ended stream may still take to be read to its end. */
const GRACE_MS = 500

/** A frame on its way, and the number its reader has got to with it. */
type Sending = { frame: Uint8Array; kind: string; last: number }

const nothing = Buffer.from('{}')

/** createFeed makes the feed of one subscriber. */
export function createFeed(parts: FeedParts): Feed {
  const { stream, read, sign, schedule, heartbeatMs, isOnce = false, stalledMs, onSent, onEnd } = parts
  const over = createBell()
  let { last, isOther } = parts
  let queue: StoredEvent[] = []
  let isFresh = false
  let hasSent = false
  let hasParted = false
  let ending: EndReason | undefined
  let isSilent = false
  let stir: (() => void) | undefined
  let cancelStall: (() => void) | undefined
  let cancelHeartbeat: (() => void) | undefined

  const end = (reason: EndReason): void => {
    if (ending) return
    ending = reason
    queue = []
    cancelStall?.()
    cancelHeartbeat?.()
    onEnd(reason)
    stir?.()
    if (reason === 'left' || reason === 'slow' || reason === 'done') over.ring()
    else schedule(over.ring, GRACE_MS)
  }

  const armStall = (): void => {
    cancelStall = schedule(() => end('slow'), stalledMs)
  }

  const armHeartbeat = (): void => {
    cancelHeartbeat?.()
    isSilent = false
    cancelHeartbeat = schedule(() => {
      isSilent = true
      stir?.()
    }, heartbeatMs)
  }

  const unnumbered = async (type: string, payload: Uint8Array): Promise<Sending> => ({
    frame: await sign({ type, sequence: last, payload }),
    kind: type,
    last
  })

  /** Resolves when there is something to look at, or a heartbeat is due. */
  const stirred = (): Promise<void> =>
    new Promise((resolve) => {
      stir = () => {
        stir = undefined
        resolve()
      }
    })

  const sayGap = async (page: EventPage): Promise<Sending> => {
    isOther = false
    return { ...(await unnumbered('cs.gap', writePosition(page))), last: page.oldest - 1 }
  }

  /** One look at the store: a frame, or undefined where another look is due. */
  const look = async (): Promise<Sending | undefined> => {
    isFresh = true
    let page: EventPage
    try {
      page = await read(last, PAGE_EVENTS)
    } catch {
      end('store')
      return undefined
    }
    // What the numbers are worth now, only a new subscription can say.
    if (page.stream !== stream) end('lost')
    else if (isOther || isBehind(page, last)) return sayGap(page)
    else if (page.events.length > 0) queue = page.events
    else if (isOnce && hasSent) end('done')
    else if (isFresh && isSilent) return unnumbered('cs.time', nothing)
    else if (isFresh && !ending) await stirred()
    return undefined
  }

  const signQueued = async (event: StoredEvent): Promise<Sending> => ({
    frame: await sign(event),
    kind: 'numbered',
    last: event.sequence
  })

  const conclude = async (): Promise<Sending | null> => {
    if (hasParted || ending !== 'revoked') return null
    hasParted = true
    return unnumbered('cs.revoked', nothing)
  }

  const step = async (): Promise<Sending | null> => {
    for (;;) {
      if (ending) return conclude()
      const event = queue.shift()
      const sending = event ? await signQueued(event) : await look()
      // What was signed for a stream that has ended meanwhile is not sent any more.
      if (sending && !ending) return sending
    }
  }

  // A carrier that never asks is a reader that takes nothing.
  armStall()
  armHeartbeat()
  return {
    async next() {
      cancelStall?.()
      const sending = await step().catch(() => {
        end('signer')
        return null
      })
      if (!sending) return null
      last = sending.last
      hasSent = true
      onSent(sending.kind)
      if (isOnce && sending.kind === 'cs.time') end('done')
      if (ending) return sending.frame
      armStall()
      armHeartbeat()
      return sending.frame
    },
    wake() {
      isFresh = false
      stir?.()
    },
    end,
    get reason() {
      return ending
    },
    onOver: over.listen
  }
}
