// SPDX-License-Identifier: MIT
#include "countersign/response.hpp"

#include <bit>
#include <catch2/catch.hpp>

#include "messages.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using test::Bytes;
using test::now_ms;
using test::server;

namespace {

const Bytes payload = test::copy(cs::bytes_of("the answer"));

/// Answer is what a server signs and sends; a test changes what it wants wrong.
struct Answer {
  std::string label = "demo";
  std::string version = "v1";
  std::string request_id = "ours";
  std::uint64_t timestamp_ms = now_ms;
  std::string key_id = "k1";
  Bytes sent = payload;
  const test::Signer* signer = &server;

  Bytes frame() const {
    std::uint8_t buffer[cs::max_signing_input_size];
    const cs::Hash hash = cs::sha256(payload);
    return signer->frame(
        *cs::write_response({label, version, request_id, timestamp_ms, "ok", hash}, buffer), key_id,
        sent);
  }
};

const cs::ServerKey plain_key{"k1", cs::TrustedKey(server.public_key)};

cs::ResponseRules response_rules(std::span<const cs::ServerKey> keys = {&plain_key, 1}) {
  return {.label = "demo", .trust = {keys}, .request_id = "ours", .window = cs::Window{now_ms}};
}

ErrorCode refusal(const Bytes& frame, const cs::ResponseRules& r = response_rules()) {
  return cs::open_response(frame, r).error();
}

}  // namespace

TEST_CASE("E1 an answer that passes every check is released, as views", "[response]") {
  const Bytes frame = Answer{}.frame();
  const auto opened = cs::open_response(frame, response_rules());
  REQUIRE(opened.ok());
  CHECK(opened->result_code == "ok");
  CHECK(opened->timestamp_ms == now_ms);
  CHECK(test::copy(opened->payload) == payload);
  CHECK(opened->payload.data() == frame.data() + frame.size() - payload.size());
}

TEST_CASE("the checks are made in their one order, for every combination of faults", "[response]") {
  const test::Signer stranger(8);
  for (int broken = 1; broken < 32; ++broken) {
    Answer answer;
    if (broken & 1) answer.version = "v2";
    if (broken & 2) answer.signer = &stranger;
    if (broken & 4) answer.request_id = "theirs";
    if (broken & 8) answer.sent.back() ^= 1;
    if (broken & 16) answer.timestamp_ms += 10'001;
    const Bytes frame = answer.frame();
    constexpr ErrorCode order[] = {ErrorCode::bad_version, ErrorCode::bad_signature,
                                   ErrorCode::wrong_request_id, ErrorCode::payload_mismatch,
                                   ErrorCode::stale};
    const ErrorCode first = order[std::countr_zero(static_cast<unsigned>(broken))];
    CAPTURE(broken);
    CHECK(refusal(frame) == first);
    const auto parsed = cs::parse_frame(frame);
    CHECK(cs::open_envelope(cs::ByteView(frame).first(cs::envelope_size(*parsed)),
                            cs::sha256(parsed->payload), response_rules())
              .error() == first);
  }
}

TEST_CASE("E2 age is judged only where a window is given", "[response]") {
  Answer old;
  old.timestamp_ms = 7;
  auto r = response_rules();
  CHECK(refusal(old.frame()) == ErrorCode::stale);
  r.window.reset();
  CHECK(cs::open_response(old.frame(), r)->timestamp_ms == 7);
}

TEST_CASE("A18 another label, version or kind is refused as it is parsed", "[response]") {
  Answer answer;
  answer.label = "demo2";
  CHECK(refusal(answer.frame()) == ErrorCode::wrong_domain);
  answer = {};
  answer.version = "v10";
  CHECK(refusal(answer.frame()) == ErrorCode::bad_version);
  CHECK(cs::error_info(ErrorCode::bad_version).stage == cs::Stage::parse);
}

TEST_CASE("A16 nothing else the server signed is taken for an answer", "[response]") {
  test::Random random(41);
  for (const cs::Kind kind : test::kinds) {
    if (kind == cs::Kind::response) continue;
    test::Message message = test::random_message(kind, random);
    message.label = "demo";
    CHECK(refusal(server.frame(test::join(test::parts_of(message)), "k1")) ==
          ErrorCode::wrong_domain);
  }
}

