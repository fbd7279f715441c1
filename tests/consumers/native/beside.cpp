// SPDX-License-Identifier: MIT
// A program that uses a libsodium and a BearSSL of its own beside this library. It prints what
// libsodium and what we say of a good and of a changed signature, then an RSA block by each side.
#include <bearssl.h>
#include <sodium.h>

#include <cstdio>
#include <iterator>
#include <vector>

#include "countersign/ed25519.hpp"
#include "countersign/rsa.hpp"

namespace cs = countersign;

namespace {

void print(const char* name, cs::ByteView bytes) {
  std::printf("%s ", name);
  for (const std::uint8_t byte : bytes) std::printf("%02x", byte);
  std::printf("\n");
}

bool judge_signatures() {
  std::uint8_t public_key[cs::ed25519_key_size];
  std::uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
  std::uint8_t signature[cs::signature_size];
  std::uint8_t message[32];
  if (sodium_init() < 0 || crypto_sign_keypair(public_key, secret_key) != 0) return false;
  randombytes_buf(message, sizeof message);
  crypto_sign_detached(signature, nullptr, message, sizeof message, secret_key);
  for (const char* const name : {"good", "changed"}) {
    const int theirs =
        crypto_sign_verify_detached(signature, message, sizeof message, public_key) == 0;
    const int ours = cs::verify_ed25519(public_key, message, signature);
    std::printf("%s %d %d\n", name, theirs, ours);
    message[0] ^= 1;
  }
  return true;
}

bool encrypt(cs::ByteView der) {
  const auto key = cs::read_rsa_public_key(der);
  if (!key) return false;
  std::vector<std::uint8_t> block(key->size(), 0x55);
  block[0] = 0;
  block[1] = 2;
  block[key->size() - 33] = 0;
  const cs::ByteView view(block);
  std::vector<std::uint8_t> buffer(key->size());
  const auto sealed =
      cs::rsa_encrypt(*key, view.last(32), view.subspan(2, key->size() - 35), buffer);
  if (!sealed) return false;
  print("ours", *sealed);
  br_rsa_public_key numbers{const_cast<unsigned char*>(key->modulus.data()), key->modulus.size(),
                            const_cast<unsigned char*>(key->exponent.data()), key->exponent.size()};
  br_rsa_i31_public(block.data(), block.size(), &numbers);
  print("theirs", block);
  return true;
}

}  // namespace

int main() {
  std::vector<std::uint8_t> der(1024);
  der.resize(std::fread(der.data(), 1, der.size(), stdin));
  return judge_signatures() && encrypt(der) ? 0 : 1;
}
