// SPDX-License-Identifier: MIT
#include "countersign/event.hpp"

#include <bit>
#include <catch2/catch.hpp>

#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using test::Bytes;
using test::now_ms;
using test::server;

namespace {

const cs::ServerKey server_key{"k1", cs::TrustedKey(server.public_key)};
constexpr std::string_view our_session = "AAAAAAAAAAAAAAAAAAAAAA";
constexpr std::string_view our_stream = "BBBBBBBBBBBBBBBBBBBBBB";

/// Event is what a server signs and sends; a test changes what it wants wrong.
struct Event {
  std::string label = "demo";
  std::string version = "v1";
  std::string session{our_session};
  std::string stream{our_stream};
  std::string type = "fleet.moved";
  std::uint64_t sequence = 7;
  std::uint64_t timestamp_ms = now_ms;
  std::string key_id = "k1";
  std::string signed_payload = "to Rigel";
  std::string sent_payload = "to Rigel";
  const test::Signer* signer = &server;

  Bytes frame() const {
    std::uint8_t buffer[cs::max_signing_input_size];
    const cs::Hash hash = cs::sha256(cs::bytes_of(signed_payload));
    const auto id = cs::event_id(stream, sequence, type);
    const cs::EventFields fields{.label = label,
                                 .protocol_version = version,
                                 .device_session_id = session,
                                 .event_type = type,
                                 .sequence = sequence,
                                 .timestamp_ms = timestamp_ms,
                                 .event_id = {id->data(), id->size()},
                                 .payload_hash = hash};
    return signer->frame(*cs::write_event(fields, buffer), key_id, cs::bytes_of(sent_payload));
  }
};

cs::EventRules event_rules(std::optional<cs::EventPlace> place = cs::EventPlace{6}) {
  return {.label = "demo",
          .trust = {.keys = {&server_key, 1}},
          .device_session_id = our_session,
          .stream = our_stream,
          .place = place,
          .window = cs::Window{now_ms}};
}

ErrorCode refusal(const Event& event, const cs::EventRules& r = event_rules()) {
  const auto opened = cs::open_event(event.frame(), r);
  return opened ? ErrorCode::internal : opened.error();
}

bool opens(const Event& event, const cs::EventRules& r = event_rules()) {
  return cs::open_event(event.frame(), r).ok();
}

Event unnumbered(std::string type, std::uint64_t sequence, std::uint64_t timestamp_ms = now_ms) {
  Event event;
  event.type = std::move(type);
  event.sequence = sequence;
  event.timestamp_ms = timestamp_ms;
  return event;
}

}  // namespace

TEST_CASE("E12 sequence and time of an event are two numbers, not exchangeable", "[event]") {
  const cs::Hash hash = cs::sha256({});
  cs::EventFields fields{.label = "demo",
                         .device_session_id = "s",
                         .event_type = "t",
                         .sequence = 1,
                         .timestamp_ms = 2,
                         .event_id = "e",
                         .payload_hash = hash};
  std::uint8_t one[cs::max_signing_input_size];
  std::uint8_t other[cs::max_signing_input_size];
  const auto first = cs::write_event(fields, one);
  std::swap(fields.sequence, fields.timestamp_ms);
  const auto second = cs::write_event(fields, other);
  CHECK(test::copy(*first) != test::copy(*second));
  CHECK(cs::parse_event(*first)->sequence == 1);
  CHECK(cs::parse_event(*second)->sequence == 2);
}

TEST_CASE("an event id is the hash of stream, number and type, cut to 22 characters", "[event]") {
  // field("BB…") · u64(7) · field("fleet.moved"), written out.
  Bytes place = {22};
  for (const char c : our_stream) place.push_back(static_cast<std::uint8_t>(c));
  for (const int byte : {0, 0, 0, 0, 0, 0, 0, 7, 11})
    place.push_back(static_cast<std::uint8_t>(byte));
  for (const char c : std::string_view("fleet.moved"))
    place.push_back(static_cast<std::uint8_t>(c));
  CHECK(*cs::event_id(our_stream, 7, "fleet.moved") == cs::digest_text(cs::sha256(place)));

  CHECK(*cs::event_id("s", 1, "t") != *cs::event_id("s", 2, "t"));
  CHECK(*cs::event_id("s", 1, "t") != *cs::event_id("r", 1, "t"));
  CHECK(*cs::event_id("s", 1, "t") != *cs::event_id("s", 1, "u"));
  CHECK(cs::event_id("", 1, "t").error() == ErrorCode::invalid_text);
  CHECK(cs::event_id("s", 1, "\n").error() == ErrorCode::invalid_text);
  CHECK(cs::event_id("s", cs::max_time_ms + 1, "t").error() == ErrorCode::invalid_time);
}

