// SPDX-License-Identifier: MIT
// The two proofs of possession: what a new key signs when it enrols, and when it takes another's
// place (section 2).
#pragma once

#include "countersign/bytes.hpp"

namespace countersign {

/// EnrollFields is what a new key signs at enrolment; read from bytes, views into them.
struct EnrollFields {
  std::string_view label;
  std::string_view challenge_id;
  Algorithm algorithm;
  /// 32 bytes, or the 65 of an uncompressed point; its acceptability is checked apart.
  ByteView public_key;
  std::string_view email;
};

/// write_enroll puts the signing input into buffer; fails with invalid_label, invalid_text,
/// bad_public_key for a wrong size, or buffer_too_small. max_signing_input_size is always enough.
Result<ByteView> write_enroll(const EnrollFields& fields, Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// parse_enroll reads a signing input to its last byte; fails with wrong_domain, truncated,
/// trailing_bytes, bad_length, bad_text, bad_algorithm or bad_field_size.
Result<EnrollFields> parse_enroll(ByteView signing_input COUNTERSIGN_LIFETIMEBOUND);

/// RotateFields is what a new key signs to replace a session's key; request_id is the head of the
/// request's id.
struct RotateFields {
  std::string_view label;
  std::string_view device_session_id;
  std::string_view request_id;
  Algorithm algorithm;
  ByteView public_key;
};

/// write_rotate puts the signing input into buffer; fails as write_enroll does.
Result<ByteView> write_rotate(const RotateFields& fields, Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// parse_rotate reads a signing input to its last byte; fails as parse_enroll does.
Result<RotateFields> parse_rotate(ByteView signing_input COUNTERSIGN_LIFETIMEBOUND);

}  // namespace countersign
