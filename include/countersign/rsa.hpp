// SPDX-License-Identifier: MIT
// RSAES-PKCS1-v1_5 (RFC 8017, 7.2) for knock packets, over BearSSL's constant-time operations.
//
// Only what knocks need: messages whose length is known beforehand, so that a decryption has one
// bit of outcome and no length to leak. Not for anything new: this padding has a long history of
// oracles.
#pragma once

#include <array>

#include "countersign/bytes.hpp"

namespace countersign {

inline constexpr std::size_t min_rsa_bits = 2048;
inline constexpr std::size_t max_rsa_bits = 4096;
inline constexpr std::size_t max_rsa_size = max_rsa_bits / 8;
/// min_rsa_padding is how many random bytes are between the two marks of a block, at least.
inline constexpr std::size_t min_rsa_padding = 8;

/// RsaPublicKey is a modulus and an exponent without leading zeros; views into what was read.
struct RsaPublicKey {
  ByteView modulus;
  ByteView exponent;

  /// size is that of a ciphertext, in bytes.
  std::size_t size() const { return modulus.size(); }
};

/// read_rsa_public_key reads a SubjectPublicKeyInfo (RFC 5280, DER); fails with bad_rsa_key for
/// anything else, for an even modulus or one outside 2048..4096 bits, and for an exponent that is
/// even, 1, or not below the modulus.
Result<RsaPublicKey> read_rsa_public_key(ByteView der COUNTERSIGN_LIFETIMEBOUND);

/// rsa_padding_size is how many random bytes, none of them zero, encrypting message_size bytes
/// takes; 0 where the message is too long for the key.
std::size_t rsa_padding_size(const RsaPublicKey& key, std::size_t message_size);

/// rsa_encrypt writes the block of message under padding, key.size() bytes, into buffer; its time
/// does not depend on message or padding. Fails, with buffer as it was: with bad_rsa_key for
/// numbers that read_rsa_public_key would not give, with payload_too_large, with invalid_argument
/// for padding of another size or with a zero in it, or with buffer_too_small.
Result<ByteView> rsa_encrypt(const RsaPublicKey& key, ByteView message, ByteView padding,
                             Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// RsaPrivateKey is the two factors with what the Chinese remainder theorem needs; views into what
/// was read.
struct RsaPrivateKey {
  std::size_t bits;
  ByteView p;
  ByteView q;
  ByteView dp;
  ByteView dq;
  ByteView iq;

  std::size_t size() const { return (bits + 7) / 8; }
};

/// read_rsa_private_key reads a PrivateKeyInfo (RFC 5958, DER) of two primes; fails with
/// bad_rsa_key for anything else, for a modulus outside 2048..4096 bits or not of whole bytes, and
/// for numbers whose sizes do not fit.
Result<RsaPrivateKey> read_rsa_private_key(ByteView der COUNTERSIGN_LIFETIMEBOUND);

/// rsa_decrypt puts the last message.size() bytes of a decrypted block into message, whatever they
/// are, and says whether the block was that of a message of this size. Its time depends on the
/// sizes alone: whoever uses message before that is known has to do so in the same way for both
/// answers. Numbers that read_rsa_private_key would not give, and sizes that do not fit, are false
/// at once.
[[nodiscard]] bool rsa_decrypt(const RsaPrivateKey& key, ByteView ciphertext, Buffer message);

}  // namespace countersign
