// SPDX-License-Identifier: MIT
#include "countersign/enrollment.hpp"

#include <catch2/catch.hpp>

#include "messages.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using test::Bytes;

TEST_CASE("B1 a proof names ed25519 or es256, and its key has that size", "[enrollment]") {
  test::Random random(51);
  for (const cs::Kind kind : {cs::Kind::enroll, cs::Kind::rotate}) {
    test::Message message = test::random_message(kind, random);
    const std::size_t algorithm = kind == cs::Kind::enroll ? 1 : 2;
    for (const char* bad : {"none", "Ed25519", "ed25519 ", "ES256", "rs256", "hmac"}) {
      message.texts[algorithm] = bad;
      CHECK(test::parse(test::join(test::parts_of(message))).error() == ErrorCode::bad_algorithm);
    }
    message.texts[algorithm] = "ed25519";
    message.fixed.assign(65, 4);
    CHECK(test::parse(test::join(test::parts_of(message))).error() == ErrorCode::bad_field_size);
    std::uint8_t buffer[cs::max_signing_input_size];
    CHECK(test::write(message, buffer).error() == ErrorCode::bad_public_key);
    message.texts[algorithm] = "es256";
    CHECK(test::write(message, buffer).ok());
    for (const std::size_t size : {0u, 32u, 33u, 64u, 66u}) {  // 33 is a compressed point
      message.fixed.assign(size, 2);
      CHECK(test::write(message, buffer).error() == ErrorCode::bad_public_key);
    }
  }
}

TEST_CASE("B10 a proof fits one challenge, key and address only", "[enrollment]") {
  const test::Signer key(5);
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto input = [&](std::string_view label, std::string_view challenge,
                         const test::Signer& owner, std::string_view email) {
    return test::copy(*cs::write_enroll(
        {label, challenge, cs::Algorithm::ed25519, owner.public_key, email}, buffer));
  };
  const auto proof = key.sign(input("demo", "c1", key, "a@example.com"));
  const auto fits = [&](const Bytes& bytes) {
    return cs::verify_ed25519(key.public_key, bytes, proof);
  };
  CHECK(fits(input("demo", "c1", key, "a@example.com")));
  CHECK_FALSE(fits(input("dem", "c1", key, "a@example.com")));
  CHECK_FALSE(fits(input("demo", "c2", key, "a@example.com")));
  CHECK_FALSE(fits(input("demo", "c1", test::Signer(6), "a@example.com")));
  CHECK_FALSE(fits(input("demo", "c1", key, "A@example.com")));
}
