// SPDX-License-Identifier: MIT
// Events: their signing input.
#pragma once

#include "countersign/bytes.hpp"

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
Result<ByteView> write_event(const EventFields& fields, Buffer buffer);

/// parse_event reads a signing input to its last byte; any protocol version is read. Fails with
/// wrong_domain, truncated, trailing_bytes, bad_length, bad_text, bad_timestamp or bad_field_size.
Result<EventFields> parse_event(ByteView signing_input);

}  // namespace countersign
