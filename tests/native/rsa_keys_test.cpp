// SPDX-License-Identifier: MIT
// Keys that were put together from numbers, not read: each that is not one of RSA is refused before
// anything is written.
#include <catch2/catch.hpp>

#include "countersign/rsa.hpp"
#include "support.hpp"

namespace cs = countersign;
using test::Bytes;

namespace {

const Bytes e65537 = {1, 0, 1};

/// modulus_of makes an odd number of a size: no product of primes that anybody knows.
Bytes modulus_of(std::size_t size) {
  Bytes modulus = test::Random(5).bytes(size);
  modulus.front() |= 0x80;
  modulus.back() |= 1;
  return modulus;
}

Bytes with_zeros(std::size_t zeros, const Bytes& number) {
  Bytes padded(zeros, 0);
  padded.insert(padded.end(), number.begin(), number.end());
  return padded;
}

/// refusal gives the error of an encryption, which has to leave its buffer as it was.
cs::ErrorCode refusal(const Bytes& modulus, const Bytes& exponent) {
  const cs::RsaPublicKey key{.modulus = modulus, .exponent = exponent};
  const Bytes message(32, 0x11);
  const Bytes padding(cs::rsa_padding_size(key, message.size()), 0x22);
  const Bytes untouched(modulus.size() + 1, 0xee);
  Bytes buffer = untouched;
  const auto sealed = cs::rsa_encrypt(key, message, padding, buffer);
  REQUIRE_FALSE(sealed);
  CHECK(buffer == untouched);
  return sealed.error();
}

}  // namespace

TEST_CASE("H36 a public key that BearSSL would leave a block to is refused, and nothing is written",
          "[rsa]") {
  const auto bad = cs::ErrorCode::bad_rsa_key;
  const Bytes good = modulus_of(256);
  for (const std::size_t zeros : {1U, 2U, 255U, 256U}) {
    CAPTURE(zeros);
    CHECK(refusal(with_zeros(zeros, good), e65537) == bad);
  }
  Bytes even = good;
  even.back() ^= 1;
  CHECK(refusal(even, e65537) == bad);
  Bytes short_by_a_bit = good;
  short_by_a_bit.front() = 0x7f;
  CHECK(refusal(short_by_a_bit, e65537) == bad);
  for (const std::size_t size : {1U, 2U, 11U, 128U, 255U, 513U, 1024U}) {
    CAPTURE(size);
    CHECK(refusal(modulus_of(size), e65537) == bad);
  }
  CHECK(refusal(Bytes(), e65537) == bad);
  CHECK(refusal(Bytes(256, 0), e65537) == bad);
}

TEST_CASE("H36 an exponent that is 0, 1, even, padded or not below the modulus is refused",
          "[rsa]") {
  const Bytes good = modulus_of(256);
  Bytes above = good;
  above.front() = 0xff;
  const std::vector<Bytes> exponents = {{},           {0},          {1},
                                        {2},          {0, 1},       {0, 3},
                                        {1, 0},       {0, 1, 0, 1}, with_zeros(253, e65537),
                                        good,         above,        with_zeros(1, good),
                                        Bytes(257, 3)};
  for (const Bytes& exponent : exponents) {
    CAPTURE(test::hex(exponent));
    CHECK(refusal(good, exponent) == cs::ErrorCode::bad_rsa_key);
  }
}

