// SPDX-License-Identifier: MIT
#include "countersign/rsa.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "support.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif

#ifdef COUNTERSIGN_TEST_OPENSSL
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

namespace cs = countersign;
using test::Bytes;

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

/// The key in the file that COUNTERSIGN_RSA_KEY names, or null: under valgrind a key takes half a minute to make.
EVP_PKEY* given_key() {
  const char* const path = std::getenv("COUNTERSIGN_RSA_KEY");
  std::FILE* const file = path == nullptr ? nullptr : std::fopen(path, "r");
  if (file == nullptr) return nullptr;
  EVP_PKEY* const key = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  return key;
}

/// One key a size, made when it is first asked for: nothing here is worth a key in the tree.
EVP_PKEY* key_of(unsigned bits) {
  static std::vector<std::pair<unsigned, Key>> keys;
  for (const auto& [size, key] : keys) {
    if (size == bits) return key.get();
  }
  EVP_PKEY* const given = bits == 2048 ? given_key() : nullptr;
  keys.emplace_back(bits, Key(given == nullptr ? EVP_RSA_gen(bits) : given, &EVP_PKEY_free));
  return keys.back().second.get();
}

Bytes public_der(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

Bytes private_der(EVP_PKEY* key) {
  PKCS8_PRIV_KEY_INFO* const info = EVP_PKEY2PKCS8(key);
  unsigned char* der = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  PKCS8_PRIV_KEY_INFO_free(info);
  return bytes;
}

/// openssl runs one operation of OpenSSL's on a block; empty where it refuses.
template <class Init, class Run>
Bytes openssl(EVP_PKEY* key, Init init, Run run, int padding, cs::ByteView input) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new(key, nullptr), &EVP_PKEY_CTX_free);
  Bytes output(cs::max_rsa_size);
  std::size_t size = output.size();
  const bool done = init(context.get()) == 1 &&
                    EVP_PKEY_CTX_set_rsa_padding(context.get(), padding) == 1 &&
                    run(context.get(), output.data(), &size, input.data(), input.size()) == 1;
  output.resize(done ? size : 0);
  return output;
}

Bytes openssl_decrypt(EVP_PKEY* key, cs::ByteView ciphertext) {
  return openssl(key, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, RSA_PKCS1_PADDING, ciphertext);
}

Bytes padding_of(test::Random& random, std::size_t size) {
  Bytes padding = random.bytes(size);
  for (std::uint8_t& byte : padding) byte |= byte == 0;
  return padding;
}

Bytes encrypted(EVP_PKEY* key, cs::ByteView message, test::Random& random) {
  const Bytes der = public_der(key);
  const auto rsa = cs::read_rsa_public_key(der);
  REQUIRE(rsa);
  Bytes buffer(rsa->size());
  const Bytes padding = padding_of(random, cs::rsa_padding_size(*rsa, message.size()));
  const auto block = cs::rsa_encrypt(*rsa, message, padding, buffer);
  REQUIRE(block);
  return test::copy(*block);
}

/// raw_block encrypts a block as it stands, so that any padding at all can be sent.
Bytes raw_block(EVP_PKEY* key, cs::ByteView block) {
  return openssl(key, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, RSA_NO_PADDING, block);
}

}  // namespace

TEST_CASE("L4 what we encrypt OpenSSL decrypts, and the other way round, in every size", "[rsa]") {
  test::Random random(1);
  for (const unsigned bits : {2048U, 3072U, 4096U}) {
    EVP_PKEY* const key = key_of(bits);
    const Bytes der = private_der(key);
    const auto secret = cs::read_rsa_private_key(der);
    REQUIRE(secret);
    CHECK(secret->size() == bits / 8);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{32}, std::size_t{245}}) {
      const Bytes message = random.bytes(size);
      CHECK(openssl_decrypt(key, encrypted(key, message, random)) == message);
      const Bytes theirs =
          openssl(key, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, RSA_PKCS1_PADDING, message);
      Bytes opened(size, 0xee);
      CHECK(cs::rsa_decrypt(*secret, theirs, opened));
      CHECK(opened == message);
      // A message of another length is no message.
      Bytes shorter(size + 1);
      CHECK_FALSE(cs::rsa_decrypt(*secret, theirs, shorter));
    }
  }
}

