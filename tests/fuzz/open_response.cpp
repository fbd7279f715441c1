// SPDX-License-Identifier: MIT
// An answer opens exactly where a second reading says so: signed by a key that was valid, for our
// request, with its payload, fresh. Its messages are bound and signed again after each mutation.
#include "countersign/response.hpp"
#include "remake.hpp"

namespace cs = countersign;
using fuzz::check;

namespace {

constexpr std::string_view request_id = "gHjmJZwxyly3TJOECqi2nw";
constexpr std::uint64_t key_end_ms = fuzz::now_ms + 5'000;

/// The refusal of check_server_signature, read key by key.
cs::Status expected_trust(const cs::Frame& frame, std::uint64_t time_ms, bool any_key) {
  const bool is_named = any_key || frame.key_id == fuzz::key_id;
  if (!is_named) return cs::ErrorCode::unknown_key;
  const bool is_signed =
      cs::verify_ed25519(fuzz::signer().public_key(), frame.signing_input, frame.signature);
  if (!is_signed) return cs::ErrorCode::bad_signature;
  if (time_ms < 1 || time_ms > key_end_ms) return cs::ErrorCode::key_not_valid;
  return {};
}

cs::Status expected(const cs::Frame& frame, cs::HashView payload_hash, bool any_key) {
  const auto fields = cs::parse_response(frame.signing_input);
  if (!fields) return fields.error();
  if (fields->label != fuzz::label) return cs::ErrorCode::wrong_domain;
  if (fields->protocol_version != "v1") return cs::ErrorCode::bad_version;
  const cs::Status trusted = expected_trust(frame, fields->timestamp_ms, any_key);
  if (!trusted) return trusted;
  if (fields->request_id != request_id) return cs::ErrorCode::wrong_request_id;
  if (!cs::is_equal(fields->payload_hash, payload_hash)) return cs::ErrorCode::payload_mismatch;
  const bool is_fresh = fields->timestamp_ms >= fuzz::now_ms - cs::default_past_ms &&
                        fields->timestamp_ms <= fuzz::now_ms + cs::default_future_ms;
  if (!is_fresh) return cs::ErrorCode::stale;
  return {};
}

void check_same(const cs::Result<cs::OpenedResponse>& found, const cs::Status& wanted) {
  check(found.ok() == wanted.ok() && (found.ok() || found.error() == wanted.error()));
}

void open(cs::ByteView bytes, bool any_key) {
  static const fuzz::Signer stranger(9);
  const cs::ServerKey keys[] = {
      {"old", cs::TrustedKey(stranger.public_key()), 0, 1},
      {fuzz::key_id, cs::TrustedKey(fuzz::signer().public_key()), 1, key_end_ms},
      {"next", cs::TrustedKey(stranger.public_key()), key_end_ms}};
  const cs::ResponseRules rules{.label = fuzz::label,
                                .trust = {.keys = keys, .time_floor_ms = 7, .any_key = any_key},
                                .request_id = request_id,
                                .window = cs::Window{fuzz::now_ms}};
  const auto opened = cs::open_response(bytes, rules);
  const auto frame = cs::parse_frame(bytes);
  if (!frame) {
    check(!opened.ok() && opened.error() == frame.error());
    return;
  }
  if (!any_key && (frame->key_id == "old" || frame->key_id == "next")) {
    check(!opened.ok());
    return;
  }
  const cs::Hash hash = cs::sha256(frame->payload);
  const cs::Status wanted = expected(*frame, hash, any_key);
  check_same(opened, wanted);
  if (opened) check(cs::is_equal(opened->payload, frame->payload));
  const auto apart = cs::open_envelope(bytes.first(cs::envelope_size(*frame)), hash, rules);
  check_same(apart, wanted);
  // An envelope with a payload of its own would be of two minds.
  if (!frame->payload.empty()) check(!cs::open_envelope(bytes, hash, rules).ok());
  if (!wanted) return;
  // A floor of time above the end of every key but the last ends them all.
  cs::ResponseRules later = rules;
  later.trust.time_floor_ms = key_end_ms + 1;
  check(!cs::open_response(bytes, later).ok());
}

cs::Result<cs::ByteView> remake(cs::ByteView input, fuzz::Draft& draft, fuzz::Random& random) {
  const auto parsed = cs::parse_response(input);
  if (!parsed) return parsed.error();
  cs::ResponseFields fields = *parsed;
  std::string text;
  const auto change = [&](std::string_view field) {
    text = random.mutated(field);
    return std::string_view(text);
  };
  if (random.usually()) fields.label = fuzz::label;
  if (random.usually()) fields.protocol_version = cs::protocol_version;
  if (random.usually()) fields.request_id = request_id;
  if (random.usually()) draft.key_id = fuzz::key_id;
  const auto choice = random.below(6);
  if (choice == 0) fields.protocol_version = change(fields.protocol_version);
  if (choice == 1) fields.request_id = change(fields.request_id);
  if (choice == 2) fields.timestamp_ms = random.time();
  if (choice == 3) fields.result_code = change(fields.result_code);
  if (choice == 4) draft.payload = random.mutated(draft.payload);
  if (choice == 5) draft.key_id = random.mutated(draft.key_id);
  const cs::Hash hash = cs::sha256(cs::bytes_of(draft.payload));
  if (random.usually()) fields.payload_hash = hash;
  return cs::write_response(fields, draft.buffer);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fuzz::remake_message(data, size, max_size, seed, remake);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // As in the JSON binding, whose answers name no key: half of the time, by the size alone.
  open({data, size}, size % 2 == 0);
  return 0;
}
