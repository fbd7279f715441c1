// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104).
//
// Our own compression function: in WebAssembly it is faster than libsodium's portable one, and every
// request hashes its payload and its signing input with it.
#pragma once

#include <array>

#include "countersign/bytes.hpp"

namespace countersign {

using Hash = std::array<std::uint8_t, hash_size>;

/// sha256 hashes message; it cannot fail.
Hash sha256(ByteView message);

/// Sha256 hashes a message that arrives in pieces; update and finish cannot fail.
class Sha256 {
 public:
  Sha256();
  Sha256& update(ByteView piece);
  /// finish gives the hash of all pieces and starts over with the empty message.
  Hash finish();

 private:
  std::array<std::uint32_t, 8> state_;
  std::uint64_t size_;
  /// The beginning of a block whose end has not arrived: size_ % 64 bytes.
  std::array<std::uint8_t, 64> begun_;
};

/// hmac_sha256 makes the 32-byte tag of message under a key of any length; it cannot fail.
Hash hmac_sha256(ByteView key, ByteView message);

/// verify_hmac_sha256 says, in constant time, whether tag is the tag; a tag that is not exactly 32
/// bytes is not.
[[nodiscard]] bool verify_hmac_sha256(ByteView key, ByteView message, ByteView tag);

/// DigestText is the first 22 base64url characters of a hash: T of a request id, and event ids
/// (section 2).
using DigestText = std::array<char, digest_text_size>;
DigestText digest_text(HashView hash);

}  // namespace countersign
