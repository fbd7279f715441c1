// SPDX-License-Identifier: MIT
// Judgements of requests: the vectors, what only C++ can ask, and what an unknown session costs.
#include "countersign/judge.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
using nlohmann::json;
using test::Bytes;
using test::now_ms;

namespace {

constexpr std::string_view steps[] = {"refuse",  "verify-key",       "verify-previous",
                                      "reserve", "reserve-or-limit", "end-session"};
constexpr std::string_view signers[] = {"none", "key", "previous"};
constexpr std::string_view sides[] = {"inside", "past", "future"};
constexpr std::string_view verdicts[] = {"reserved", "used", "too-old", "full", "limited"};

template <class Enum, std::size_t Size>
Enum value_of(const std::string_view (&names)[Size], const std::string& name) {
  const auto found = std::find(std::begin(names), std::end(names), name);
  REQUIRE(found != std::end(names));
  return static_cast<Enum>(found - std::begin(names));
}

const json& judgements() {
  static const json rows = test::vectors("judgements.json");
  return rows;
}

/// KeyBytes is a key of the vectors with its own memory.
struct KeyBytes {
  cs::Algorithm algorithm;
  Bytes bytes;

  explicit KeyBytes(const json& row)
      : algorithm(row.at("algorithm") == "es256" ? cs::Algorithm::es256 : cs::Algorithm::ed25519),
        bytes(test::unhex(row.at("public_key").get<std::string>())) {}
  cs::ClientKey view() const { return {algorithm, bytes}; }
};

cs::JudgeTime time_of(const json& row) {
  return {.window = {row.at("now_ms"), row.at("past_ms"), row.at("future_ms")},
          .is_burnt = row.at("is_burnt")};
}

cs::Es256Verdicts verdicts_of(const json& row) {
  cs::Es256Verdicts es256;
  if (row.contains("key")) es256.key = row.at("key").get<bool>();
  if (row.contains("previous")) es256.previous = row.at("previous").get<bool>();
  return es256;
}

void check_refusal(const std::optional<cs::Refusal>& refusal, const json& expected) {
  CHECK(refusal.has_value() == !expected.is_null());
  if (!refusal || expected.is_null()) return;
  CHECK(cs::stage_name(refusal->stage) == expected.at(0).get<std::string>());
  CHECK(refusal->result_code == expected.at(1).get<std::string>());
  if (expected.size() < 3) return;
  CHECK(refusal->retry_after_ms.has_value() == !expected.at(2).is_null());
  if (refusal->retry_after_ms)
    CHECK(*refusal->retry_after_ms == expected.at(2).get<std::uint64_t>());
}

/// Signed is an opened request with its own memory.
struct Signed {
  Bytes signing_input;
  std::array<std::uint8_t, cs::signature_size> signature;

  cs::OpenedRequest opened() const {
    return {.frame = {.signing_input = signing_input, .key_id = {}, .signature = signature},
            .fields = *cs::parse_request(signing_input),
            .idempotency_key = {}};
  }
};

Signed signed_by(const test::Signer& signer, std::uint64_t timestamp_ms = now_ms) {
  const cs::Hash hash = cs::sha256({});
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto begun = cs::begin_request({.label = "demo",
                                        .device_session_id = "session",
                                        .message_type = "demo.echo",
                                        .timestamp_ms = timestamp_ms,
                                        .request_id = "AAAAAAAAAAAAAAAAAAAAAA",
                                        .payload_hash = hash},
                                       buffer);
  return {test::copy(begun->signing_input), signer.sign(begun->signing_input)};
}

const test::Signer device(1);

cs::Session session_of(cs::SessionStatus status = cs::SessionStatus::active) {
  return {status, {cs::Algorithm::ed25519, device.public_key}};
}

}  // namespace

