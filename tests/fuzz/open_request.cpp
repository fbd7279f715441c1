// SPDX-License-Identifier: MIT
// A request passes each stage exactly where a second reading of its fields says so. Its messages
// are bound and signed again after each mutation.
#include "countersign/judge.hpp"
#include "remake.hpp"

namespace cs = countersign;
using fuzz::check;

namespace {

/// expected reads the first refusal of version, signature and freshness without the library's own
/// order.
cs::Stage expected(const cs::OpenedRequest& request, bool is_signed, const cs::Window& window) {
  if (request.fields.protocol_version != "v1") return cs::Stage::version;
  if (!is_signed) return cs::Stage::signature;
  const std::uint64_t oldest = window.now_ms - std::min(window.past_ms, window.now_ms);
  const std::uint64_t time_ms = request.fields.timestamp_ms;
  const bool is_fresh = time_ms >= oldest && time_ms <= window.now_ms + window.future_ms;
  return is_fresh ? cs::Stage::none : cs::Stage::freshness;
}

void check_judgement(const cs::OpenedRequest& request, const cs::Session& session,
                     const cs::Es256Verdicts& es256, bool is_signed) {
  const cs::JudgeTime time{{fuzz::now_ms}};
  const auto judged = cs::judge_request(request, session, es256, time);
  check(judged.ok());
  const cs::Stage stage = expected(request, is_signed, time.window);
  check((judged->refusal ? judged->refusal->stage : cs::Stage::none) == stage);
  check(judged->next == cs::NextStep::refuse || is_signed);
  const auto reserved =
      cs::judge_reservation(*judged, time, {cs::ReplayVerdict::reserved, 0, 0, fuzz::now_ms});
  check(reserved.has_value() == (stage != cs::Stage::none));
  if (stage == cs::Stage::none || stage == cs::Stage::freshness) {
    check(judged->expires_ms > fuzz::now_ms);
  }
}

void check_stages(const cs::OpenedRequest& request) {
  const cs::Frame& frame = request.frame;
  const cs::ClientKey key{cs::Algorithm::ed25519, fuzz::signer().public_key()};
  const bool is_signed =
      cs::verify_ed25519(fuzz::signer().public_key(), frame.signing_input, frame.signature);
  check_judgement(request, {cs::SessionStatus::active, key}, {}, is_signed);
  check_judgement(request, {cs::SessionStatus::active, key}, {.key = !is_signed}, is_signed);

  const std::uint8_t point[cs::es256_key_size] = {4};
  const cs::Session other{cs::SessionStatus::active, {cs::Algorithm::es256, point}};
  for (const bool verdict : {false, true}) {
    check_judgement(request, other, {.key = verdict}, verdict);
  }
  const cs::ClientKey wrong{cs::Algorithm::ed25519, point};
  check_judgement(request, {cs::SessionStatus::active, wrong}, {.key = true}, false);
  check(!cs::judge_reservation(*cs::judge_request(request, std::nullopt, {}, {{fuzz::now_ms}}),
                               {{fuzz::now_ms}}, {cs::ReplayVerdict::reserved, 0, 0, 0})
             ->result_code.empty());

  // A window that is not of times refuses by itself.
  check(!cs::check_freshness(request.fields.timestamp_ms, {cs::max_time_ms + 1}).ok());
  check(cs::check_payload_hash(request.fields.payload_hash, cs::sha256(frame.payload)).ok() ==
        cs::is_equal(request.fields.payload_hash, cs::sha256(frame.payload)));
  const auto& fields = request.fields;
  check(cs::replay_key(fields.label, fields.device_session_id, fields.request_id).ok());
  check(!cs::replay_key("Not a label", fields.device_session_id, fields.request_id).ok());
}

void open(cs::ByteView bytes, bool compatible) {
  const auto opened = cs::open_request(bytes, {.label = fuzz::label, .compatible = compatible});
  if (!opened) {
    check(cs::error_info(opened.error()).stage == cs::Stage::parse);
    return;
  }
  check(opened->fields.label == fuzz::label && opened->frame.key_id.empty());
  const auto id = cs::check_request_id(opened->fields);
  check(compatible || (id.ok() && id->idempotency_key == opened->idempotency_key));
  if (!compatible || !id) check_stages(*opened);
}

/// write binds the id of fields again, most times.
cs::Result<cs::ByteView> write(cs::RequestFields fields, cs::Buffer buffer, fuzz::Random& random) {
  if (random.usually()) {
    const std::string_view id = fields.request_id;
    fields.request_id = id.substr(0, id.find('.'));
    const auto begun = cs::begin_request(fields, buffer);
    if (begun) return begun->signing_input;
    fields.request_id = id;
  }
  return cs::write_request(fields, buffer);
}

cs::Result<cs::ByteView> remake(cs::ByteView input, fuzz::Draft& draft, fuzz::Random& random) {
  const auto parsed = cs::parse_request(input);
  if (!parsed) return parsed.error();
  cs::RequestFields fields = *parsed;
  std::string text;
  const auto change = [&](std::string_view field) {
    text = random.mutated(field);
    return std::string_view(text);
  };
  if (random.usually()) fields.label = fuzz::label;
  if (random.usually()) draft.key_id.clear();
  const auto choice = random.below(6);
  if (choice == 0) fields.protocol_version = change(fields.protocol_version);
  if (choice == 1) fields.device_session_id = change(fields.device_session_id);
  if (choice == 2) fields.message_type = change(fields.message_type);
  if (choice == 3) fields.timestamp_ms = random.time();
  if (choice == 4) fields.request_id = change(fields.request_id);
  if (choice == 5) draft.payload = random.mutated(draft.payload);
  const cs::Hash hash = cs::sha256(cs::bytes_of(draft.payload));
  if (random.usually()) fields.payload_hash = hash;
  return write(fields, draft.buffer, random);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fuzz::remake_message(data, size, max_size, seed, remake);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cs::ByteView bytes(data, size);
  open(bytes, false);
  open(bytes, true);
  return 0;
}
