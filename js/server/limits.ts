// SPDX-License-Identifier: MIT
// What one sender may use of a gateway: the rates and the limits of its options.

/** Requests per second. A number is also the size of a burst, at least 1; the object form sets both. */
export type Rate = number | { perSecond: number; burst: number }

/**
 * The rates that a gateway enforces. Each process counts for itself: behind a balancer, a session gets up to the rate
 * times the number of processes.
 */
export type Rates = {
  /** Rate per source (see `identify`), before any other check. The refusal is a plain 429. Default: 2000. */
  perSource?: Rate
  /**
   * Rate per source of requests whose session is unknown or whose signature does not verify. Above it the source gets
   * plain 429 before any cryptography, for a moment. Default: 600.
   */
  perSourceFailures?: Rate
  /**
   * Rate per session, after the signature and the hash. The refusal is a signed `cs.rate_limited`. An answer to
   * `cs.poll` counts as a request for each event, or for each 8 KiB of them. Default: 2000.
   */
  perSession?: Rate
  /** Rate per user, over all sessions. Default: none. */
  perUser?: Rate
  /** Rate per user and message type (`demo.echo`) or route (`POST /api/echo`). Default: none. */
  perType?: { readonly [route: string]: Rate }
}

/** The limits of a gateway. Sizes are in bytes, times in milliseconds. */
export type Limits = {
  /** The largest payload. Default: 8388608 bytes (8 MiB). */
  payloadBytes?: number
  /**
   * The largest payload in the `json` binding, which is read before it is verified; at most `payloadBytes`. Default:
   * 1048576 bytes (1 MiB), or `payloadBytes` where that is less.
   */
  jsonPayloadBytes?: number
  /** The time for an envelope in a body, and for a whole `json` body, to arrive. Default: 10000 ms. */
  envelopeMs?: number
  /** The time for a whole body to arrive. Default: 60000 ms. */
  bodyMs?: number
  /** The longest time between two pieces of a body. Default: 10000 ms. */
  idleMs?: number
  /**
   * The most bytes of all bodies in memory. Beyond it requests get `cs.unavailable`. Bodies whose signature is not
   * verified yet fill half of it at most. Default: 268435456 bytes (256 MiB).
   */
  bufferedBytes?: number
  /**
   * The most bytes of bodies in memory that one source sends. Half of it is open to bodies whose signature is not
   * verified yet. Beyond it requests get `cs.rate_limited`, or a plain 429. Default: a quarter of `bufferedBytes`, and
   * one body at least.
   */
  sourceBufferedBytes?: number
  /**
   * The most bytes of bodies in memory that one session sends. Beyond it requests get `cs.rate_limited`. Default: a
   * sixteenth of `bufferedBytes`, and one body at least.
   */
  sessionBufferedBytes?: number
  /** The most requests of all sources that are being checked at a time. Sources take turns. Default: 128. */
  inFlight?: number
  /**
   * The most requests of one source that are being checked at a time. A request that waits for its own bytes does not
   * count, nor does one that has reached its handler: a poll or a stream, for example. Default: 64.
   */
  sourceInFlight?: number
  /**
   * The most requests of one source beyond those. They wait for their turn, or for their own bytes. So do WebSocket
   * connections that have not subscribed yet. Beyond it the source gets a plain 429. Default: 256.
   */
  sourceWaiting?: number
  /** The most open streams of one session. Default: 16. */
  sessionStreams?: number
  /** The most open streams of all sessions. Default: 10000. */
  streams?: number
  /** The silence after which a stream sends `cs.time`; at most 10000 ms. Default: 10000 ms. */
  heartbeatMs?: number
  /** How long a stream lives; its client opens the next one before. Default: 900000 ms (15 minutes). */
  streamMs?: number
  /** How long a stream's reader may take nothing before its connection is cut. Default: 30000 ms. */
  stalledMs?: number
  /**
   * The time for a store or the signer to answer; at most 1000 ms, because a reservation is void then. Default: 1000
   * ms.
   */
  storeMs?: number
}