TEST_CASE("E12 an event that passes every check is released, as views", "[event]") {
  const Bytes frame = Event{}.frame();
  const auto opened = cs::open_event(frame, event_rules());
  REQUIRE(opened.ok());
  CHECK(opened->event_type == "fleet.moved");
  CHECK(opened->sequence == 7);
  CHECK(opened->timestamp_ms == now_ms);
  const auto id = cs::event_id(our_stream, 7, "fleet.moved");
  CHECK(opened->event_id == std::string_view(id->data(), id->size()));
  CHECK(test::copy(opened->payload) == test::copy(cs::bytes_of("to Rigel")));
  CHECK(opened->payload.data() + opened->payload.size() == frame.data() + frame.size());
}

TEST_CASE("E12 the checks of an event are made in their one order, for every combination of faults",
          "[event]") {
  const test::Signer stranger(8);
  constexpr ErrorCode order[] = {ErrorCode::wrong_domain,  ErrorCode::bad_version,
                                 ErrorCode::bad_signature, ErrorCode::wrong_session,
                                 ErrorCode::wrong_stream,  ErrorCode::payload_mismatch,
                                 ErrorCode::stale,         ErrorCode::bad_sequence};
  for (unsigned broken = 1; broken < 256; ++broken) {
    Event event;
    if (broken & 1) event.label = "other";
    if (broken & 2) event.version = "v2";
    if (broken & 4) event.signer = &stranger;
    if (broken & 8) event.session = "CCCCCCCCCCCCCCCCCCCCCC";
    if (broken & 16) event.stream = "DDDDDDDDDDDDDDDDDDDDDD";
    if (broken & 32) event.sent_payload = "to Vega!";
    if (broken & 64) event.timestamp_ms += 10'001;
    if (broken & 128) event.sequence = 9;
    CAPTURE(broken);
    const ErrorCode first = order[std::countr_zero(broken)];
    CHECK(refusal(event) == first);
    const Bytes frame = event.frame();
    const auto parsed = cs::parse_frame(frame);
    CHECK(cs::open_event_envelope(cs::ByteView(frame).first(cs::envelope_size(*parsed)),
                                  cs::sha256(parsed->payload), event_rules())
              .error() == first);
  }
}

TEST_CASE("E12 each refusal of an event names its stage", "[event]") {
  CHECK(cs::error_info(ErrorCode::wrong_session).stage == cs::Stage::session);
  CHECK(cs::error_info(ErrorCode::wrong_stream).stage == cs::Stage::sequence);
  CHECK(cs::error_info(ErrorCode::bad_sequence).stage == cs::Stage::sequence);
}

TEST_CASE("E12 a numbered event is the next one: none is missing, repeated or early", "[event]") {
  for (std::uint64_t sequence = 0; sequence < 12; ++sequence) {
    Event event;
    event.sequence = sequence;
    CAPTURE(sequence);
    CHECK(opens(event) == (sequence == 7));
    if (sequence != 7) CHECK(refusal(event) == ErrorCode::bad_sequence);
    CHECK(opens(event, event_rules(std::nullopt)));
  }
  Event first;
  first.sequence = 0;
  CHECK(refusal(first, event_rules(cs::EventPlace{0})) == ErrorCode::bad_sequence);
  CHECK(refusal(first, event_rules(cs::EventPlace{~std::uint64_t{0}})) == ErrorCode::bad_sequence);
  first.sequence = 1;
  CHECK(opens(first, event_rules(cs::EventPlace{0})));
}

TEST_CASE("E12 an unnumbered event repeats the last number, so that truncation shows", "[event]") {
  for (const char* type : {"cs.time", "cs.gap", "cs.revoked"}) {
    CAPTURE(type);
    CHECK_FALSE(cs::is_numbered(type));
    CHECK(opens(unnumbered(type, 6)));
    CHECK(refusal(unnumbered(type, 7)) == ErrorCode::bad_sequence);
    CHECK(refusal(unnumbered(type, 5)) == ErrorCode::bad_sequence);
    CHECK(opens(unnumbered(type, 0), event_rules(cs::EventPlace{0})));
  }
  for (const char* type : {"cs.times", "cs.", "cs.tim", "CS.TIME", "fleet.moved"})
    CHECK(cs::is_numbered(type));
}

