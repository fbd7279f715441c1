// SPDX-License-Identifier: MIT
// Events: their signing input, the id that binds one to its stream, and the client's checks in
// their one order (section 10): parse · signature · session · stream · payload hash · freshness ·
// sequence.
#pragma once

#include "countersign/event_place.hpp"
#include "countersign/response.hpp"

namespace countersign {

/// EventFields is what a server signs for an event of a stream (section 2); read from bytes, views
/// into them.
struct EventFields {
  std::string_view label;
  std::string_view protocol_version = countersign::protocol_version;
  std::string_view device_session_id;
  std::string_view event_type;
  /// 0 to 2^53-1.
  std::uint64_t sequence;
  std::uint64_t timestamp_ms;
  std::string_view event_id;
  HashView payload_hash;
};

/// write_event puts the signing input into buffer; fails with invalid_label, invalid_text,
/// invalid_time or buffer_too_small. max_signing_input_size is always enough.
Result<ByteView> write_event(const EventFields& fields, Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// parse_event reads a signing input to its last byte; any protocol version is read. Fails with
/// wrong_domain, truncated, trailing_bytes, bad_length, bad_text, bad_timestamp or bad_field_size.
Result<EventFields> parse_event(ByteView signing_input COUNTERSIGN_LIFETIMEBOUND);

/// event_id is the first 22 base64url characters of SHA-256(field(stream) · u64(sequence) ·
/// field(event_type)), so that an event belongs to one place of one stream (section 2); fails with
/// invalid_text or invalid_time.
Result<DigestText> event_id(std::string_view stream, std::uint64_t sequence,
                            std::string_view event_type);

/// EventRules is what an event has to meet; without a place its sequence is not checked,
/// without a window its age is not.
struct EventRules {
  std::string_view label;
  ServerTrust trust;
  std::string_view device_session_id;
  /// The stream that the verified answer to the subscription named.
  std::string_view stream;
  std::optional<EventPlace> place = std::nullopt;
  std::optional<Window> window = std::nullopt;
};

/// OpenedEvent is an event that passed every check; views into the frame.
struct OpenedEvent {
  std::string_view event_type;
  std::uint64_t sequence;
  std::uint64_t timestamp_ms;
  std::string_view event_id;
  ByteView payload;
};

/// open_event makes all checks of a frame in their order; fails with the error of the first that
/// refuses: those of parse_frame, parse_event and check_server_signature, then wrong_session,
/// wrong_stream, payload_mismatch, stale, bad_sequence.
Result<OpenedEvent> open_event(ByteView frame COUNTERSIGN_LIFETIMEBOUND, const EventRules& rules);

/// open_event_envelope is open_event for an envelope whose payload was hashed apart; its own
/// payload is empty. Fails as open_event does, and with trailing_bytes.
Result<OpenedEvent> open_event_envelope(ByteView envelope COUNTERSIGN_LIFETIMEBOUND,
                                        HashView payload_hash, const EventRules& rules);

}  // namespace countersign
