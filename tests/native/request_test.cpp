// SPDX-License-Identifier: MIT
#include "countersign/request.hpp"

#include <catch2/catch.hpp>

#include "messages.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using test::Bytes;
using test::now_ms;

namespace {

const std::string nonce = "AAAAAAAAAAAAAAAAAAAAAA";
const cs::Hash no_payload = cs::sha256({});

cs::RequestFields fields(std::string_view request_id) {
  return {.label = "demo",
          .device_session_id = "session",
          .message_type = "demo.echo",
          .timestamp_ms = now_ms,
          .request_id = request_id,
          .payload_hash = no_payload};
}

/// A begun request with its own memory.
struct Begun {
  std::array<std::uint8_t, cs::max_signing_input_size> buffer{};
  cs::Result<cs::BegunRequest> result;
  explicit Begun(const cs::RequestFields& f) : result(cs::begin_request(f, buffer)) {}
};

Bytes honest_frame(const test::Signer& signer, cs::RequestFields f = fields(nonce)) {
  const Begun begun(f);
  return signer.frame(begun.result->signing_input);
}

}  // namespace

TEST_CASE("a begun request is bound, and opens", "[request]") {
  for (const std::string key : {"", "~k", "~order-1_X"}) {
    const Begun begun(fields(nonce + key));
    REQUIRE(begun.result.ok());
    const auto& [id, input] = *begun.result;
    CHECK(id.size() == nonce.size() + key.size() + 1 + 22);
    CHECK(cs::parse_request(input)->request_id == id);
    const Bytes frame = test::Signer(1).frame(input);
    const auto opened = cs::open_request(frame, {"demo"});
    REQUIRE(opened.ok());
    CHECK(opened->fields.request_id == id);
    CHECK(opened->idempotency_key == (key.empty() ? "" : key.substr(1)));
    CHECK(cs::split_request_id(id)->head == nonce + key);
  }
}

TEST_CASE("a head is R and perhaps an idempotency key of 1 to 64 of [A-Za-z0-9_-]", "[request]") {
  const auto begin = [](const std::string& head) { return Begun(fields(head)).result; };
  CHECK(begin(nonce + "~" + std::string(64, 'k')).ok());
  for (const std::string& bad : {std::string("~"), "~" + std::string(65, 'k'), std::string("~a.b"),
                                 std::string("~é"), std::string("~a~b")}) {
    CHECK(begin(nonce + bad).error() == ErrorCode::invalid_idempotency_key);
  }
  for (const std::string& bad : {std::string(), nonce.substr(1), nonce + "A", nonce + ".",
                                 "+" + nonce.substr(1), nonce.substr(1) + "="}) {
    CHECK(begin(bad).error() == ErrorCode::invalid_argument);
  }
}

TEST_CASE("E8 begin_request refuses what write_request refuses", "[request]") {
  auto f = fields(nonce);
  f.message_type = "a\r\nb";
  CHECK(Begun(f).result.error() == ErrorCode::invalid_text);
  f = fields(nonce);
  f.label = "Demo";
  CHECK(Begun(f).result.error() == ErrorCode::invalid_label);
  f = fields(nonce);
  f.timestamp_ms = cs::max_time_ms + 1;
  CHECK(Begun(f).result.error() == ErrorCode::invalid_time);
  const std::size_t whole = Begun(fields(nonce)).result->signing_input.size();
  for (std::size_t size = 0; size < whole; ++size) {
    Bytes buffer(size);
    CHECK(cs::begin_request(fields(nonce), buffer).error() == ErrorCode::buffer_too_small);
  }
}

