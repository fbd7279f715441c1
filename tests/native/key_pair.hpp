// SPDX-License-Identifier: MIT
// An Ed25519 key pair that tests sign with. The library verifies alone; libsodium's signing lies
// beside what verifies.
#pragma once

#include <algorithm>
#include <array>

#include "countersign/protocol.hpp"
#include "sodium/crypto_sign_ed25519.h"

#define CONFIGURED 1
extern "C" {
#include "sodium/private/ed25519_ref10.h"
}

namespace test {

/// KeyPair is that of a seed of 32 bytes (RFC 8032).
struct KeyPair {
  std::array<std::uint8_t, countersign::ed25519_key_size> public_key{};
  std::array<std::uint8_t, 64> secret_key{};

  // crypto_sign_ed25519_seed_keypair does the same; its file would bring libsodium's randomness.
  explicit KeyPair(countersign::Ed25519KeyView seed) {
    std::array<std::uint8_t, 64> scalar{};
    crypto_hash_sha512(scalar.data(), seed.data(), seed.size());
    scalar[0] &= 0xf8;
    scalar[31] = static_cast<std::uint8_t>((scalar[31] & 0x7f) | 0x40);
    ge25519_p3 point;
    ge25519_scalarmult_base(&point, scalar.data());
    ge25519_p3_tobytes(public_key.data(), &point);
    std::copy(public_key.begin(), public_key.end(),
              std::copy(seed.begin(), seed.end(), secret_key.begin()));
  }

  std::array<std::uint8_t, countersign::signature_size> sign(countersign::ByteView message) const {
    std::array<std::uint8_t, countersign::signature_size> signature{};
    crypto_sign_ed25519_detached(signature.data(), nullptr, message.data(), message.size(),
                                 secret_key.data());
    return signature;
  }
};

}  // namespace test
