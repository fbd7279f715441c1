// SPDX-License-Identifier: MIT
#include "countersign/ed25519.hpp"

#include <algorithm>
#include <cstring>

#include "sodium/crypto_sign_ed25519.h"
#include "sodium/utils.h"

// Of libsodium's own parts, the three that its verification begins with.
#define CONFIGURED 1
extern "C" {
#include "sodium/private/ed25519_ref10.h"
}

// What libsodium's files call of its utils.c, under the names that cmake/libsodium.cmake gives
// them. Verification compares what is public alone. Hidden, as the names of those files are.
#pragma GCC visibility push(hidden)
extern "C" {
void sodium_memzero(void* bytes, std::size_t size) {
  countersign::wipe({static_cast<std::uint8_t*>(bytes), size});
}
int sodium_memcmp(const void* left, const void* right, std::size_t size) {
  return std::memcmp(left, right, size) == 0 ? 0 : -1;
}
int sodium_is_zero(const unsigned char* bytes, std::size_t size) {
  return std::count(bytes, bytes + size, 0) == static_cast<std::ptrdiff_t>(size) ? 1 : 0;
}
}
#pragma GCC visibility pop

namespace countersign {

bool verify_ed25519(Ed25519KeyView public_key, ByteView message, SignatureView signature) {
  return crypto_sign_ed25519_verify_detached(signature.data(), message.data(), message.size(),
                                             public_key.data()) == 0;
}

bool is_acceptable_ed25519_key(Ed25519KeyView public_key) {
  ge25519_p3 point;
  return ge25519_is_canonical(public_key.data()) != 0 &&
         ge25519_has_small_order(public_key.data()) == 0 &&
         ge25519_frombytes_negate_vartime(&point, public_key.data()) == 0;
}

TrustedKey::TrustedKey(Ed25519KeyView public_key) {
  std::copy(public_key.begin(), public_key.end(), public_key_.begin());
}

bool TrustedKey::verify(ByteView message, SignatureView signature) const {
  return verify_ed25519(public_key_, message, signature);
}

}  // namespace countersign
