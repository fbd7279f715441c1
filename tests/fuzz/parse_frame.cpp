// SPDX-License-Identifier: MIT
// Whatever parse_frame takes apart is written back to the same bytes; so are the five signing
// inputs.
#include "countersign/enrollment.hpp"
#include "countersign/event.hpp"
#include "countersign/marker.hpp"
#include "countersign/response.hpp"
#include "support.hpp"

namespace cs = countersign;
using fuzz::check;

namespace {

template <class Fields>
void rewrite(cs::ByteView input, cs::Result<Fields> (*parse)(cs::ByteView),
             cs::Result<cs::ByteView> (*write)(const Fields&, cs::Buffer)) {
  const auto fields = parse(input);
  if (!fields) {
    check(cs::error_info(fields.error()).stage == cs::Stage::parse);
    return;
  }
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto written = write(*fields, buffer);
  check(written.ok() && cs::is_equal(*written, input));
}

/// A hash is the same however the message arrives.
void check_hash(cs::ByteView message) {
  cs::Sha256 pieces;
  for (cs::ByteView rest = message; !rest.empty();) {
    const std::size_t size = std::min<std::size_t>(rest.size(), rest.front() + 1U);
    pieces.update(rest.first(size));
    rest = rest.subspan(size);
  }
  const cs::Hash hash = cs::sha256(message);
  check(pieces.finish() == hash && pieces.finish() == cs::sha256({}));
  const cs::Hash tag = cs::hmac_sha256(message, hash);
  check(cs::verify_hmac_sha256(message, hash, tag) && !cs::verify_hmac_sha256(message, tag, tag) &&
        !cs::verify_hmac_sha256(message, hash, cs::ByteView(tag).first(31)));
}

/// Only a key of the curve, in its one form, may be registered; the fuzzers' own is one.
void check_key(const cs::EnrollFields& fields) {
  check(cs::is_acceptable_ed25519_key(fuzz::signer().public_key()));
  if (fields.algorithm != cs::Algorithm::ed25519) return;
  const auto key = fields.public_key.first<cs::ed25519_key_size>();
  if (!cs::is_acceptable_ed25519_key(key)) return;
  check(!cs::verify_ed25519(key, fields.public_key, fuzz::SignatureBytes{}));
}

void read_signing_input(cs::ByteView input) {
  const auto marker = cs::parse_marker(input);
  if (marker) check(cs::is_label(marker->label));
  if (const auto enroll = cs::parse_enroll(input)) {
    check(marker && marker->kind == cs::Kind::enroll);
    check_key(*enroll);
  }
  rewrite(input, cs::parse_request, cs::write_request);
  rewrite(input, cs::parse_response, cs::write_response);
  rewrite(input, cs::parse_event, cs::write_event);
  rewrite(input, cs::parse_enroll, cs::write_enroll);
  rewrite(input, cs::parse_rotate, cs::write_rotate);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::uint8_t buffer[1 << 20];
  const cs::ByteView bytes(data, size);
  check_hash(bytes);
  read_signing_input(bytes);
  const auto frame = cs::parse_frame(bytes);
  if (!frame || size > sizeof buffer) return 0;
  check(cs::envelope_size(*frame) <= cs::max_envelope_size);
  const auto written = cs::write_frame(*frame, buffer);
  check(written.ok() && cs::is_equal(*written, bytes));
  read_signing_input(frame->signing_input);
  return 0;
}