TEST_CASE("D7 an id belongs to its session, type, time, payload and label alone", "[request]") {
  const Begun begun(fields(nonce));
  const std::string id(begun.result->request_id);
  const cs::Hash other_hash = cs::sha256(cs::bytes_of("x"));
  CHECK(cs::check_request_id(fields(id)).ok());
  auto changed = [&](auto change) {
    auto f = fields(id);
    change(f);
    return cs::check_request_id(f).error();
  };
  CHECK(changed([](auto& f) { f.label = "other"; }) == ErrorCode::bad_request_id);
  CHECK(changed([](auto& f) { f.protocol_version = "v2"; }) == ErrorCode::bad_request_id);
  CHECK(changed([](auto& f) { f.device_session_id = "sessiom"; }) == ErrorCode::bad_request_id);
  CHECK(changed([](auto& f) { f.message_type = "demo.echp"; }) == ErrorCode::bad_request_id);
  CHECK(changed([](auto& f) { f.timestamp_ms ^= 1; }) == ErrorCode::bad_request_id);
  CHECK(changed([&](auto& f) { f.payload_hash = other_hash; }) == ErrorCode::bad_request_id);
  for (std::size_t at = 0; at < id.size(); ++at) {
    std::string other = id;
    other[at] = other[at] == 'B' ? 'C' : 'B';
    CHECK(cs::check_request_id(fields(other)).error() == ErrorCode::bad_request_id);
  }
}

TEST_CASE("D8 an id has one form", "[request]") {
  const std::string binding(22, 'B');
  CHECK(cs::split_request_id(nonce + "." + binding).ok());
  for (const std::string& bad : {nonce, nonce + ".", "." + binding, nonce + ".." + binding,
                                 nonce + "." + binding + "B", nonce + "." + binding.substr(1),
                                 nonce + "~." + binding, nonce + "." + binding.substr(1) + "=",
                                 nonce + "." + binding + ".", " " + nonce + "." + binding}) {
    CAPTURE(bad);
    CHECK(cs::split_request_id(bad).error() == ErrorCode::bad_request_id);
  }
}

TEST_CASE("R16 D8 any character may end R, and each makes an id of its own", "[request]") {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (const char last : alphabet) {
    const std::string head = nonce.substr(0, 21) + last;
    const Begun begun(fields(head));
    REQUIRE(begun.result.ok());
    std::string id(begun.result->request_id);
    CHECK(cs::check_request_id(fields(id)).ok());
    CHECK(cs::split_request_id(id)->head == head);
    id[21] = last == 'A' ? 'B' : 'A';
    CHECK(cs::check_request_id(fields(id)).error() == ErrorCode::bad_request_id);
  }
}

TEST_CASE("a compatible label takes any text as id", "[request]") {
  std::uint8_t buffer[cs::max_signing_input_size];
  const Bytes frame = test::Signer(1).frame(*cs::write_request(fields("any text"), buffer));
  CHECK(cs::open_request(frame, {"demo"}).error() == ErrorCode::bad_request_id);
  CHECK(cs::open_request(frame, {"demo", true})->idempotency_key.empty());
}

TEST_CASE("open_request: another label, another kind, a key id are parse refusals", "[request]") {
  const test::Signer signer(1);
  const Begun begun(fields(nonce));
  CHECK(cs::open_request(signer.frame(begun.result->signing_input), {"demp"}).error() ==
        ErrorCode::wrong_domain);
  CHECK(cs::open_request(signer.frame(begun.result->signing_input, "key"), {"demo"}).error() ==
        ErrorCode::bad_field_size);
  test::Random random(31);
  for (const cs::Kind kind : test::kinds) {
    if (kind == cs::Kind::request) continue;
    test::Message message = test::random_message(kind, random);
    message.label = "demo";
    const auto opened =
        cs::open_request(signer.frame(test::join(test::parts_of(message))), {"demo"});
    CHECK(opened.error() == ErrorCode::wrong_domain);
  }
}

