// SPDX-License-Identifier: MIT
// exchange.json: made by an independent program from the protocol's text.
#include <catch2/catch.hpp>
#ifdef COUNTERSIGN_TEST_OPENSSL
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#endif

#include "countersign/enrollment.hpp"
#include "countersign/event.hpp"
#include "countersign/judge.hpp"
#include "countersign/marker.hpp"
#include "countersign/response.hpp"
#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
using nlohmann::json;
using test::Bytes;
using test::unhex;

namespace {

const json& exchange() {
  static const json all = test::vectors("exchange.json");
  return all;
}

/// Case is a golden message, its fields as views into the vectors.
struct Case {
  const json& fields;
  Bytes payload_hash = bytes("payload_hash");
  Bytes public_key = bytes("public_key");

  Bytes bytes(const char* name) const {
    return fields.contains(name) ? unhex(text(name)) : Bytes(32);
  }
  std::string_view text(const char* name) const {
    return fields.at(name).get_ref<const std::string&>();
  }
  std::uint64_t number(const char* name) const { return fields.at(name).get<std::uint64_t>(); }
  cs::HashView hash() const { return cs::HashView(payload_hash); }
  cs::Algorithm algorithm() const {
    return text("algorithm") == "ed25519" ? cs::Algorithm::ed25519 : cs::Algorithm::es256;
  }

  cs::RequestFields request(std::string_view id) const {
    return {text("label"),
            text("protocol_version"),
            text("device_session_id"),
            text("message_type"),
            number("timestamp_ms"),
            id,
            hash()};
  }
  cs::ResponseFields response() const {
    return {text("label"),          text("protocol_version"), text("request_id"),
            number("timestamp_ms"), text("result_code"),      hash()};
  }
  cs::EventFields event() const {
    return {
        text("label"),      text("protocol_version"), text("device_session_id"), text("event_type"),
        number("sequence"), number("timestamp_ms"),   text("event_id"),          hash()};
  }
  cs::EnrollFields enroll() const {
    return {text("label"), text("challenge_id"), algorithm(), public_key, text("email")};
  }
  cs::RotateFields rotate() const {
    return {text("label"), text("device_session_id"), text("request_id"), algorithm(), public_key};
  }

  cs::Result<cs::ByteView> write(const std::string& kind, cs::Buffer out) const {
    if (kind == "request") return cs::write_request(request(text("request_id")), out);
    if (kind == "response") return cs::write_response(response(), out);
    if (kind == "event") return cs::write_event(event(), out);
    if (kind == "enroll") return cs::write_enroll(enroll(), out);
    return cs::write_rotate(rotate(), out);
  }
};

/// Reads a signing input of its kind and writes what was read.
cs::Result<cs::ByteView> rewrite(cs::ByteView input, cs::Buffer out) {
  const auto again = [&](const auto& parsed, auto write) {
    return parsed ? write(*parsed, out) : cs::Result<cs::ByteView>(parsed.error());
  };
  const auto marker = cs::parse_marker(input);
  if (!marker) return marker.error();
  switch (marker->kind) {
    case cs::Kind::request:
      return again(cs::parse_request(input), cs::write_request);
    case cs::Kind::response:
      return again(cs::parse_response(input), cs::write_response);
    case cs::Kind::event:
      return again(cs::parse_event(input), cs::write_event);
    case cs::Kind::enroll:
      return again(cs::parse_enroll(input), cs::write_enroll);
    case cs::Kind::rotate:
      return again(cs::parse_rotate(input), cs::write_rotate);
  }
  return cs::ErrorCode::internal;
}

#ifdef COUNTERSIGN_TEST_OPENSSL
/// A host's ES256, as a C++ server would verify it: r and s become the DER that OpenSSL wants.
bool openssl_es256(cs::ByteView public_key, cs::ByteView message, cs::SignatureView signature) {
  Bytes der{0x30, 0};
  for (const auto half : {cs::ByteView(signature).first(32), cs::ByteView(signature).last(32)}) {
    Bytes number = test::copy(half);
    while (number.size() > 1 && number.front() == 0) number.erase(number.begin());
    if (number.front() > 0x7f) number.insert(number.begin(), 0);
    der.push_back(0x02);
    der.push_back(static_cast<std::uint8_t>(number.size()));
    der.insert(der.end(), number.begin(), number.end());
  }
  der[1] = static_cast<std::uint8_t>(der.size() - 2);
  // SubjectPublicKeyInfo of an uncompressed P-256 point.
  Bytes spki = unhex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
  spki.insert(spki.end(), public_key.begin(), public_key.end());
  const unsigned char* at = spki.data();
  EVP_PKEY* key = d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size()));
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const bool good =
      key != nullptr && EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestVerify(context, der.data(), der.size(), message.data(), message.size()) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return good;
}
#endif

}  // namespace

