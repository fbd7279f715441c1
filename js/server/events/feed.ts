// SPDX-License-Identifier: MIT
// One stream: the frames of a session's events in order. The feed signs the next frame when the carrier asks for it,
// so at most one page of the store waits for a slow reader.

import type { Schedule } from '../../common/platform.ts'
import { encodeJson } from '../../common/text.ts'
import { createBell, type Listen } from '../support/deadline.ts'
import type { EventPage, StoredEvent } from '../types.ts'
import { isBehind, writePosition } from './subscribe-payload.ts'

/** Why a stream ended. The client hears only of `revoked`; the other reasons look like a lost connection. */
export type EndReason = 'revoked' | 'left' | 'done' | 'closed' | 'slow' | 'lost' | 'store' | 'signer' | 'expired'

export type FeedParts = {
  stream: string
  /** The number after which events follow. */
  last: number
  /** Whether a `cs.gap` comes first in any case, because the subscriber knows another stream. */
  isOther: boolean
  /** Reads the store. Rejects when it does not answer in time. */
  read(after: number, limit: number): Promise<EventPage>
  sign(event: StoredEvent): Promise<Uint8Array>
  schedule: Schedule
  heartbeatMs: number
  /** Whether the stream ends when it has sent something and nothing more is there. It sends at least one `cs.time`. */
  isOnce?: boolean
  /** How long the stream lives, in milliseconds. Its client has opened another one by then (R105). */
  lifeMs: number
  /** The longest that a reader may take no frame, in milliseconds. */
  stalledMs: number
  onSent(type: string): void
  onEnd(reason: EndReason): void
}

/** The frames of one stream. */
export type Feed = {
  /**
   * Resolves to the next frame, or to null at the end. It is called when the last frame is on its way. Never rejects.
   */
  next(): Promise<Uint8Array | null>
  /** Makes the feed look for new events. */
  wake(): void
  /** Ends the stream, after a `cs.revoked` when that is the reason. It ends soon, even if the reader takes no frame. */
  end(reason: EndReason): void
  readonly reason: EndReason | undefined
  /** Rings when the carrier must let go of all that it still holds. */
  onOver: Listen
}

/** Events of one read. The payloads are bounded, so a reader that takes none holds half a MiB at most. */
const PAGE_EVENTS = 8
/** The time in which the reader of an ended stream may still read it to its end. */
const GRACE_MS = 500

/** A frame on its way, and the number that its reader has reached with it. */
type FeedFrame = { frame: Uint8Array; kind: string; last: number }

const EMPTY_OBJECT = encodeJson({})

/** Creates the feed of one subscriber. */
export function createFeed(parts: FeedParts): Feed {
  const { stream, read, sign, schedule, isOnce = false, onSent, onEnd } = parts
  const over = createBell()
  const timers = createFeedTimers(parts, { onStalled: () => end('slow'), onSilent: () => resume?.() })
  let { last, isOther } = parts
  let queue: StoredEvent[] = []
  let isFresh = false
  let hasSent = false
  let hasParted = false
  let ending: EndReason | undefined
  let resume: (() => void) | undefined

  const end = (reason: EndReason): void => {
    if (ending) return
    ending = reason
    queue = []
    timers.stop()
    cancelLife()
    onEnd(reason)
    resume?.()
    if (reason === 'left' || reason === 'slow' || reason === 'done') over.ring()
    else schedule(over.ring, GRACE_MS)
  }

  const signUnnumbered = async (type: string, payload: Uint8Array): Promise<FeedFrame> => ({
    frame: await sign({ type, sequence: last, payload }),
    kind: type,
    last
  })

  const signNumbered = async (event: StoredEvent): Promise<FeedFrame> => ({
    frame: await sign(event),
    kind: 'numbered',
    last: event.sequence
  })

  const signGap = async (page: EventPage): Promise<FeedFrame> => {
    isOther = false
    return { ...(await signUnnumbered('cs.gap', writePosition(page))), last: page.oldest - 1 }
  }

  // Resolves when the feed is woken, ended, or a heartbeat is due.
  const untilResumed = (): Promise<void> =>
    new Promise((resolve) => {
      resume = () => {
        resume = undefined
        resolve()
      }
    })

  // Reads the store once. Resolves to a frame, or to undefined when it must be read again.
  const readStore = async (): Promise<FeedFrame | undefined> => {
    isFresh = true
    let page: EventPage
    try {
      page = await read(last, PAGE_EVENTS)
    } catch {
      end('store')
      return undefined
    }
    // The numbers belong to another stream now, which only a new subscription can follow.
    if (page.stream !== stream) end('lost')
    else if (isOther || isBehind(page, last)) return signGap(page)
    else if (page.events.length > 0) queue = page.events
    else if (isOnce && hasSent) end('done')
    else if (isFresh && timers.isSilent) return signUnnumbered('cs.time', EMPTY_OBJECT)
    else if (isFresh && !ending) await untilResumed()
    return undefined
  }

  const takeLastFrame = async (): Promise<FeedFrame | null> => {
    if (hasParted || ending !== 'revoked') return null
    hasParted = true
    return signUnnumbered('cs.revoked', EMPTY_OBJECT)
  }

  const takeFrame = async (): Promise<FeedFrame | null> => {
    for (;;) {
      if (ending) return takeLastFrame()
      const event = queue.shift()
      const taken = event ? await signNumbered(event) : await readStore()
      // A frame that was signed for a stream that has ended meanwhile is not sent.
      if (taken && !ending) return taken
    }
  }

  // Whoever had a subscription signed for a stream elsewhere has it for so long, and not as long as the session lives.
  const cancelLife = schedule(() => end('expired'), parts.lifeMs)
  // Starts now, because a carrier that never asks is a reader that takes no frame.
  timers.start()
  return {
    async next() {
      timers.pauseStall()
      const taken = await takeFrame().catch(() => {
        end('signer')
        return null
      })
      if (!taken) return null
      last = taken.last
      hasSent = true
      onSent(taken.kind)
      if (isOnce && taken.kind === 'cs.time') end('done')
      if (!ending) timers.start()
      return taken.frame
    },
    wake() {
      isFresh = false
      resume?.()
    },
    end,
    get reason() {
      return ending
    },
    onOver: over.listen
  }
}

// Measures how long the reader takes no frame, and how long the stream is silent.
function createFeedTimers(
  { schedule, stalledMs, heartbeatMs }: FeedParts,
  { onStalled, onSilent }: { onStalled: () => void; onSilent: () => void }
) {
  let isSilent = false
  let cancelStall: (() => void) | undefined
  let cancelHeartbeat: (() => void) | undefined
  return {
    start(): void {
      cancelStall = schedule(onStalled, stalledMs)
      cancelHeartbeat?.()
      isSilent = false
      cancelHeartbeat = schedule(() => {
        isSilent = true
        onSilent()
      }, heartbeatMs)
    },
    pauseStall(): void {
      cancelStall?.()
    },
    stop(): void {
      cancelStall?.()
      cancelHeartbeat?.()
    },
    get isSilent() {
      return isSilent
    }
  }
}