TEST_CASE("R46 R49 R50 R60 R63 R122 R148 R151 the judgements of the vectors", "[judge][vectors]") {
  int seen = 0;
  for (const json& row : judgements().at("requests")) {
    CAPTURE(row.at("name").get<std::string>());
    const Signed request{test::unhex(row.at("signing_input").get<std::string>()),
                         test::fixed<64>(test::unhex(row.at("signature").get<std::string>()))};
    const json& record = row.at("session");
    std::optional<KeyBytes> key, previous;
    std::optional<cs::Session> session;
    if (!record.is_null()) {
      key.emplace(record);
      session = {
          record.at("status") == "active" ? cs::SessionStatus::active : cs::SessionStatus::revoked,
          key->view()};
      if (record.contains("previous")) {
        previous.emplace(record.at("previous"));
        session->previous = {previous->view(), record.at("previous").at("replaced_ms")};
      }
    }
    const auto judged = cs::judge_request(request.opened(), session, verdicts_of(row.at("es256")),
                                          time_of(row.at("time")));
    const json& expected = row.at("judgement");
    REQUIRE(judged.ok());
    CHECK(judged->next == value_of<cs::NextStep>(steps, expected.at("next")));
    CHECK(judged->signer == value_of<cs::Signer>(signers, expected.at("signer")));
    CHECK(judged->side == value_of<cs::WindowSide>(sides, expected.at("side")));
    CHECK(judged->expires_ms == expected.at("expires_ms").get<std::uint64_t>());
    check_refusal(judged->refusal, expected.at("refusal"));
    ++seen;
  }
  CHECK(seen == 153);
}

TEST_CASE("R59 R62 R63 R64 R142 the reservations of the vectors", "[judge][vectors]") {
  int seen = 0;
  for (const json& row : judgements().at("reservations")) {
    CAPTURE(row.dump());
    const json& judged = row.at("judgement");
    const json& ended = row.at("reservation");
    const cs::Judgement judgement{.next = value_of<cs::NextStep>(steps, judged.at("next")),
                                  .side = value_of<cs::WindowSide>(sides, judged.at("side"))};
    check_refusal(cs::judge_reservation(
                      judgement, time_of(row.at("time")),
                      {.verdict = value_of<cs::ReplayVerdict>(verdicts, ended.at("verdict")),
                       .wait_ms = ended.at("wait_ms"),
                       .floor_ms = ended.at("floor_ms"),
                       .done_ms = ended.at("done_ms")}),
                  row.at("refusal"));
    ++seen;
  }
  CHECK(seen == 225);
}

TEST_CASE("D11 R49 an unknown session costs the time of a verification", "[judge]") {
  const Signed request = signed_by(test::Signer(2));
  // The least of many interleaved rounds is the same on a busy machine. The gap is more than
  // tenfold.
  using Clock = std::chrono::steady_clock;
  const std::optional<cs::Session> known = session_of();
  // A key of no size is refused without a verification, and shows what one costs.
  const std::optional<cs::Session> keyless =
      cs::Session{cs::SessionStatus::active, {cs::Algorithm::ed25519, {}}};
  const std::optional<cs::Session> sessions[] = {known, std::nullopt, keyless};
  Clock::duration least[] = {Clock::duration::max(), Clock::duration::max(),
                             Clock::duration::max()};
  for (int round = 0; round < 200; ++round) {
    for (std::size_t at = 0; at < 3; ++at) {
      const auto from = Clock::now();
      const auto judged = cs::judge_request(request.opened(), sessions[at], {}, {{now_ms}});
      least[at] = std::min(least[at], Clock::now() - from);
      REQUIRE(judged->refusal->result_code == "cs.unauthenticated");
    }
  }
  CHECK(least[2] < least[0] / 2);
  CHECK(least[1] > least[0] / 2);
}

TEST_CASE("R64 nothing is accepted by a reservation that no judgement asked for", "[judge]") {
  const Signed request = signed_by(device);
  const cs::JudgeTime time{{now_ms}};
  const cs::Reservation reserved{.verdict = cs::ReplayVerdict::reserved, .done_ms = now_ms};
  const auto accepted = cs::judge_request(request.opened(), session_of(), {}, time);
  CHECK_FALSE(cs::judge_reservation(*accepted, time, reserved).has_value());
  const auto refused =
      cs::judge_request(request.opened(), session_of(cs::SessionStatus::revoked), {}, time);
  CHECK(cs::judge_reservation(*refused, time, reserved)->result_code == "cs.session_revoked");
  // Not even where the host forgot to verify an ES256 signature.
  const Bytes point(cs::es256_key_size, 4);
  const cs::Session es256{cs::SessionStatus::active, {cs::Algorithm::es256, point}};
  const auto open = cs::judge_request(request.opened(), es256, {}, time);
  CHECK(open->next == cs::NextStep::verify_key);
  CHECK(cs::judge_reservation(*open, time, reserved)->result_code == "cs.unauthenticated");
}

