// SPDX-License-Identifier: MIT
// RSA keys of any bytes are read or refused, and what was read is used without a fault. Keys that
// are written here from numbers of the input are read exactly where the numbers are sound. What is
// encrypted is what OpenSSL computes, or nothing was written.
#include "countersign/rsa.hpp"
#include "support.hpp"

#ifdef COUNTERSIGN_TEST_OPENSSL
#include <openssl/bn.h>

#include <memory>
#endif

namespace cs = countersign;
using fuzz::check;

namespace {

constexpr std::string_view algorithm("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
                                     15);

/// der writes one value, in the shortest form of its length.
std::string der(char tag, std::string_view content) {
  std::string text(1, tag);
  const std::size_t size = content.size();
  if (size >= 0x100) {
    text += '\x82';
    text += static_cast<char>(size >> 8);
  } else if (size >= 0x80) {
    text += '\x81';
  }
  text += static_cast<char>(size & 0xff);
  return text.append(content);
}

std::string der_integer(std::string_view number) {
  const bool is_high = number.empty() || static_cast<std::uint8_t>(number.front()) >= 0x80;
  return der('\x02', (is_high ? std::string(1, '\0') : std::string()) + std::string(number));
}

bool is_odd(std::string_view number) {
  return !number.empty() && (number.back() & 1) != 0;
}

/// number takes a positive number of `size` bytes without a leading zero.
std::string number(fuzz::Choices& choices, std::size_t size) {
  std::string bytes(cs::text_of(choices.bytes(size)));
  bytes.resize(std::max<std::size_t>(size, 1), '\x5b');
  if (bytes.front() == 0) bytes.front() = '\x01';
  return bytes;
}

#ifdef COUNTERSIGN_TEST_OPENSSL
using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

Number number_of(cs::ByteView bytes) {
  return {BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), &BN_free};
}

/// is_sound asks OpenSSL whether a modulus and an exponent can encrypt.
bool is_sound(const cs::RsaPublicKey& key) {
  const Number n = number_of(key.modulus);
  const Number e = number_of(key.exponent);
  const auto is_short = [](const Number& number, cs::ByteView bytes) {
    return static_cast<std::size_t>(BN_num_bytes(number.get())) == bytes.size();
  };
  return is_short(n, key.modulus) && is_short(e, key.exponent) && BN_is_odd(n.get()) == 1 &&
         BN_is_odd(e.get()) == 1 && BN_is_one(e.get()) == 0 && BN_cmp(e.get(), n.get()) < 0 &&
         BN_num_bits(n.get()) >= 2048 && BN_num_bits(n.get()) <= 4096;
}

/// check_sealed compares a ciphertext with OpenSSL's power of the block.
void check_sealed(const cs::RsaPublicKey& key, cs::ByteView block, cs::ByteView sealed) {
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), &BN_CTX_free);
  const Number power = number_of({});
  check(BN_mod_exp(power.get(), number_of(block).get(), number_of(key.exponent).get(),
                   number_of(key.modulus).get(), context.get()) == 1);
  std::array<std::uint8_t, cs::max_rsa_size> bytes{};
  const int size = static_cast<int>(sealed.size());
  check(BN_bn2binpad(power.get(), bytes.data(), size) == size);
  check(cs::is_equal(sealed, cs::ByteView(bytes).first(sealed.size())));
}
#else
bool is_sound(const cs::RsaPublicKey& key) {
  return !key.modulus.empty() && key.modulus.front() != 0;
}
void check_sealed(const cs::RsaPublicKey&, cs::ByteView, cs::ByteView) {}
#endif

/// try_numbers encrypts under a modulus and an exponent that nobody has read.
void try_numbers(fuzz::Choices& choices) {
  const std::size_t exponent_size = choices.number(1);
  const std::size_t modulus_size = choices.number(2) % 640;
  const cs::ByteView exponent = choices.bytes(exponent_size);
  std::string modulus(cs::text_of(choices.bytes(modulus_size)));
  // A short input is most of a modulus too.
  modulus.resize(modulus_size, '\x5b');
  const cs::RsaPublicKey key{.modulus = cs::bytes_of(modulus), .exponent = exponent};
  const std::uint8_t message[32] = {7, 9};
  const std::size_t padding_size = cs::rsa_padding_size(key, sizeof message);
  const std::string padding(padding_size, '\x11');
  std::string block = std::string("\0\x02", 2) + padding + '\0';
  block += cs::text_of(message);
  std::string buffer(std::max(block.size(), modulus_size), '\x35');
  const std::string untouched = buffer;
  const cs::Buffer out(reinterpret_cast<std::uint8_t*>(buffer.data()), buffer.size());
  const auto sealed = cs::rsa_encrypt(key, message, cs::bytes_of(padding), out);
  if (!sealed) check(buffer == untouched);
  if (sealed) check(is_sound(key) && sealed->size() == key.size() && cs::text_of(*sealed) != block);
  if (sealed) check_sealed(key, cs::bytes_of(block), *sealed);
#ifdef COUNTERSIGN_TEST_OPENSSL
  check(sealed.ok() == is_sound(key));
#endif
}