TEST_CASE("A7 the 120 golden messages are written, read, signed and framed to the byte",
          "[vectors]") {
  const auto& keys = exchange().at("keys");
  const auto client = test::fixed<32>(unhex(keys.at("client_public").get<std::string>()));
  const auto server_public = test::fixed<32>(unhex(keys.at("server_public").get<std::string>()));
  int seen = 0;
  int framed = 0;
  for (const json& row : exchange().at("cases")) {
    const std::string kind = row.at("kind");
    CAPTURE(row.at("name").get<std::string>());
    const Bytes input = unhex(row.at("signing_input").get<std::string>());
    const auto signature = test::fixed<64>(unhex(row.at("signature").get<std::string>()));

    std::uint8_t buffer[cs::max_signing_input_size];
    CHECK(test::copy(*Case{row.at("fields")}.write(kind, buffer)) == input);
    CHECK(test::copy(*rewrite(input, buffer)) == input);
    const auto marker = cs::parse_marker(input);
    CHECK(marker->label == row.at("fields").at("label").get_ref<const std::string&>());
    CHECK("-" + kind + "-v1" == cs::marker_suffix(marker->kind));

    CHECK(cs::verify_ed25519(kind == "response" || kind == "event" ? server_public : client, input,
                             signature));
    ++seen;

    if (!row.contains("frame")) continue;  // proofs of possession travel as they are
    ++framed;
    const Bytes payload = unhex(row.at("payload").get<std::string>());
    const Bytes frame = unhex(row.at("frame").get<std::string>());
    const std::string key_id = row.at("key_id");
    Bytes written(frame.size());
    const cs::Frame parts{input, key_id, signature, payload};
    CHECK(test::copy(*cs::write_frame(parts, written)) == frame);
    const auto parsed = cs::parse_frame(frame);
    CHECK(test::copy(parsed->signing_input) == input);
    CHECK(parsed->key_id == key_id);
    CHECK(test::copy(parsed->signature) == test::copy(signature));
    CHECK(test::copy(parsed->payload) == payload);
    CHECK(cs::envelope_size(*parsed) == frame.size() - payload.size());
  }
  CHECK(seen == 120);
  CHECK(framed == 72);
}

