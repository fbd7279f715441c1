// SPDX-License-Identifier: MIT
// An event opens exactly where a second reading says so: for our session, of our stream, at its
// place, with its payload, fresh. Its messages are bound and signed again after each mutation.
#include "countersign/event.hpp"
#include "remake.hpp"

namespace cs = countersign;
using fuzz::check;

namespace {

constexpr std::string_view stream = "stream-1";
constexpr cs::EventPlace place{6, fuzz::now_ms - 500};

bool is_in_place(const cs::EventFields& fields) {
  const std::string_view type = fields.event_type;
  const bool is_own = type == "cs.time" || type == "cs.gap" || type == "cs.revoked";
  if (!is_own) return fields.sequence == place.last + 1;
  return fields.sequence == place.last && fields.timestamp_ms >= place.since_ms;
}

cs::Status expected(const cs::Frame& frame, cs::HashView payload_hash) {
  const auto fields = cs::parse_event(frame.signing_input);
  if (!fields) return fields.error();
  if (fields->label != fuzz::label) return cs::ErrorCode::wrong_domain;
  if (fields->protocol_version != "v1") return cs::ErrorCode::bad_version;
  if (frame.key_id != fuzz::key_id) return cs::ErrorCode::unknown_key;
  const bool is_signed =
      cs::verify_ed25519(fuzz::signer().public_key(), frame.signing_input, frame.signature);
  if (!is_signed) return cs::ErrorCode::bad_signature;
  if (fields->device_session_id != fuzz::session) return cs::ErrorCode::wrong_session;
  const auto id = cs::event_id(stream, fields->sequence, fields->event_type);
  check(id.ok());
  if (fields->event_id != std::string_view(id->data(), id->size())) {
    return cs::ErrorCode::wrong_stream;
  }
  if (!cs::is_equal(fields->payload_hash, payload_hash)) return cs::ErrorCode::payload_mismatch;
  const bool is_fresh = fields->timestamp_ms >= fuzz::now_ms - cs::default_past_ms &&
                        fields->timestamp_ms <= fuzz::now_ms + cs::default_future_ms;
  if (!is_fresh) return cs::ErrorCode::stale;
  if (!is_in_place(*fields)) return cs::ErrorCode::bad_sequence;
  return {};
}

void check_same(const cs::Result<cs::OpenedEvent>& found, const cs::Status& wanted) {
  check(found.ok() == wanted.ok() && (found.ok() || found.error() == wanted.error()));
}

cs::Result<cs::ByteView> remake(cs::ByteView input, fuzz::Draft& draft, fuzz::Random& random) {
  const auto parsed = cs::parse_event(input);
  if (!parsed) return parsed.error();
  cs::EventFields fields = *parsed;
  std::string text;
  const auto change = [&](std::string_view field) {
    text = random.mutated(field);
    return std::string_view(text);
  };
  if (random.usually()) fields.label = fuzz::label;
  if (random.usually()) fields.protocol_version = cs::protocol_version;
  if (random.usually()) fields.device_session_id = fuzz::session;
  if (random.usually()) draft.key_id = fuzz::key_id;
  if (random.usually()) fields.sequence = place.last + cs::is_numbered(fields.event_type);
  const auto choice = random.below(6);
  if (choice == 0) fields.device_session_id = change(fields.device_session_id);
  if (choice == 1) fields.event_type = change(fields.event_type);
  if (choice == 2) fields.sequence = random.below(4) == 0 ? random.time() : random.below(10);
  if (choice == 3) fields.timestamp_ms = random.time();
  if (choice == 4) draft.payload = random.mutated(draft.payload);
  if (choice == 5) draft.key_id = random.mutated(draft.key_id);
  const cs::Hash hash = cs::sha256(cs::bytes_of(draft.payload));
  if (random.usually()) fields.payload_hash = hash;
  const auto id = cs::event_id(stream, fields.sequence, fields.event_type);
  if (id.ok() && random.usually()) fields.event_id = {id->data(), id->size()};
  return cs::write_event(fields, draft.buffer);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fuzz::remake_message(data, size, max_size, seed, remake);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cs::ByteView bytes(data, size);
  const cs::ServerKey key{fuzz::key_id, cs::TrustedKey(fuzz::signer().public_key())};
  const cs::EventRules rules{.label = fuzz::label,
                             .trust = {.keys = {&key, 1}},
                             .device_session_id = fuzz::session,
                             .stream = stream,
                             .place = place,
                             .window = cs::Window{fuzz::now_ms}};
  const auto opened = cs::open_event(bytes, rules);
  const auto frame = cs::parse_frame(bytes);
  if (!frame) {
    check(!opened.ok() && opened.error() == frame.error());
    return 0;
  }
  const cs::Hash hash = cs::sha256(frame->payload);
  const cs::Status wanted = expected(*frame, hash);
  check_same(opened, wanted);
  if (opened) check(cs::is_equal(opened->payload, frame->payload));
  check_same(cs::open_event_envelope(bytes.first(cs::envelope_size(*frame)), hash, rules), wanted);
  if (!frame->payload.empty()) check(!cs::open_event_envelope(bytes, hash, rules).ok());
  if (!wanted) return 0;
  // Text that is none names no stream.
  cs::EventRules nowhere = rules;
  nowhere.stream = "";
  check(!cs::open_event(bytes, nowhere).ok());
  return 0;
}
