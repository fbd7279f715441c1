// SPDX-License-Identifier: MIT
// What the fuzz targets share: the check that ends a run, a key pair to sign with, and numbers and
// texts taken from an input.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "countersign/ed25519.hpp"
#include "countersign/protocol.hpp"
#include "countersign/sha256.hpp"
#include "key_pair.hpp"

namespace fuzz {

namespace cs = countersign;

using SignatureBytes = std::array<std::uint8_t, cs::signature_size>;

/// check ends the run where something that always has to hold does not.
inline void check(bool holds) {
  if (!holds) __builtin_trap();
}

/// Signer is a key pair that everybody may know: it signs what the fuzzers made.
class Signer {
 public:
  explicit Signer(std::uint8_t number) : pair_(Seed{number}) {}

  cs::Ed25519KeyView public_key() const { return pair_.public_key; }
  SignatureBytes sign(cs::ByteView message) const { return pair_.sign(message); }

 private:
  using Seed = std::array<std::uint8_t, cs::ed25519_key_size>;

  test::KeyPair pair_;
};

/// signer is the key pair that the targets trust.
inline const Signer& signer() {
  static const Signer key(7);
  return key;
}

/// Choices takes what a target needs from the front of an input; an input at its end gives zeros.
class Choices {
 public:
  explicit Choices(cs::ByteView input) : rest_(input) {}

  bool is_done() const { return rest_.empty(); }
  cs::ByteView rest() const { return rest_; }

  cs::ByteView bytes(std::size_t size) {
    const cs::ByteView taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  /// number takes `size` bytes, the highest first.
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(size)) value = value << 8 | byte;
    return value;
  }
  /// text takes a byte of length and as many bytes, which need not be text.
  std::string text() { return std::string(cs::text_of(bytes(number(1)))); }

 private:
  cs::ByteView rest_;
};

}  // namespace fuzz
