// SPDX-License-Identifier: MIT
#include "countersign/sha256.hpp"

#include <new>

#include "sodium/crypto_auth_hmacsha256.h"
#include "sodium/crypto_hash_sha256.h"
#include "sodium/crypto_verify_32.h"
#include "sodium/utils.h"

namespace countersign {

namespace {

crypto_hash_sha256_state* state_in(void* bytes) {
  return static_cast<crypto_hash_sha256_state*>(bytes);
}

}  // namespace

Hash sha256(ByteView message) {
  Hash hash;
  crypto_hash_sha256(hash.data(), message.data(), message.size());
  return hash;
}

Sha256::Sha256() {
  static_assert(sizeof state_ >= sizeof(crypto_hash_sha256_state));
  static_assert(alignof(Sha256) >= alignof(crypto_hash_sha256_state));
  crypto_hash_sha256_init(new (state_.data()) crypto_hash_sha256_state);
}

Sha256& Sha256::update(ByteView piece) {
  crypto_hash_sha256_update(state_in(state_.data()), piece.data(), piece.size());
  return *this;
}

Hash Sha256::finish() {
  Hash hash;
  crypto_hash_sha256_final(state_in(state_.data()), hash.data());
  crypto_hash_sha256_init(state_in(state_.data()));
  return hash;
}

Hash hmac_sha256(ByteView key, ByteView message) {
  Hash tag;
  crypto_auth_hmacsha256_state state;
  static constexpr std::uint8_t no_key = 0;  // libsodium takes no null pointer here
  crypto_auth_hmacsha256_init(&state, key.empty() ? &no_key : key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, message.data(), message.size());
  crypto_auth_hmacsha256_final(&state, tag.data());
  sodium_memzero(&state, sizeof state);  // it is as good as the key
  return tag;
}

bool verify_hmac_sha256(ByteView key, ByteView message, ByteView tag) {
  if (tag.size() != hash_size) return false;
  Hash expected = hmac_sha256(key, message);
  const bool same = crypto_verify_32(expected.data(), tag.data()) == 0;
  sodium_memzero(expected.data(), expected.size());
  return same;
}

DigestText digest_text(HashView hash) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  DigestText text;
  unsigned bits = 0;
  unsigned held = 0;
  Reader reader(hash);
  for (char& c : text) {
    if (held < 6) {
      bits = bits << 8 | reader.bytes(1).front();
      held += 8;
    }
    held -= 6;
    c = alphabet[bits >> held & 63];
  }
  return text;
}

}  // namespace countersign
