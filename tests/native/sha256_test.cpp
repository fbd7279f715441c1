// SPDX-License-Identifier: MIT
#include "countersign/sha256.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"
#if __has_include(<valgrind/memcheck.h>) && !defined(__EMSCRIPTEN__)
#include <valgrind/memcheck.h>
#endif

namespace cs = countersign;

TEST_CASE("SHA-256 in pieces is SHA-256 of the whole, wherever it is cut", "[sha256]") {
  test::Random random(1);
  for (std::size_t size = 0; size < 200; ++size) {
    const test::Bytes message = random.bytes(size);
    cs::Sha256 stream;
    cs::ByteView rest(message);
    while (!rest.empty()) {
      const std::size_t piece = random.index(rest.size() + 1);
      stream.update(rest.first(piece));
      rest = rest.subspan(piece);
    }
    CHECK(stream.finish() == cs::sha256(message));
  }
}

TEST_CASE("a finished hash starts over, and a copied one goes its own way", "[sha256]") {
  cs::Sha256 stream;
  stream.update(cs::bytes_of("ab"));
  cs::Sha256 branch = stream;
  CHECK(stream.update(cs::bytes_of("c")).finish() == cs::sha256(cs::bytes_of("abc")));
  CHECK(stream.finish() == cs::sha256({}));
  CHECK(branch.finish() == cs::sha256(cs::bytes_of("ab")));
}

TEST_CASE("HMAC takes keys of any length", "[sha256]") {
  // RFC 4231, test cases 2 and 6, and the empty key and message.
  CHECK(test::hex(
            cs::hmac_sha256(cs::bytes_of("Jefe"), cs::bytes_of("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(test::hex(cs::hmac_sha256(
            test::Bytes(131, 0xaa),
            cs::bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(test::hex(cs::hmac_sha256({}, {})) ==
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("B12 an HMAC tag is exactly 32 bytes", "[sha256]") {
  const auto key = cs::bytes_of("key");
  const auto message = cs::bytes_of("message");
  const cs::Hash tag = cs::hmac_sha256(key, message);
  test::Bytes longer = test::copy(tag);
  longer.resize(64);
  for (std::size_t size = 0; size <= 64; ++size) {
    CAPTURE(size);
    CHECK(cs::verify_hmac_sha256(key, message, cs::ByteView(longer).first(size)) == (size == 32));
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    cs::Hash wrong = tag;
    wrong[bit / 8] = static_cast<std::uint8_t>(wrong[bit / 8] ^ 1 << bit % 8);
    CHECK_FALSE(cs::verify_hmac_sha256(key, message, wrong));
  }
}

#ifdef VALGRIND_MAKE_MEM_UNDEFINED
// Under valgrind, which reports every branch and address that depends on undefined memory:
//   valgrind --error-exitcode=9 countersign_constant_time "[.constant-time]"
TEST_CASE("B13 key and tag of an HMAC steer no branch and no address", "[.constant-time]") {
  REQUIRE(RUNNING_ON_VALGRIND);
  const auto message = cs::bytes_of("message");
  for (const bool flipped : {false, true}) {
    test::Bytes key(32, 7);
    cs::Hash tag = cs::hmac_sha256(key, message);
    if (flipped) tag[31] ^= 1;
    VALGRIND_MAKE_MEM_UNDEFINED(key.data(), key.size());
    VALGRIND_MAKE_MEM_UNDEFINED(tag.data(), tag.size());
    bool verdict = cs::verify_hmac_sha256(key, message, tag);
    VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
    CHECK(verdict == !flipped);
  }
}
#endif

TEST_CASE("digest text is the first 22 base64url characters", "[sha256]") {
  const auto text = [](const char* hex) {
    const auto digest = cs::digest_text(test::fixed<32>(test::unhex(hex)));
    return std::string(digest.begin(), digest.end());
  };
  CHECK(text("0000000000000000000000000000000000000000000000000000000000000000") ==
        "AAAAAAAAAAAAAAAAAAAAAA");
  CHECK(text("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff") ==
        "______________________");
  CHECK(text("fbefbe0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d") ==
        "----AQIDBAUGBwgJCgsMDQ");
}
