// SPDX-License-Identifier: MIT
// Responses: their signing input, and the client's checks in their one order (section 6): parse ·
// signature · request id · payload hash · freshness.
#pragma once

#include "countersign/ed25519.hpp"
#include "countersign/request.hpp"

namespace countersign {

/// ResponseFields is what a server signs (section 2); read from bytes, text and hash are views into
/// them.
struct ResponseFields {
  std::string_view label;
  std::string_view protocol_version = countersign::protocol_version;
  std::string_view request_id;
  std::uint64_t timestamp_ms;
  std::string_view result_code;
  HashView payload_hash;
};

/// write_response puts the signing input into buffer; fails with invalid_label, invalid_text,
/// invalid_time or buffer_too_small. max_signing_input_size is always enough.
Result<ByteView> write_response(const ResponseFields& fields,
                                Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// parse_response reads a signing input to its last byte; any protocol version is read. Fails with
/// wrong_domain, truncated, trailing_bytes, bad_length, bad_text, bad_timestamp or bad_field_size.
Result<ResponseFields> parse_response(ByteView signing_input COUNTERSIGN_LIFETIMEBOUND);

/// ServerKey is a key the application trusts, and when; both ends are inclusive (section 3).
struct ServerKey {
  std::string_view id;
  TrustedKey key;
  std::uint64_t not_before_ms = 0;
  /// Absent where the key never ends.
  std::optional<std::uint64_t> not_after_ms = std::nullopt;
};

/// ServerTrust is the keys that may sign for the server. A key that ended before time_floor_ms
/// verifies nothing. With any_key every key is tried, as the JSON binding needs, whose answers name
/// none.
struct ServerTrust {
  std::span<const ServerKey> keys;
  std::uint64_t time_floor_ms = 0;
  bool any_key = false;
};

/// check_server_signature is the stage `signature` of a frame dated timestamp_ms: the key is known,
/// it made the signature, and it was valid then; fails with unknown_key, bad_signature or
/// key_not_valid.
Status check_server_signature(const Frame& frame, std::uint64_t timestamp_ms,
                              const ServerTrust& trust);

/// ResponseRules is what an answer has to meet; without a window its age is not checked, since an
/// answer to a request id of our own making is fresh by that (section 6).
struct ResponseRules {
  std::string_view label;
  ServerTrust trust;
  std::string_view request_id;
  std::optional<Window> window = std::nullopt;
};

/// OpenedResponse is an answer that passed every check; views into the frame.
struct OpenedResponse {
  std::string_view result_code;
  std::uint64_t timestamp_ms;
  ByteView payload;
};

/// open_response makes all checks of a frame in their order; fails with the error of the first that
/// refuses.
Result<OpenedResponse> open_response(ByteView frame COUNTERSIGN_LIFETIMEBOUND,
                                     const ResponseRules& rules);

/// open_envelope is open_response for an envelope whose payload travelled, and was hashed, apart;
/// its own payload is empty. Fails as open_response does, and with trailing_bytes.
Result<OpenedResponse> open_envelope(ByteView envelope COUNTERSIGN_LIFETIMEBOUND,
                                     HashView payload_hash, const ResponseRules& rules);

}  // namespace countersign
