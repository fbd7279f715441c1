// SPDX-License-Identifier: MIT
// An answer opens only if it carries what was asked for; signed here, so that the later checks are
// reached too.
#include "countersign/response.hpp"

namespace cs = countersign;

// libsodium's, which the library holds; its own header is not among ours.
extern "C" int crypto_sign_ed25519_seed_keypair(std::uint8_t*, std::uint8_t*, const std::uint8_t*);
extern "C" int crypto_sign_ed25519_detached(std::uint8_t*, unsigned long long*, const std::uint8_t*,
                                            unsigned long long, const std::uint8_t*);

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

struct Signer {
  std::uint8_t public_key[32];
  std::uint8_t secret_key[64];
  Signer() {
    const std::uint8_t seed[32] = {7};
    crypto_sign_ed25519_seed_keypair(public_key, secret_key, seed);
  }
};

void open(cs::ByteView frame, const Signer& signer, bool any_key) {
  const cs::ServerKey key{"k", cs::TrustedKey(signer.public_key), 0, 1'000'000};
  const cs::ResponseRules rules{.label = "fuzz",
                                .trust = {.keys = {&key, 1}, .any_key = any_key},
                                .request_id = "id",
                                .window = cs::Window{60'000}};
  const auto opened = cs::open_response(frame, rules);
  const auto parts = cs::parse_frame(frame);
  if (!parts) {
    check(!opened.ok());
    return;
  }
  const auto apart =
      cs::open_envelope(frame.first(cs::envelope_size(*parts)), cs::sha256(parts->payload), rules);
  check(apart.ok() == opened.ok());
  if (!opened) {
    check(apart.error() == opened.error());
    check(cs::error_info(opened.error()).stage != cs::Stage::none);
    return;
  }
  const auto fields = cs::parse_response(parts->signing_input);
  check(fields.ok() && fields->label == "fuzz" && fields->request_id == "id");
  check(fields->timestamp_ms <= 70'000);
  check(cs::is_equal(fields->payload_hash, cs::sha256(opened->payload)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Signer signer;
  const cs::ByteView bytes(data, size);
  open(bytes, signer, false);
  if (size > cs::max_signing_input_size) return 0;

  std::uint8_t signature[cs::signature_size];
  crypto_sign_ed25519_detached(signature, nullptr, data, size, signer.secret_key);
  std::uint8_t buffer[cs::max_envelope_size];
  const auto frame = cs::write_frame(
      {.signing_input = bytes, .key_id = "k", .signature = cs::SignatureView(signature)}, buffer);
  check(frame.ok());
  open(*frame, signer, false);
  open(*frame, signer, true);
  return 0;
}
