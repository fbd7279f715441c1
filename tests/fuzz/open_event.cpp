// SPDX-License-Identifier: MIT
// An event opens only if it is for our session, of our stream and at its place; signed here, so
// that the later checks are reached too.
#include "countersign/event.hpp"

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

void open(cs::ByteView frame, const Signer& signer) {
  const cs::ServerKey key{"k", cs::TrustedKey(signer.public_key), 0, 1'000'000};
  const cs::EventRules rules{.label = "fuzz",
                             .trust = {.keys = {&key, 1}},
                             .device_session_id = "us",
                             .stream = "s",
                             .expected = cs::Expected{6, 500},
                             .window = cs::Window{60'000}};
  const auto opened = cs::open_event(frame, rules);
  const auto parts = cs::parse_frame(frame);
  if (!parts) {
    check(!opened.ok());
    return;
  }
  const auto apart = cs::open_event_envelope(frame.first(cs::envelope_size(*parts)),
                                             cs::sha256(parts->payload), rules);
  check(apart.ok() == opened.ok());
  if (!opened) {
    check(apart.error() == opened.error());
    check(cs::error_info(opened.error()).stage != cs::Stage::none);
    return;
  }
  const auto fields = cs::parse_event(parts->signing_input);
  check(fields.ok() && fields->label == "fuzz" && fields->device_session_id == "us");
  const bool numbered = cs::is_numbered(opened->event_type);
  check(opened->sequence == (numbered ? 7u : 6u));
  check(opened->timestamp_ms <= 70'000 && (numbered || opened->timestamp_ms >= 500));
  const auto id = cs::event_id("s", opened->sequence, opened->event_type);
  check(id.ok() && opened->event_id == std::string_view(id->data(), id->size()));
  check(cs::is_equal(fields->payload_hash, cs::sha256(opened->payload)));
}

void open_signed(cs::ByteView input, const Signer& signer) {
  std::uint8_t signature[cs::signature_size];
  crypto_sign_ed25519_detached(signature, nullptr, input.data(), input.size(), signer.secret_key);
  std::uint8_t buffer[cs::max_envelope_size];
  const auto frame = cs::write_frame(
      {.signing_input = input, .key_id = "k", .signature = cs::SignatureView(signature)}, buffer);
  check(frame.ok());
  open(*frame, signer);
}

/// Puts the right id into fields that were read, which no fuzzer would guess.
void open_bound(cs::ByteView input, const Signer& signer) {
  auto fields = cs::parse_event(input);
  if (!fields) return;
  cs::EventFields bound = *fields;
  const auto id = cs::event_id("s", bound.sequence, bound.event_type);
  check(id.ok());
  bound.label = "fuzz";
  bound.device_session_id = "us";
  bound.event_id = {id->data(), id->size()};
  const cs::Hash hash = cs::sha256({});
  bound.payload_hash = hash;
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto written = cs::write_event(bound, buffer);
  check(written.ok());
  open_signed(*written, signer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Signer signer;
  const cs::ByteView bytes(data, size);
  open(bytes, signer);
  if (size > cs::max_signing_input_size) return 0;
  open_signed(bytes, signer);
  open_bound(bytes, signer);
  return 0;
}
