// SPDX-License-Identifier: MIT
#include "countersign/sha256.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "sodium/crypto_verify_32.h"
#include "stack.hpp"

namespace countersign {

namespace {

constexpr std::size_t block_size = 64;

constexpr std::array<std::uint32_t, 8> initial_state = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

constexpr std::array<std::uint32_t, 64> round_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// Shifts, so that neither the compiler nor WebAssembly minds on which kind of machine it runs.
inline std::uint32_t load_word(const std::uint8_t* from) {
  return static_cast<std::uint32_t>(from[0]) << 24 | static_cast<std::uint32_t>(from[1]) << 16 |
         static_cast<std::uint32_t>(from[2]) << 8 | from[3];
}
inline void store_word(std::uint8_t* to, std::uint32_t word) {
  for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(word >> (24 - 8 * i));
}

inline std::uint32_t big_sigma0(std::uint32_t x) {
  return std::rotr(x, 2) ^ std::rotr(x, 13) ^ std::rotr(x, 22);
}
inline std::uint32_t big_sigma1(std::uint32_t x) {
  return std::rotr(x, 6) ^ std::rotr(x, 11) ^ std::rotr(x, 25);
}
inline std::uint32_t small_sigma0(std::uint32_t x) {
  return std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3;
}
inline std::uint32_t small_sigma1(std::uint32_t x) {
  return std::rotr(x, 17) ^ std::rotr(x, 19) ^ x >> 10;
}

using State = std::array<std::uint32_t, 8>;
using Schedule = std::array<std::uint32_t, 16>;

/// sixteen_rounds takes sixteen words of the schedule, after turning each into the word sixteen
/// later where Extends: at once before its use, which spares the compiler half of the registers.
/// The eight variables stand still and their roles move; b ^ c is the last round's a ^ b.
template <bool Extends>
inline void sixteen_rounds(State& v, std::uint32_t& b_xor_c, Schedule& w, const std::uint32_t* k) {
  const auto round = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
    if constexpr (Extends) {
      w[I] += small_sigma1(w[(I + 14) % 16]) + w[(I + 9) % 16] + small_sigma0(w[(I + 1) % 16]);
    }
    std::uint32_t& a = v[(16 - I) % 8];
    std::uint32_t& b = v[(17 - I) % 8];
    std::uint32_t& d = v[(19 - I) % 8];
    std::uint32_t& e = v[(20 - I) % 8];
    std::uint32_t& f = v[(21 - I) % 8];
    std::uint32_t& g = v[(22 - I) % 8];
    std::uint32_t& h = v[(23 - I) % 8];
    const std::uint32_t t = h + big_sigma1(e) + (g ^ (e & (f ^ g))) + k[I] + w[I];
    const std::uint32_t a_xor_b = a ^ b;
    d += t;
    h = t + big_sigma0(a) + (b ^ (a_xor_b & b_xor_c));
    b_xor_c = a_xor_b;
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (round(std::integral_constant<std::size_t, I>{}), ...);
  }
  (std::make_index_sequence<16>{});
}

void compress(State& state, const std::uint8_t* block) {
  Schedule w;
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = load_word(block + 4 * i);
  State v = state;
  std::uint32_t b_xor_c = v[1] ^ v[2];
  sixteen_rounds<false>(v, b_xor_c, w, round_constants.data());
  for (std::size_t done = w.size(); done < round_constants.size(); done += w.size()) {
    sixteen_rounds<true>(v, b_xor_c, w, round_constants.data() + done);
  }
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += v[i];
}

}  // namespace

Hash sha256(ByteView message) {
  return Sha256().update(message).finish();
}

Sha256::Sha256() : state_(initial_state), size_(0), begun_{} {}

Sha256& Sha256::update(ByteView piece) {
  const std::size_t begun = size_ % block_size;
  size_ += piece.size();
  if (begun != 0) {
    const std::size_t wanted = std::min(piece.size(), block_size - begun);
    std::memcpy(begun_.data() + begun, piece.data(), wanted);
    if (begun + wanted < block_size) return *this;
    compress(state_, begun_.data());
    piece = piece.subspan(wanted);
  }
  for (; piece.size() >= block_size; piece = piece.subspan(block_size))
    compress(state_, piece.data());
  if (!piece.empty()) std::memcpy(begun_.data(), piece.data(), piece.size());
  return *this;
}

Hash Sha256::finish() {
  std::size_t begun = size_ % block_size;
  begun_[begun++] = 0x80;
  if (begun > block_size - 8) {
    std::memset(begun_.data() + begun, 0, block_size - begun);
    compress(state_, begun_.data());
    begun = 0;
  }
  std::memset(begun_.data() + begun, 0, block_size - 8 - begun);
  store_word(begun_.data() + 56, static_cast<std::uint32_t>(size_ >> 29));
  store_word(begun_.data() + 60, static_cast<std::uint32_t>(size_ << 3));
  compress(state_, begun_.data());
  Hash hash;
  for (std::size_t i = 0; i < state_.size(); ++i) store_word(hash.data() + 4 * i, state_[i]);
  *this = Sha256();
  return hash;
}

namespace {

/// hmac_of leaves the key on the stack, in its pads and in the states that begin with them.
[[gnu::noinline]] Hash hmac_of(ByteView key, ByteView message) {
  std::array<std::uint8_t, block_size> padded{};
  if (key.size() > block_size) {
    const Hash short_key = sha256(key);
    std::memcpy(padded.data(), short_key.data(), short_key.size());
  } else if (!key.empty()) {
    std::memcpy(padded.data(), key.data(), key.size());
  }
  Sha256 hasher;
  for (std::uint8_t& byte : padded) byte ^= 0x36;
  const Hash inner = hasher.update(padded).update(message).finish();
  for (std::uint8_t& byte : padded) byte ^= 0x36 ^ 0x5c;
  return hasher.update(padded).update(inner).finish();
}

}  // namespace

Hash hmac_sha256(ByteView key, ByteView message) {
  const Hash tag = hmac_of(key, message);
  wipe_stack<1024>();
  return tag;
}

bool verify_hmac_sha256(ByteView key, ByteView message, ByteView tag) {
  if (tag.size() != hash_size) return false;
  Hash expected = hmac_sha256(key, message);
  const bool same = crypto_verify_32(expected.data(), tag.data()) == 0;
  wipe(expected);
  return same;
}

DigestText digest_text(HashView hash) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  DigestText text;
  std::size_t written = 0;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const std::uint8_t byte : hash) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 6 && written < text.size(); held -= 6) {
      text[written++] = alphabet[bits >> (held - 6) & 63];
    }
    if (written == text.size()) break;
  }
  return text;
}

}  // namespace countersign
