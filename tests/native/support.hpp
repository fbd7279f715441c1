// SPDX-License-Identifier: MIT
// What the tests share: hexadecimal, a seeded generator, numbers, and a key that signs.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/frame.hpp"
#include "countersign/sha256.hpp"
#include "key_pair.hpp"

namespace test {

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();
/// A time that a server has, as the clocks take it.
inline constexpr double server_ms = 1'775'121'600'000;

using Bytes = std::vector<std::uint8_t>;

inline Bytes unhex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<std::uint8_t>(digit(text[at]) << 4 | digit(text[at + 1])));
  }
  return bytes;
}

inline std::string hex(countersign::ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

inline Bytes copy(countersign::ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

template <std::size_t Size>
std::array<std::uint8_t, Size> fixed(const Bytes& bytes) {
  std::array<std::uint8_t, Size> out{};
  for (std::size_t at = 0; at < Size; ++at) out[at] = bytes.at(at);
  return out;
}

/// Random is splitmix64: the same numbers everywhere for one seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// A number from 0 to bound - 1.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  /// The same as a size.
  std::size_t index(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  /// A number from low to high.
  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53;
  }
  Bytes bytes(std::size_t size) {
    Bytes out(size);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(next());
    return out;
  }
  /// A text field: 1 to 128 bytes, of all widths of UTF-8.
  std::string text() {
    const std::size_t size = 1 + index(below(4) == 0 ? 128 : 12);
    std::string out;
    while (out.size() < size) {
      static constexpr std::string_view pieces[] = {"a", "Z", "~", ".", " ", "é", "日", "😀"};
      const std::string_view piece = pieces[index(8)];
      if (out.size() + piece.size() <= size) out += piece;
    }
    return out;
  }
  std::string label() {
    std::string out(1, static_cast<char>('a' + below(26)));
    for (std::size_t more = index(32); more > 0; --more) {
      out += "abcxyz0189.-"[index(12)];
    }
    return out;
  }
  std::uint64_t time() {
    return below(3) == 0 ? countersign::max_time_ms - below(9) : next() >> 11;
  }

 private:
  std::uint64_t state_;
};

inline std::array<std::uint8_t, 32> seed_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> seed{};
  seed.fill(byte);
  return seed;
}

/// Signer is an Ed25519 key pair, the same for one seed.
struct Signer : KeyPair {
  explicit Signer(std::uint8_t seed) : KeyPair(seed_of(seed)) {}

  Bytes frame(countersign::ByteView signing_input, std::string_view key_id = {},
              countersign::ByteView payload = {}) const {
    Bytes buffer(countersign::max_envelope_size + payload.size());
    const auto signature = sign(signing_input);
    return copy(*countersign::write_frame({.signing_input = signing_input,
                                           .key_id = key_id,
                                           .signature = signature,
                                           .payload = payload},
                                          buffer));
  }
};

/// The time that tests take for the server's, and the key pair that they take for it.
inline constexpr std::uint64_t now_ms = 1'775'121'600'000;
inline const Signer server(9);

/// The order of the base point, little-endian: adding it to S makes a second spelling of a
/// signature.
inline constexpr std::array<std::uint8_t, 32> group_order = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

inline std::array<std::uint8_t, 64> add_order(std::array<std::uint8_t, 64> signature) {
  unsigned carry = 0;
  for (std::size_t at = 0; at < 32; ++at) {
    carry += signature[32 + at] + group_order[at];
    signature[32 + at] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  return signature;
}

}  // namespace test