TEST_CASE("A6 every truncation of a golden frame or signing input is refused", "[vectors]") {
  for (const json& row : exchange().at("cases")) {
    const Bytes input = unhex(row.at("signing_input").get<std::string>());
    std::uint8_t buffer[cs::max_signing_input_size];
    for (std::size_t size = 0; size < input.size(); ++size) {
      const Bytes cut(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
      if (rewrite(cut, buffer).ok()) FAIL(row.at("name").get<std::string>() << " cut to " << size);
    }
    if (!row.contains("frame")) continue;
    const Bytes frame = unhex(row.at("frame").get<std::string>());
    const Bytes payload = unhex(row.at("payload").get<std::string>());
    for (std::size_t size = 0; size < frame.size() - payload.size(); ++size) {
      const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      const auto parsed = cs::parse_frame(cut);
      if (parsed || parsed.error() != cs::ErrorCode::truncated)
        FAIL(row.at("name").get<std::string>() << " cut to " << size);
    }
  }
}

TEST_CASE("the 12 request ids are bound as the vectors say", "[vectors]") {
  int seen = 0;
  for (const json& row : exchange().at("request_ids")) {
    CAPTURE(row.at("name").get<std::string>());
    const Case golden{row.at("fields")};
    const std::string head = row.at("head");
    const std::string id = row.at("request_id");
    std::uint8_t buffer[cs::max_signing_input_size];
    const auto begun = cs::begin_request(golden.request(head), buffer);
    CHECK(begun->request_id == id);
    std::uint8_t whole[cs::max_signing_input_size];
    CHECK(test::copy(begun->signing_input) ==
          test::copy(*cs::write_request(golden.request(id), whole)));
    const auto parts = cs::check_request_id(golden.request(id));
    CHECK(parts->head == head);
    CHECK(parts->idempotency_key == (head.size() > 22 ? head.substr(23) : ""));
    ++seen;
  }
  CHECK(seen == 12);
}

TEST_CASE("B1 the 16 ES256 signatures count as the host's verdict says, and not without one",
          "[vectors]") {
  int seen = 0;
  for (const json& row : exchange().at("es256")) {
    CAPTURE(row.at("name").get<std::string>());
    const Bytes key = unhex(row.at("public_key").get<std::string>());
    const Bytes input = unhex(row.at("signing_input").get<std::string>());
    const auto signature = test::fixed<64>(unhex(row.at("signature").get<std::string>()));
    CHECK(key.size() == cs::es256_key_size);
    const auto fields = cs::parse_request(input);
    REQUIRE(fields.ok());
    const cs::OpenedRequest request{{input, {}, signature}, *fields, {}};
    const cs::Session session{cs::SessionStatus::active, {cs::Algorithm::es256, key}};
    const cs::JudgeTime time{{fields->timestamp_ms}};
    const auto judge = [&](const cs::Es256Verdicts& es256) {
      const auto judged = cs::judge_request(request, session, es256, time);
      return judged->next == cs::NextStep::refuse ? judged->refusal->stage : cs::Stage::none;
    };
    CHECK(cs::judge_request(request, session, {}, time)->next == cs::NextStep::verify_key);
    CHECK(judge({.key = false}) == cs::Stage::signature);
#ifdef COUNTERSIGN_TEST_OPENSSL
    const bool good = row.at("valid").get<bool>();
    CHECK(openssl_es256(key, input, signature) == good);
    CHECK(judge({.key = good}) == (good ? cs::Stage::none : cs::Stage::signature));
#endif
    ++seen;
  }
  CHECK(seen == 16);
}

TEST_CASE("4 answers are accepted and 45 refused, each at its stage", "[vectors]") {
  const json& all = exchange().at("open_response");
  const auto server_public =
      test::fixed<32>(unhex(exchange().at("keys").at("server_public").get<std::string>()));
  const std::string key_id = exchange().at("keys").at("server_key_id");
  const cs::ServerKey keys[] = {{key_id, cs::TrustedKey(server_public)}};
  const std::string label = all.at("label");
  const std::string request_id = all.at("expected_request_id");
  const cs::ResponseRules rules{
      label,
      {keys},
      request_id,
      cs::Window{all.at("now_ms"), all.at("past_ms"), all.at("future_ms")}};

  /// The same answer through the envelope, its payload hashed apart.
  const auto open_apart = [&](const Bytes& bytes) -> cs::Result<cs::OpenedResponse> {
    const auto frame = cs::parse_frame(bytes);
    if (!frame) return frame.error();
    return cs::open_envelope(cs::ByteView(bytes).first(cs::envelope_size(*frame)),
                             cs::sha256(frame->payload), rules);
  };
  for (const json& row : all.at("accept")) {
    CAPTURE(row.at("name").get<std::string>());
    const Bytes frame = unhex(row.at("frame").get<std::string>());
    const auto opened = cs::open_response(frame, rules);
    REQUIRE(opened.ok());
    CHECK(opened->result_code == "ok");
    CHECK(test::hex(opened->payload) == all.at("payload").get<std::string>());
    CHECK(open_apart(frame)->timestamp_ms == opened->timestamp_ms);
  }
  int refused = 0;
  for (const json& row : all.at("refuse")) {
    CAPTURE(row.at("name").get<std::string>());
    const Bytes frame = unhex(row.at("frame").get<std::string>());
    const auto opened = cs::open_response(frame, rules);
    REQUIRE_FALSE(opened.ok());
    CHECK(cs::stage_name(cs::error_info(opened.error()).stage) ==
          row.at("stage").get<std::string>());
    const auto apart = open_apart(frame);
    REQUIRE_FALSE(apart.ok());
    CHECK(apart.error() == opened.error());
    ++refused;
  }
  CHECK(all.at("accept").size() == 4);
  CHECK(refused == 45);
}