TEST_CASE("B15 a key is found by its id", "[response]") {
  const test::Signer next(10);
  const cs::ServerKey keys[] = {
      plain_key, {"k2", cs::TrustedKey(next.public_key)}, {"", cs::TrustedKey(next.public_key)}};
  Answer answer;
  CHECK(cs::open_response(answer.frame(), response_rules(keys)).ok());
  answer.signer = &next;
  CHECK(refusal(answer.frame(), response_rules(keys)) == ErrorCode::bad_signature);  // k1 did not make it
  answer.key_id = "k2";
  CHECK(cs::open_response(answer.frame(), response_rules(keys)).ok());
  answer.key_id = "";
  CHECK(cs::open_response(answer.frame(), response_rules(keys)).ok());
  answer.key_id = "k3";
  CHECK(refusal(answer.frame(), response_rules(keys)) == ErrorCode::unknown_key);
  CHECK(refusal(answer.frame(), response_rules({})) == ErrorCode::unknown_key);
}

TEST_CASE("B15 a key verifies only messages of its time, both ends included", "[response]") {
  const cs::ServerKey keys[] = {
      {"k1", cs::TrustedKey(server.public_key), now_ms - 100, now_ms + 100}};
  const auto at = [&](std::uint64_t timestamp_ms, std::uint64_t floor_ms = 0) {
    Answer answer;
    answer.timestamp_ms = timestamp_ms;
    auto r = response_rules(keys);
    r.trust.time_floor_ms = floor_ms;
    const auto opened = cs::open_response(answer.frame(), r);
    return opened ? std::nullopt : std::optional(opened.error());
  };
  CHECK(at(now_ms - 101) == ErrorCode::key_not_valid);
  CHECK(at(now_ms - 100) == std::nullopt);
  CHECK(at(now_ms + 100) == std::nullopt);
  CHECK(at(now_ms + 101) == ErrorCode::key_not_valid);
  CHECK(at(now_ms, now_ms + 100) == std::nullopt);
  CHECK(at(now_ms, now_ms + 101) == ErrorCode::key_not_valid);
  CHECK(cs::error_info(ErrorCode::key_not_valid).stage == cs::Stage::signature);
}

TEST_CASE("any_key tries every key, and no key that is not valid", "[response]") {
  const test::Signer next(10);
  const cs::ServerKey keys[] = {{"old", cs::TrustedKey(server.public_key), 0, now_ms - 1},
                                {"new", cs::TrustedKey(next.public_key)}};
  auto r = response_rules(keys);
  r.trust.any_key = true;
  Answer answer;
  answer.key_id = "";
  CHECK(refusal(answer.frame(), r) == ErrorCode::key_not_valid);
  answer.signer = &next;
  CHECK(cs::open_response(answer.frame(), r).ok());
  const test::Signer stranger(8);
  answer.signer = &stranger;
  CHECK(refusal(answer.frame(), r) == ErrorCode::bad_signature);
  r.trust.any_key = false;
  CHECK(refusal(answer.frame(), r) == ErrorCode::unknown_key);
}

TEST_CASE("A12 an envelope has no payload", "[response]") {
  Answer answer;
  const cs::Hash hash = cs::sha256(payload);
  CHECK(cs::open_envelope(answer.frame(), hash, response_rules()).error() == ErrorCode::trailing_bytes);
  answer.sent.clear();
  const Bytes envelope = answer.frame();
  CHECK(cs::open_envelope(envelope, hash, response_rules())->result_code == "ok");
  CHECK(cs::open_envelope(envelope, cs::sha256({}), response_rules()).error() ==
        ErrorCode::payload_mismatch);
  CHECK(refusal(envelope) == ErrorCode::payload_mismatch);
}

TEST_CASE("E3 B3 no bit of an envelope can be changed", "[response]") {
  const Bytes frame = Answer{}.frame();
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes other = frame;
    other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ 1 << bit % 8);
    if (cs::open_response(other, response_rules()).ok()) FAIL("bit " << bit);
  }
  const auto parsed = cs::parse_frame(frame);
  const auto doubled = test::add_order(test::fixed<64>(test::copy(parsed->signature)));
  Bytes malleable(frame.size());
  CHECK(
      cs::write_frame({parsed->signing_input, parsed->key_id, doubled, parsed->payload}, malleable)
          .ok());
  CHECK(refusal(malleable) == ErrorCode::bad_signature);
}
