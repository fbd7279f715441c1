// SPDX-License-Identifier: MIT
// Numbers and names of the protocol that several folders need. The C++ core has its own copies in protocol.hpp.

/** The maximum length of an envelope, in bytes (R30). */
export const MAX_ENVELOPE = 1024

/** The content type of a frame. */
export const FRAME_TYPE = 'application/vnd.countersign.v1'

/** The content type of server-sent events. */
export const EVENT_STREAM_TYPE = 'text/event-stream'

/** The content type of JSON. */
export const JSON_TYPE = 'application/json'

/** 1 MiB, in bytes. */
export const MIB = 1_048_576

/** A minute, in milliseconds. */
export const MINUTE_MS = 60_000

/** An hour, in milliseconds. */
export const HOUR_MS = 3_600_000

/** A day, in milliseconds. */
export const DAY_MS = 86_400_000

/** The version of the protocol. */
export const PROTOCOL_VERSION = 'v1'

/** The WebSocket subprotocol of event streams. */
export const STREAM_PROTOCOL = 'countersign.v1'

/** The path at which a gateway says whether it allows the origin of a page. */
export const CORS_CHECK_PATH = '/.well-known/countersign-cors'