void use(const cs::RsaPublicKey& key) {
  check(is_sound(key));
  check(key.size() >= 256 && key.size() <= cs::max_rsa_size);
  check((key.modulus.back() & 1) != 0 && (key.exponent.back() & 1) != 0);
  const std::uint8_t message[32] = {7};
  std::array<std::uint8_t, cs::max_rsa_size> padding;
  padding.fill(0x11);
  std::array<std::uint8_t, cs::max_rsa_size> block{};
  const std::size_t size = cs::rsa_padding_size(key, sizeof message);
  const auto sealed = cs::rsa_encrypt(key, message, cs::ByteView(padding).first(size), block);
  check(sealed.ok() && sealed->size() == key.size());
  check(!cs::rsa_encrypt(key, message, cs::ByteView(padding).first(size - 1), block).ok());
  check(!cs::rsa_encrypt(key, padding, {}, block).ok());
  padding.front() = 0;
  check(!cs::rsa_encrypt(key, message, cs::ByteView(padding).first(size), block).ok());
}

void use(const cs::RsaPrivateKey& key) {
  check(key.size() >= 256 && key.size() <= cs::max_rsa_size);
  std::uint8_t message[32];
  std::array<std::uint8_t, cs::max_rsa_size> block;
  block.fill(0x35);
  (void)cs::rsa_decrypt(key, cs::ByteView(block).first(key.size()), message);
  check(!cs::rsa_decrypt(key, cs::ByteView(block).first(key.size() - 1), message));
}

/// try_public writes a key of the numbers of the input.
void try_public(fuzz::Choices& choices) {
  const std::size_t exponent_size = choices.number(1) % 8;
  const std::string exponent = number(choices, exponent_size);
  const std::string modulus = number(choices, 240 + choices.number(1) % 32);
  const std::string numbers = der('\x30', der_integer(modulus) + der_integer(exponent));
  const std::string text =
      der('\x30', std::string(algorithm) + der('\x03', std::string(1, '\0') + numbers));
  const auto key = cs::read_rsa_public_key(cs::bytes_of(text));
  const bool is_large =
      modulus.size() > 256 || (modulus.size() == 256 && (modulus.front() & 0x80) != 0);
  check(key.ok() == (is_large && is_odd(modulus) && is_odd(exponent) && exponent != "\x01"));
  if (key) use(*key);
  check(!cs::read_rsa_public_key(cs::bytes_of(text + '\0')).ok());
}

/// try_private writes a key of two factors and the numbers of the Chinese remainder theorem, which
/// need not fit one another: only sizes and parities are asked for.
void try_private(fuzz::Choices& choices) {
  const std::size_t larger = choices.number(1) % 4;
  const std::size_t size = 128;
  std::string p = number(choices, size);
  std::string q = number(choices, size);
  // Factors of a modulus of this size are not short.
  const bool is_short = choices.number(1) % 8 == 1;
  if (!is_short) p.front() = static_cast<char>(p.front() | 0x80);
  q.front() = static_cast<char>(q.front() | 0x80);
  const std::string dp = number(choices, size + (larger == 1 ? 1 : 0));
  const std::string dq = number(choices, size + (larger == 2 ? 1 : 0));
  const std::string iq = number(choices, size + (larger == 3 ? 1 : 0));
  std::string modulus = number(choices, 2 * size);
  modulus.front() = static_cast<char>(modulus.front() | 0x80);
  std::string numbers = der('\x02', std::string(1, '\0')) + der_integer(modulus);
  for (const auto& value : {std::string("\x03"), std::string("\x05"), p, q, dp, dq, iq}) {
    numbers += der_integer(value);
  }
  const std::string text = der('\x30', der('\x02', std::string(1, '\0')) + std::string(algorithm) +
                                           der('\x04', der('\x30', numbers)));
  const auto key = cs::read_rsa_private_key(cs::bytes_of(text));
  const bool is_long = (p.front() & 0x80) != 0;
  check(key.ok() == (larger == 0 && is_long && is_odd(modulus) && is_odd(p) && is_odd(q)));
  if (key) use(*key);
  check(!cs::read_rsa_private_key(cs::bytes_of(text + '\0')).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cs::ByteView bytes(data, size);
  if (const auto key = cs::read_rsa_public_key(bytes)) use(*key);
  if (const auto key = cs::read_rsa_private_key(bytes)) use(*key);
  fuzz::Choices choices(bytes);
  const std::uint64_t kind = choices.number(1);
  // DER begins with a sequence; anything else chooses numbers.
  if (kind == 0) try_public(choices);
  if (kind == 1) try_private(choices);
  if (kind == 2) try_numbers(choices);
  return 0;
}