TEST_CASE("E12 C6 a replayed cs.time is refused: unnumbered events do not go back in time",
          "[event]") {
  for (const char* type : {"cs.time", "cs.gap", "cs.revoked"}) {
    CAPTURE(type);
    CHECK(opens(unnumbered(type, 6, now_ms), event_rules(cs::EventPlace{6, now_ms})));
    CHECK(refusal(unnumbered(type, 6, now_ms - 1), event_rules(cs::EventPlace{6, now_ms})) ==
          ErrorCode::bad_sequence);
  }
  Event numbered;
  numbered.timestamp_ms = now_ms - 1;
  CHECK(opens(numbered, event_rules(cs::EventPlace{6, now_ms})));
}

TEST_CASE("an event's key is known and was valid at its time", "[event]") {
  Event event;
  event.key_id = "k2";
  CHECK(refusal(event) == ErrorCode::unknown_key);

  cs::ServerKey late = server_key;
  late.not_before_ms = now_ms + 1;
  cs::EventRules r = event_rules();
  r.trust.keys = {&late, 1};
  CHECK(refusal(Event{}, r) == ErrorCode::key_not_valid);

  cs::ServerKey ended = server_key;
  ended.not_after_ms = now_ms;
  r.trust.keys = {&ended, 1};
  CHECK(opens(Event{}, r));
  r.trust.time_floor_ms = now_ms + 1;
  CHECK(refusal(Event{}, r) == ErrorCode::key_not_valid);
}

TEST_CASE("an event's envelope brings no payload of its own", "[event]") {
  const Bytes frame = Event{}.frame();
  CHECK(cs::open_event_envelope(frame, cs::sha256(cs::bytes_of("to Rigel")), event_rules()).error() ==
        ErrorCode::trailing_bytes);
}

TEST_CASE("an answer is never taken for an event, nor an event cut short", "[event]") {
  std::uint8_t buffer[cs::max_signing_input_size];
  const cs::Hash hash = cs::sha256({});
  const cs::ResponseFields fields{.label = "demo",
                                  .request_id = "r",
                                  .timestamp_ms = now_ms,
                                  .result_code = "ok",
                                  .payload_hash = hash};
  const Bytes answer = server.frame(*cs::write_response(fields, buffer), "k1");
  CHECK(cs::open_event(answer, event_rules()).error() == ErrorCode::wrong_domain);

  const Bytes frame = Event{}.frame();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const auto opened = cs::open_event(cs::ByteView(frame).first(size), event_rules());
    CAPTURE(size);
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error() ==
          (size < frame.size() - 8 ? ErrorCode::truncated : ErrorCode::payload_mismatch));
  }
}

TEST_CASE("E12 the 24 golden events open for their own session, and for no other stream",
          "[event]") {
  const nlohmann::json all = test::vectors("exchange.json");
  const auto text = [](const nlohmann::json& row, const char* name) {
    return row.at(name).get<std::string>();
  };
  const auto& keys = all.at("keys");
  const auto golden = test::fixed<32>(test::unhex(text(keys, "server_public")));
  const std::string key_id = text(keys, "server_key_id");
  const cs::ServerKey key{key_id, cs::TrustedKey(golden)};
  int seen = 0;
  for (const auto& row : all.at("cases")) {
    if (text(row, "kind") != "event") continue;
    CAPTURE(text(row, "name"));
    const std::string label = text(row.at("fields"), "label");
    const std::string session = text(row.at("fields"), "device_session_id");
    const Bytes frame = test::unhex(text(row, "frame"));
    // Their ids are random: all before the stream passes, and the stream then does not.
    cs::EventRules r{.label = label,
                     .trust = {.keys = {&key, 1}},
                     .device_session_id = session,
                     .stream = "any"};
    CHECK(cs::open_event(frame, r).error() == ErrorCode::wrong_stream);
    r.device_session_id = "another";
    CHECK(cs::open_event(frame, r).error() == ErrorCode::wrong_session);
    Bytes forged = frame;
    forged[cs::envelope_size(*cs::parse_frame(frame)) - 1] ^= 1;
    CHECK(cs::open_event(forged, r).error() == ErrorCode::bad_signature);
    ++seen;
  }
  CHECK(seen == 24);
}