// 100,000 of them with "[.rsa-many]".
void check_many(int rounds) {
  EVP_PKEY* const key = key_of(2048);
  const Bytes der = public_der(key);
  const auto rsa = cs::read_rsa_public_key(der);
  REQUIRE(rsa);
  test::Random random(2);
  std::set<Bytes> seen;
  int wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    const Bytes message = random.bytes(245);
    Bytes buffer(256);
    const auto block = cs::rsa_encrypt(*rsa, message, padding_of(random, 8), buffer);
    wrong += !block || openssl_decrypt(key, *block) != message;
    seen.insert(Bytes(buffer.begin(), buffer.begin() + 16));
  }
  CHECK(wrong == 0);
  CHECK(seen.size() == static_cast<std::size_t>(rounds));
}

TEST_CASE("B18 random encryptions all decrypt and are all different", "[rsa]") {
  check_many(200);
}

TEST_CASE("B18 100,000 random encryptions all decrypt and are all different", "[.rsa-many]") {
  check_many(100'000);
}

TEST_CASE("B18 padding is of the right size and without a zero, or nothing is encrypted", "[rsa]") {
  test::Random random(3);
  const Bytes der = public_der(key_of(2048));
  const auto rsa = cs::read_rsa_public_key(der);
  const Bytes message(245, 1);
  Bytes buffer(256);
  CHECK(cs::rsa_padding_size(*rsa, 245) == 8);
  CHECK(cs::rsa_padding_size(*rsa, 246) == 0);
  CHECK(cs::rsa_encrypt(*rsa, Bytes(246), Bytes(8, 1), buffer).error() ==
        cs::ErrorCode::payload_too_large);
  for (const std::size_t size : {0u, 7u, 9u}) {
    CHECK(cs::rsa_encrypt(*rsa, message, Bytes(size, 1), buffer).error() ==
          cs::ErrorCode::invalid_argument);
  }
  for (std::size_t at = 0; at < 8; ++at) {
    Bytes padding = padding_of(random, 8);
    padding[at] = 0;
    CHECK(cs::rsa_encrypt(*rsa, message, padding, buffer).error() ==
          cs::ErrorCode::invalid_argument);
  }
  CHECK(cs::rsa_encrypt(*rsa, message, Bytes(8, 1), cs::Buffer(buffer).first(255)).error() ==
        cs::ErrorCode::buffer_too_small);
}

TEST_CASE("B16 every block that is not quite right is refused, and leaves bytes all the same",
          "[rsa]") {
  EVP_PKEY* const key = key_of(2048);
  const Bytes der = private_der(key);
  const auto secret = cs::read_rsa_private_key(der);
  test::Random random(4);
  Bytes good(256, 0x55);
  good[0] = 0;
  good[1] = 2;
  good[10] = 0;
  Bytes message(245);
  REQUIRE(cs::rsa_decrypt(*secret, raw_block(key, good), message));
  std::vector<Bytes> bad;
  const auto with = [&](std::size_t at, std::uint8_t value) {
    bad.push_back(good);
    bad.back()[at] = value;
  };
  with(0, 1);
  for (const int type : {0, 1, 3, 0xff}) with(1, static_cast<std::uint8_t>(type));
  for (std::size_t at = 2; at < 10; ++at) with(at, 0);
  for (const int mark : {1, 2, 0x80, 0xff}) with(10, static_cast<std::uint8_t>(mark));
  bad.push_back(Bytes(256, 0));
  for (int round = 0; round < 20; ++round) {
    bad.push_back(random.bytes(256));
    bad.back()[0] = 0;
  }
  for (const Bytes& block : bad) {
    CAPTURE(test::hex(block));
    message.assign(245, 0);
    CHECK_FALSE(cs::rsa_decrypt(*secret, raw_block(key, block), message));
  }
  // Not below the modulus, and of another size.
  CHECK_FALSE(cs::rsa_decrypt(*secret, Bytes(256, 0xff), message));
  CHECK_FALSE(cs::rsa_decrypt(*secret, Bytes(255, 1), message));
  CHECK_FALSE(cs::rsa_decrypt(*secret, Bytes(257, 1), message));
}

TEST_CASE("B17 a public key with a weak exponent, a wrong size or loose DER is refused", "[rsa]") {
  const auto refused = [](cs::ByteView der) {
    const auto key = cs::read_rsa_public_key(der);
    return !key &&
           (key.error() == cs::ErrorCode::bad_rsa_key || key.error() == cs::ErrorCode::truncated);
  };
  const Bytes good = public_der(key_of(2048));
  REQUIRE(cs::read_rsa_public_key(good));
  CHECK(refused(public_der(key_of(1024))));
  CHECK(refused(public_der(key_of(4104))));
  // 65537 stands at the end of the key.
  for (const int low : {0x00, 0x02, 0xfe}) {
    Bytes even = good;
    even.back() = static_cast<std::uint8_t>(low);
    CHECK(refused(even));
  }
  Bytes one = good;
  one[one.size() - 3] = 0;
  one[one.size() - 2] = 0;
  CHECK(refused(one));
  // The modulus begins after 32 bytes of wrapping; its last byte stands before `02 03 01 00 01`.
  Bytes even_modulus = good;
  even_modulus[good.size() - 6] &= 0xfe;
  CHECK(refused(even_modulus));
  for (std::size_t end = 0; end < good.size(); ++end) {
    CHECK(refused(cs::ByteView(good).first(end)));
  }
  Bytes longer = good;
  longer.push_back(0);
  CHECK(refused(longer));
  // Any other byte of the wrapping means something else, or says the same thing loosely.
  for (std::size_t at = 0; at < 32; ++at) {
    for (const int bit : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80}) {
      Bytes changed = good;
      changed[at] = static_cast<std::uint8_t>(changed[at] ^ bit);
      CAPTURE(at, bit);
      CHECK(refused(changed));
    }
  }
}