TEST_CASE("C8 R63 a request dated ahead uses its id up, and finds it used when its time has come",
          "[judge]") {
  const Signed request = signed_by(device, now_ms + 30'000);
  const auto opened = request.opened();
  auto guard = *cs::ReplayGuard::create({.capacity = 64});
  const auto id = cs::replay_key("demo", opened.fields.device_session_id, opened.fields.request_id);
  for (const std::uint64_t at_ms : {now_ms, now_ms + 25'000}) {
    const cs::JudgeTime time{{at_ms}};
    const auto judged = cs::judge_request(opened, session_of(), {}, time);
    const auto verdict =
        guard.reserve(*id, opened.fields.timestamp_ms, judged->expires_ms, at_ms, {});
    const auto refusal = cs::judge_reservation(*judged, time, {verdict, 0, 0, at_ms});
    CHECK(refusal->result_code == (at_ms == now_ms ? "cs.stale" : "cs.replayed"));
  }
}

TEST_CASE("B1 B2 the registered key's algorithm decides, never the size of a signature",
          "[judge]") {
  const Signed request = signed_by(device);
  const Bytes point(cs::es256_key_size, 4);
  const auto passes = [&](cs::Algorithm algorithm, cs::ByteView key, std::optional<bool> es256) {
    const cs::Session session{cs::SessionStatus::active, {algorithm, key}};
    const auto judged = cs::judge_request(request.opened(), session, {.key = es256}, {{now_ms}});
    return judged->next == cs::NextStep::reserve_or_limit && !judged->refusal;
  };
  CHECK(passes(cs::Algorithm::ed25519, device.public_key, {}));
  CHECK(passes(cs::Algorithm::es256, point, true));
  // An ES256 session never falls back to Ed25519, nor the other way, whatever the host says.
  CHECK_FALSE(passes(cs::Algorithm::es256, point, {}));
  CHECK_FALSE(passes(cs::Algorithm::es256, point, false));
  CHECK_FALSE(passes(cs::Algorithm::es256, device.public_key, true));
  CHECK_FALSE(passes(cs::Algorithm::ed25519, point, true));
  CHECK_FALSE(passes(cs::Algorithm::ed25519, {}, true));
  CHECK_FALSE(passes(cs::Algorithm::ed25519, test::Signer(2).public_key, true));
}

TEST_CASE("C2 no time makes a judgement overflow", "[judge]") {
  const std::uint64_t max = cs::max_time_ms;
  const Signed request = signed_by(device, max);
  for (const cs::Window& window : {cs::Window{max, max, max}, cs::Window{max, 0, 0}}) {
    const auto judged = cs::judge_request(request.opened(), session_of(), {}, {window});
    CHECK(judged->next == cs::NextStep::reserve_or_limit);
    CHECK(judged->expires_ms == max);
  }
  CHECK(cs::judge_request(request.opened(), session_of(), {}, {{0}})->next ==
        cs::NextStep::end_session);
  for (const cs::Window& bad :
       {cs::Window{max + 1}, cs::Window{0, ~std::uint64_t{0}}, cs::Window{0, 0, max + 1}}) {
    CHECK(cs::judge_request(request.opened(), session_of(), {}, {bad}).error() ==
          cs::ErrorCode::invalid_time);
  }
  // A key replaced at the end of time, or after the clock, has not ended.
  const test::Signer before(2);
  const Signed old = signed_by(before, 5);
  cs::Session session = session_of();
  for (const std::uint64_t replaced_ms : {std::uint64_t{5}, max, ~std::uint64_t{0}}) {
    session.previous = {{cs::Algorithm::ed25519, before.public_key}, replaced_ms};
    const auto judged = cs::judge_request(old.opened(), session, {}, {{10, max, max}});
    CHECK(judged->signer == cs::Signer::previous);
    CHECK(judged->next == cs::NextStep::reserve_or_limit);
  }
}

TEST_CASE("R89 the last look at a session", "[judge]") {
  CHECK_FALSE(cs::judge_again(cs::SessionStatus::active).has_value());
  CHECK(cs::judge_again(cs::SessionStatus::revoked)->result_code == "cs.session_revoked");
  CHECK(cs::judge_again(std::nullopt)->result_code == "cs.unauthenticated");
  CHECK(cs::judge_again(std::nullopt)->stage == cs::Stage::session);
}
