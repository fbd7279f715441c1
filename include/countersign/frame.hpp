// SPDX-License-Identifier: MIT
// Frames (section 4): 0x43 0x53 0x01 · field(signing input) · field(key id) · field(signature) ·
// payload. A frame without its payload is an envelope.
#pragma once

#include "countersign/bytes.hpp"

namespace countersign {

/// Frame is the parts of a frame; read from one, they are views into it.
struct Frame {
  ByteView signing_input;
  /// Empty in requests.
  std::string_view key_id;
  SignatureView signature;
  ByteView payload = {};
};

/// write_frame puts a frame into buffer; fails with invalid_text for the key id, envelope_too_large
/// above 1 KiB without the payload, or buffer_too_small.
Result<ByteView> write_frame(const Frame& frame, Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// parse_frame takes a frame apart without judging its signing input; fails with truncated,
/// bad_length, bad_magic, bad_text, bad_field_size or envelope_too_large.
Result<Frame> parse_frame(ByteView bytes COUNTERSIGN_LIFETIMEBOUND);

/// envelope_size is how many bytes of a parsed frame come before its payload.
std::size_t envelope_size(const Frame& frame);

}  // namespace countersign