TEST_CASE("B17 a private key that is not whole is refused", "[rsa]") {
  const Bytes good = private_der(key_of(2048));
  REQUIRE(cs::read_rsa_private_key(good));
  CHECK_FALSE(cs::read_rsa_private_key(private_der(key_of(1024))));
  CHECK_FALSE(cs::read_rsa_private_key(public_der(key_of(2048))));
  for (std::size_t end = 0; end < good.size(); ++end) {
    CHECK_FALSE(cs::read_rsa_private_key(cs::ByteView(good).first(end)));
  }
}

#ifdef VALGRIND_MAKE_MEM_UNDEFINED
TEST_CASE("B16 message, block and padding of RSA steer no branch and no address",
          "[.constant-time]") {
  REQUIRE(RUNNING_ON_VALGRIND);
  EVP_PKEY* const key = key_of(2048);
  const Bytes der = public_der(key);
  const Bytes secret_der = private_der(key);
  const auto rsa = cs::read_rsa_public_key(der);
  const auto secret = cs::read_rsa_private_key(secret_der);
  Bytes message(245, 7);
  Bytes block(256);
  VALGRIND_MAKE_MEM_UNDEFINED(message.data(), message.size());
  REQUIRE(cs::rsa_encrypt(*rsa, message, Bytes(8, 1), block));
  VALGRIND_MAKE_MEM_DEFINED(block.data(), block.size());
  for (const bool is_good : {true, false}) {
    if (!is_good) block[100] ^= 1;
    Bytes ciphertext = block;
    VALGRIND_MAKE_MEM_UNDEFINED(ciphertext.data(), ciphertext.size());
    Bytes opened(245);
    bool verdict = cs::rsa_decrypt(*secret, ciphertext, opened);
    VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
    CHECK(verdict == is_good);
  }
}
#endif
#endif
