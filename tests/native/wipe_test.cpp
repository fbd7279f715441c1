// SPDX-License-Identifier: MIT
// What a call leaves on the stack does not depend on the secret that it worked with: it runs on a
// stack of the test's own, with one secret and with another at the same address.
//
// The claim is about optimised code. A sanitizer's build keeps more, in other places.
#include <catch2/catch.hpp>

#include "countersign/rsa.hpp"
#include "support.hpp"

#if !defined(__SANITIZE_ADDRESS__) && __has_include(<ucontext.h>) && !defined(__EMSCRIPTEN__)
#include <ucontext.h>

#include <functional>

namespace cs = countersign;
using test::Bytes;

namespace {

std::function<void()> work;

/// residue gives what work leaves on a stack that was filled with one byte before.
const Bytes& residue() {
  static Bytes stack(1 << 18);
  static ucontext_t here;
  // The registers that work begins with are the same at every run.
  static ucontext_t start;
  static const bool is_known = getcontext(&start) == 0;
  REQUIRE(is_known);
  ucontext_t there = start;
  stack.assign(stack.size(), 0xa5);
  there.uc_stack.ss_sp = stack.data();
  there.uc_stack.ss_size = stack.size();
  there.uc_link = &here;
  makecontext(
      &there, [] { work(); }, 0);
  REQUIRE(swapcontext(&here, &there) == 0);
  return stack;
}

/// differences says where two runs left other bytes, counted from the end of the stack.
std::vector<std::size_t> differences(const Bytes& first, const Bytes& second) {
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < first.size(); ++at) {
    if (first[at] != second[at]) places.push_back(first.size() - at);
  }
  return places;
}

/// is_forgotten says whether a run with each secret leaves the same; prepare puts one in its place.
bool is_forgotten(const std::function<void(std::uint64_t)>& prepare) {
  prepare(1);
  // The first call of a function in another library is resolved on this stack.
  residue();
  const Bytes first = residue();
  CHECK(differences(first, residue()).empty());
  REQUIRE_FALSE(differences(first, Bytes(first.size(), 0xa5)).empty());
  prepare(2);
  return differences(first, residue()).empty();
}

/// Secrets always lie in the same place.
struct Place {
  Bytes bytes = Bytes(512);

  cs::ByteView fill(std::uint64_t seed, std::size_t size) {
    const Bytes random = test::Random(seed).bytes(size);
    std::copy(random.begin(), random.end(), bytes.begin());
    return cs::ByteView(bytes).first(size);
  }
  /// factor is odd and as large as its size allows.
  cs::ByteView factor(std::uint64_t seed, std::size_t size) {
    const cs::ByteView view = fill(seed, size);
    bytes[0] |= 0x80;
    bytes[size - 1] |= 1;
    return view;
  }
};

bool outcome = false;

}  // namespace

TEST_CASE("H37 the test sees a secret that a function leaves behind", "[wiped]") {
  Place place;
  work = [&place] {
    std::array<std::uint8_t, 32> copy;
    std::copy_n(place.bytes.begin(), copy.size(), copy.begin());
    __asm__ volatile("" : : "r"(copy.data()) : "memory");
  };
  CHECK_FALSE(is_forgotten([&](std::uint64_t seed) { place.fill(seed, 32); }));
  work = [&place] {
    std::array<std::uint8_t, 32> copy;
    std::copy_n(place.bytes.begin(), copy.size(), copy.begin());
    __asm__ volatile("" : : "r"(copy.data()) : "memory");
    cs::wipe(copy);
  };
  CHECK(is_forgotten([&](std::uint64_t seed) { place.fill(seed, 32); }));
}

TEST_CASE("H37 HMAC leaves nothing of its key on the stack", "[wiped]") {
  const Bytes message(100, 0x5a);
  for (const std::size_t size : {1U, 16U, 32U, 64U, 65U, 200U}) {
    CAPTURE(size);
    Place place;
    cs::Hash tag{};
    cs::ByteView key;
    work = [&] { outcome = cs::verify_hmac_sha256(key, message, tag); };
    CHECK(is_forgotten([&](std::uint64_t seed) {
      key = place.fill(seed, size);
      tag = cs::hmac_sha256(key, message);
    }));
    CHECK(outcome);
  }
}

TEST_CASE("H37 RSA leaves nothing of a message or a private key on the stack", "[wiped]") {
  for (const std::size_t size : {256U, 512U}) {
    CAPTURE(size);
    Place modulus;
    Place secret;
    const std::uint8_t exponent[] = {1, 0, 1};
    const cs::RsaPublicKey key{.modulus = modulus.factor(9, size), .exponent = exponent};
    const Bytes padding(size - 35, 0x22);
    Bytes buffer(size);
    cs::ByteView message;
    work = [&] { outcome = cs::rsa_encrypt(key, message, padding, buffer).ok(); };
    CHECK(is_forgotten([&](std::uint64_t seed) { message = secret.fill(seed, 32); }));
    CHECK(outcome);

    // Numbers that are no key take the same way through the arithmetic.
    std::array<Place, 5> places;
    cs::RsaPrivateKey own{};
    const Bytes block(size, 0x33);
    Bytes opened(32);
    work = [&] { outcome = cs::rsa_decrypt(own, block, opened); };
    CHECK(is_forgotten([&](std::uint64_t seed) {
      std::array<cs::ByteView, 5> n;
      for (std::size_t at = 0; at < n.size(); ++at) {
        n[at] = places[at].factor(seed * 10 + at, size / 2);
      }
      own = {.bits = size * 8, .p = n[0], .q = n[1], .dp = n[2], .dq = n[3], .iq = n[4]};
    }));
  }
}
#endif
