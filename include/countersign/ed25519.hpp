// SPDX-License-Identifier: MIT
// Ed25519 verification. The verdict on every input is that of libsodium 1.0.18's
// crypto_sign_verify_detached: platforms differ on adversarial signatures, so theirs is never asked
// (section 3).
#pragma once

#include <array>

#include "countersign/bytes.hpp"

namespace countersign {

/// verify_ed25519 says whether signature is public_key's over message; a bad key makes it false.
[[nodiscard]] bool verify_ed25519(Ed25519KeyView public_key, ByteView message,
                                  SignatureView signature);

/// is_acceptable_ed25519_key says whether a key may be registered: canonical, on the curve, not of
/// small order (section 3).
[[nodiscard]] bool is_acceptable_ed25519_key(Ed25519KeyView public_key);

/// TrustedKey is a public key that verifies many messages; its verdicts are verify_ed25519's.
class TrustedKey {
 public:
  explicit TrustedKey(Ed25519KeyView public_key);
  [[nodiscard]] bool verify(ByteView message, SignatureView signature) const;

 private:
  std::array<std::uint8_t, ed25519_key_size> public_key_;
};

}  // namespace countersign