TEST_CASE("open_request reads an envelope, or a frame's beginning, alike", "[request]") {
  const Begun begun(fields(nonce));
  const Bytes payload(5'000, 7);
  const Bytes frame = test::Signer(1).frame(begun.result->signing_input, {}, payload);
  const auto whole = cs::open_request(frame, {"demo"});
  const auto beginning =
      cs::open_request(cs::ByteView(frame).first(cs::max_envelope_size), {"demo"});
  REQUIRE((whole.ok() && beginning.ok()));
  CHECK(cs::envelope_size(whole->frame) == cs::envelope_size(beginning->frame));
  CHECK(whole->frame.payload.size() == payload.size());
}

TEST_CASE("A18 another version opens, then is refused at its own stage", "[request]") {
  auto f = fields(nonce);
  f.protocol_version = "v2";
  const Bytes frame = honest_frame(test::Signer(1), f);
  const auto opened = cs::open_request(frame, {"demo"});
  REQUIRE(opened.ok());
  CHECK(cs::check_version(opened->fields).error() == ErrorCode::unsupported_version);
}

TEST_CASE("C1 the window's edges are inclusive, to the millisecond", "[request]") {
  const cs::Window window{now_ms};
  CHECK(cs::check_freshness(now_ms - 60'000, window).ok());
  CHECK(cs::check_freshness(now_ms - 60'001, window).error() == ErrorCode::stale);
  CHECK(cs::check_freshness(now_ms + 10'000, window).ok());
  CHECK(cs::check_freshness(now_ms + 10'001, window).error() == ErrorCode::stale);
  CHECK(cs::check_freshness(now_ms, {now_ms, 0, 0}).ok());
  CHECK(cs::check_freshness(now_ms - 1, {now_ms, 0, 0}).error() == ErrorCode::stale);
}

TEST_CASE("C2 no time makes the window's arithmetic overflow", "[request]") {
  const std::uint64_t max = cs::max_time_ms;
  CHECK(cs::check_freshness(0, {0}).ok());
  CHECK(cs::check_freshness(0, {60'000}).ok());
  CHECK(cs::check_freshness(0, {60'001}).error() == ErrorCode::stale);
  CHECK(cs::check_freshness(max, {max, max, max}).ok());
  CHECK(cs::check_freshness(0, {max, max, max}).ok());
  CHECK(cs::check_freshness(max, {0, max, max - 1}).error() == ErrorCode::stale);
  for (const std::uint64_t bad : {max + 1, ~std::uint64_t{0}}) {
    CHECK(cs::check_freshness(bad, {now_ms}).error() == ErrorCode::invalid_time);
    CHECK(cs::check_freshness(now_ms, {bad}).error() == ErrorCode::invalid_time);
    CHECK(cs::check_freshness(now_ms, {now_ms, bad}).error() == ErrorCode::invalid_time);
    CHECK(cs::check_freshness(now_ms, {now_ms, 0, bad}).error() == ErrorCode::invalid_time);
  }
  // Seconds in place of milliseconds are a stale time, not an accepted one.
  CHECK(cs::check_freshness(now_ms / 1000, {now_ms}).error() == ErrorCode::stale);
}

TEST_CASE("B11 every flipped bit of a payload is a mismatch", "[request]") {
  Bytes payload(64, 0x5a);
  const cs::Hash signed_hash = cs::sha256(payload);
  CHECK(cs::check_payload_hash(signed_hash, cs::sha256(payload)).ok());
  for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
    Bytes other = payload;
    other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ 1 << bit % 8);
    CHECK(cs::check_payload_hash(signed_hash, cs::sha256(other)).error() ==
          ErrorCode::payload_mismatch);
  }
}

TEST_CASE("D7 D14 a replay key is label, session and id, each with its length", "[request]") {
  // SHA-256 of 01 61 02 6262 03 636363
  CHECK(test::hex(*cs::replay_key("a", "bb", "ccc")) ==
        test::hex(cs::sha256(test::unhex("01610262620363"
                                         "6363"))));
  CHECK(*cs::replay_key("a", "bb", "ccc") != *cs::replay_key("a", "b", "bccc"));
  CHECK(*cs::replay_key("a", "bb", "ccc") != *cs::replay_key("b", "bb", "ccc"));
  CHECK(cs::replay_key("A", "b", "c").error() == ErrorCode::invalid_label);
  CHECK(cs::replay_key("a", "", "c").error() == ErrorCode::invalid_text);
  CHECK(cs::replay_key("a", "b", std::string(129, 'c')).error() == ErrorCode::invalid_text);
}
