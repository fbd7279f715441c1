// SPDX-License-Identifier: MIT
// Requests: their signing input, the id that is bound to it, and the gateway's checks of one
// message by itself. What is judged by its session and its stores is in judge.hpp.
#pragma once

#include "countersign/frame.hpp"
#include "countersign/sha256.hpp"

namespace countersign {

/// RequestFields is what a client signs (section 2); read from bytes, text and hash are views into
/// them.
struct RequestFields {
  std::string_view label;
  std::string_view protocol_version = countersign::protocol_version;
  std::string_view device_session_id;
  std::string_view message_type;
  std::uint64_t timestamp_ms;
  std::string_view request_id;
  HashView payload_hash;
};

/// write_request puts the signing input into buffer; fails with invalid_label, invalid_text,
/// invalid_time or buffer_too_small. max_signing_input_size is always enough.
Result<ByteView> write_request(const RequestFields& fields,
                               Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// parse_request reads a signing input to its last byte; any protocol version is read. Fails with
/// wrong_domain, truncated, trailing_bytes, bad_length, bad_text, bad_timestamp or bad_field_size.
Result<RequestFields> parse_request(ByteView signing_input COUNTERSIGN_LIFETIMEBOUND);

/// RequestId is the parts of `R ["~" idempotency_key] "." T` (section 2).
struct RequestId {
  /// What T was made with and what a rotation signs: all before the dot.
  std::string_view head;
  /// Empty where the caller gave none.
  std::string_view idempotency_key;
  std::string_view binding;
};

/// split_request_id takes an id apart by its form alone; fails with bad_request_id.
Result<RequestId> split_request_id(std::string_view request_id COUNTERSIGN_LIFETIMEBOUND);

/// check_request_id recomputes T, so that an id belongs to one session and one request; fails with
/// bad_request_id.
Result<RequestId> check_request_id(const RequestFields& fields);

/// BegunRequest is ready for the key to sign; both are views into the buffer it was written to.
struct BegunRequest {
  std::string_view request_id;
  ByteView signing_input;
};

/// begin_request makes T from fields whose request_id is the head, and writes the signing input
/// with the whole id; fails as write_request does, and with invalid_argument for a head that is not
/// `R ["~" idempotency_key]`.
Result<BegunRequest> begin_request(const RequestFields& fields,
                                   Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// Window is one reading of the clock and how far a message may lie from it (section 7).
struct Window {
  std::uint64_t now_ms;
  std::uint64_t past_ms = default_past_ms;
  std::uint64_t future_ms = default_future_ms;
};

/// WindowSide says on which side of a window a time lies.
enum class WindowSide : std::uint8_t { inside, past, future };

/// window_side finds the side; both edges, now - past and now + future, are inside (R57). Fails
/// with invalid_time for a time or a window that is not of times.
Result<WindowSide> window_side(std::uint64_t timestamp_ms, const Window& window);

/// check_freshness passes what lies inside the window; fails with stale, or with invalid_time as
/// window_side does.
Status check_freshness(std::uint64_t timestamp_ms, const Window& window);

/// OpenedRequest is a request after `parse`; nothing of it has been verified.
struct OpenedRequest {
  Frame frame;
  RequestFields fields;
  /// Empty where the caller gave none, and always with a compatible label.
  std::string_view idempotency_key;
};

/// RequestRules says whose requests are opened; a compatible label takes any text as id (section
/// 2).
struct RequestRules {
  std::string_view label;
  bool compatible = false;
};

/// open_request is the stage `parse`: the frame, the fields, the label, and that the id is bound;
/// fails with a malformed error of that stage. The version is checked after it, by check_version,
/// since its refusal is signed.
Result<OpenedRequest> open_request(ByteView frame COUNTERSIGN_LIFETIMEBOUND,
                                   const RequestRules& rules);

/// check_version is the stage `version`; fails with unsupported_version.
Status check_version(const RequestFields& fields);

/// check_payload_hash compares the signed hash with that of the payload received; fails with
/// payload_mismatch.
Status check_payload_hash(HashView signed_hash, HashView payload_hash);

/// replay_key is SHA-256(field(label) · field(device_session_id) · field(request_id)), under which
/// a replay store reserves (section 7); fails with invalid_label or invalid_text.
Result<Hash> replay_key(std::string_view label, std::string_view device_session_id,
                        std::string_view request_id);

}  // namespace countersign
