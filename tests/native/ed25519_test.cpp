// SPDX-License-Identifier: MIT
#include "countersign/ed25519.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"

namespace cs = countersign;

namespace {

// The eight points of small order, then six more spellings of some of them.
constexpr const char* small_order[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};

std::array<std::uint8_t, 32> key_of(const char* hex) {
  return test::fixed<32>(test::unhex(hex));
}

}  // namespace

TEST_CASE("a signature verifies under its key and message only", "[ed25519]") {
  const test::Signer signer(1);
  test::Random random(2);
  for (std::size_t round = 0; round < 50; ++round) {
    const test::Bytes message = random.bytes(round);
    auto signature = signer.sign(message);
    const cs::TrustedKey key(signer.public_key);
    CHECK(cs::verify_ed25519(signer.public_key, message, signature));
    CHECK(key.verify(message, signature));
    CHECK_FALSE(cs::verify_ed25519(test::Signer(2).public_key, message, signature));
    const std::size_t bit = random.index(512);
    signature[bit / 8] = static_cast<std::uint8_t>(signature[bit / 8] ^ 1 << bit % 8);
    CHECK_FALSE(cs::verify_ed25519(signer.public_key, message, signature));
    CHECK_FALSE(key.verify(message, signature));
  }
}

TEST_CASE("B3 S + L is refused", "[ed25519]") {
  for (int seed = 0; seed < 50; ++seed) {
    const test::Signer signer(static_cast<std::uint8_t>(seed));
    const auto message = cs::bytes_of("malleable");
    auto signature = signer.sign(message);
    // S < L < 2^253: L can be added several times before the 256 bits are full.
    for (int times = 0; times < 7; ++times) {
      signature = test::add_order(signature);
      CHECK_FALSE(cs::verify_ed25519(signer.public_key, message, signature));
    }
  }
}

TEST_CASE("B4 keys of small order are refused at registration and verify nothing", "[ed25519]") {
  for (const char* hex : small_order) {
    CAPTURE(hex);
    const auto key = key_of(hex);
    CHECK_FALSE(cs::is_acceptable_ed25519_key(key));
    // With A of small order, R = A or the neutral point and S = 0 fit some messages in lax
    // verifiers.
    for (const char* r : small_order) {
      std::array<std::uint8_t, 64> signature{};
      const auto point = key_of(r);
      std::copy(point.begin(), point.end(), signature.begin());
      for (int message = 0; message < 8; ++message) {
        CHECK_FALSE(
            cs::verify_ed25519(key, test::Bytes(1, static_cast<std::uint8_t>(message)), signature));
      }
    }
  }
}

TEST_CASE("B5 non-canonical keys and R are refused", "[ed25519]") {
  // y = p + n for the n below 19 that have a point: the same points as y = n.
  for (int n = 0; n < 19; ++n) {
    for (const int sign : {0x7f, 0xff}) {
      auto key = key_of(small_order[12]);
      key[0] = static_cast<std::uint8_t>(0xed + n);
      key[31] = static_cast<std::uint8_t>(sign);
      CAPTURE(n, sign);
      CHECK_FALSE(cs::is_acceptable_ed25519_key(key));
      const test::Signer signer(3);
      auto signature = signer.sign(cs::bytes_of("m"));
      std::copy(key.begin(), key.end(), signature.begin());
      CHECK_FALSE(cs::verify_ed25519(signer.public_key, cs::bytes_of("m"), signature));
      CHECK_FALSE(cs::verify_ed25519(key, cs::bytes_of("m"), signature));
    }
  }
}

TEST_CASE("B4 honest keys are acceptable, points off the curve are not", "[ed25519]") {
  for (int seed = 0; seed < 100; ++seed) {
    CHECK(cs::is_acceptable_ed25519_key(test::Signer(static_cast<std::uint8_t>(seed)).public_key));
  }
  // 2 is no point's y: x^2 = (y^2 - 1) / (d y^2 + 1) has no root.
  CHECK_FALSE(cs::is_acceptable_ed25519_key(
      key_of("0200000000000000000000000000000000000000000000000000000000000000")));
  test::Random random(4);
  int off_curve = 0;
  for (int round = 0; round < 1000; ++round) {
    auto key = test::fixed<32>(random.bytes(32));
    if (!cs::is_acceptable_ed25519_key(key)) ++off_curve;
  }
  CHECK((off_curve > 400 && off_curve < 600));  // half of all y
}