TEST_CASE("H36 a sound key encrypts every size of modulus, a short buffer stays as it was",
          "[rsa]") {
  for (const std::size_t size : {256U, 257U, 300U, 511U, 512U}) {
    Bytes modulus = modulus_of(size);
    // 2049 bits, for one, are 257 bytes whose first is 1.
    if (size % 2 == 1) modulus.front() = 1;
    for (const Bytes& exponent : {Bytes{3}, e65537, Bytes(64, 0x2b)}) {
      const cs::RsaPublicKey key{.modulus = modulus, .exponent = exponent};
      const Bytes message(32, 0x11);
      const Bytes padding(cs::rsa_padding_size(key, message.size()), 0x22);
      REQUIRE(padding.size() == size - 35);
      Bytes buffer(size + 1, 0xee);
      const auto sealed = cs::rsa_encrypt(key, message, padding, buffer);
      REQUIRE(sealed);
      CHECK(sealed->size() == size);
      CHECK(buffer.back() == 0xee);
      CHECK_FALSE(std::search(buffer.begin(), buffer.end(), message.begin(), message.begin() + 8) !=
                  buffer.end());
      for (const std::size_t room : {std::size_t{0}, size - 33, size - 1}) {
        Bytes small(room, 0xee);
        CHECK(cs::rsa_encrypt(key, message, padding, small).error() ==
              cs::ErrorCode::buffer_too_small);
        CHECK(small == Bytes(room, 0xee));
      }
    }
  }
}

TEST_CASE("H36 no size of a message or a key makes a padding wrap around", "[rsa]") {
  const Bytes modulus = modulus_of(256);
  const cs::RsaPublicKey key{.modulus = modulus, .exponent = e65537};
  for (const std::size_t size : {std::size_t{246}, std::size_t{256}, std::size_t{1} << 31,
                                 static_cast<std::size_t>(-4), static_cast<std::size_t>(-1)}) {
    CHECK(cs::rsa_padding_size(key, size) == 0);
  }
  const Bytes tiny(10, 0xff);
  CHECK(cs::rsa_padding_size({.modulus = tiny, .exponent = e65537}, 0) == 0);
  CHECK(cs::rsa_padding_size({.modulus = {}, .exponent = e65537}, 0) == 0);
}

TEST_CASE("H36 a private key whose numbers do not fit decrypts nothing and touches nothing",
          "[rsa]") {
  const Bytes factor = modulus_of(128);
  const cs::RsaPrivateKey good{
      .bits = 2048, .p = factor, .q = factor, .dp = factor, .dq = factor, .iq = factor};
  const Bytes even(128, 0x80);
  const Bytes padded = with_zeros(1, factor);
  const Bytes small(127, 0x81);
  const Bytes large(129, 0x81);
  const Bytes huge(300, 0x81);
  const auto refuses = [](const cs::RsaPrivateKey& key) {
    Bytes message(32, 0xee);
    // BearSSL would write the end of a block of any size.
    const Bytes block(std::min<std::size_t>(key.size(), 4096), 0x33);
    return !cs::rsa_decrypt(key, block, message) && message == Bytes(32, 0xee);
  };
  const auto with = [&](auto change) {
    cs::RsaPrivateKey key = good;
    change(key);
    return key;
  };
  for (const std::size_t bits : {0U, 8U, 1024U, 2040U, 2041U, 2056U, 4104U, 32768U}) {
    CAPTURE(bits);
    CHECK(refuses(with([&](auto& key) { key.bits = bits; })));
  }
  for (const Bytes& number : {Bytes(), Bytes(1, 0), even, padded, small, large, huge}) {
    CAPTURE(number.size());
    CHECK(refuses(with([&](auto& key) { key.p = number; })));
    CHECK(refuses(with([&](auto& key) { key.q = number; })));
  }
  for (const Bytes& number : {Bytes(), Bytes(1, 0), padded, large, huge}) {
    CAPTURE(number.size());
    CHECK(refuses(with([&](auto& key) { key.dp = number; })));
    CHECK(refuses(with([&](auto& key) { key.dq = number; })));
    CHECK(refuses(with([&](auto& key) { key.iq = number; })));
  }
  // What fits is used: nonsense comes of it, which is no message.
  Bytes message(32, 0xee);
  CHECK_FALSE(cs::rsa_decrypt(good, Bytes(256, 0x33), message));
  CHECK(message != Bytes(32, 0xee));
}
