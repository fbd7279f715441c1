// SPDX-License-Identifier: MIT
// The recorded vectors natively: StatsCode's events, canonical JSON, printed numbers; and
// nlohmann/json as a second reader.
#include "vectors.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "countersign/json/canonical.hpp"
#include "countersign/json/number.hpp"
#include "countersign/json/stats_event.hpp"
#include "support.hpp"

namespace cs = countersign;
namespace json = countersign::json;
using cs::StatsMode;
using cs::StatsVerdict;
using Value = nlohmann::json;
using test::Random;

namespace {

const Value& recorded() {
  static const Value all = test::vectors("stats-event.json");
  return all;
}

cs::StatsKey key_of(const std::string& text) {
  auto key = cs::StatsKey::import(cs::bytes_of(text));
  REQUIRE(key.ok());
  return *key;
}

std::string text_of(const Value& row, const char* name) {
  return row.at(name).get<std::string>();
}

/// Puts a signature into the text of an event that has none.
std::string with_signature(std::string event, const std::string& signature) {
  event.insert(event.size() - 1, ",\"signature\":\"" + signature + "\"");
  return event;
}

/// Every recorded text that is JSON: events with and without signatures.
std::vector<std::string> recorded_texts() {
  std::vector<std::string> texts;
  for (const char* group : {"sign_event", "create_signed_event", "verify_event", "anomalies"}) {
    for (const Value& row : recorded().at(group).at("cases")) {
      for (const char* name : {"input_json", "event_json"}) {
        if (row.contains(name) && row.at(name).is_string()) texts.push_back(text_of(row, name));
      }
    }
  }
  for (const char* name : {"arrays", "french", "structures", "unicode", "values", "weird"}) {
    for (const char* folder : {"input", "output"}) {
      texts.push_back(test::vector_text("jcs/" + std::string(folder) + "/" + name + ".json"));
    }
  }
  return texts;
}

/// A small event in each mode, its two keys made by hand: HKDF and HMAC of the core.
struct Signer {
  std::string secret = std::string(64, '0');
  cs::StatsKey key = key_of(secret);

  cs::Hash strict_key() const {
    const cs::Hash extracted = cs::hmac_sha256(cs::Hash{}, cs::bytes_of(secret));
    return cs::hmac_sha256(extracted, cs::bytes_of(std::string("stats-event-v2\x01")));
  }
  std::string sign(cs::ByteView key_bytes, const std::string& message) const {
    return test::hex(cs::hmac_sha256(key_bytes, cs::bytes_of(message)));
  }
  std::string event(const std::string& more) const {
    return R"({"type":"session","data":{"hours":2,"tags":["a",{"deep":[1,null]}])" + more +
           R"(},"timestamp":1769598000000,"nonce":"a0a1a2a3a4a5a600","deviceId":")" +
           key.device_id() + "\"}";
  }
  std::string compatible(const std::string& event) const {
    const auto document = json::Document::read(event);
    return with_signature(event, sign(cs::bytes_of(secret), cs::compatible_message(*document)));
  }
  std::string strict_of(const std::string& event) const {
    const auto document = json::Document::read(event);
    return sign(strict_key(), cs::strict_message(*document));
  }
  std::string in(StatsMode mode) const {
    const std::string plain = event("");
    if (mode == StatsMode::compatible) return compatible(plain);
    if (mode == StatsMode::strict) return with_signature(plain, strict_of(plain));
    return compatible(event(",\"strict_signature\":\"" + strict_of(plain) + "\""));
  }
};

constexpr StatsMode modes[] = {StatsMode::strict, StatsMode::covered, StatsMode::compatible};

}  // namespace

TEST_CASE("every recorded key file gives its device id, and a blank one is refused", "[vectors]") {
  for (const Value& row : recorded().at("device")) {
    CAPTURE(text_of(row, "name"));
    const auto key = cs::StatsKey::import(test::unhex(text_of(row, "key_file_hex")));
    const bool is_blank = text_of(row, "key_string_utf8_hex").empty();
    REQUIRE(key.ok() == !is_blank);
    if (is_blank) CHECK(key.error() == cs::ErrorCode::invalid_argument);
    if (!is_blank) CHECK(key->device_id() == text_of(row, "device_id"));
  }
}

TEST_CASE("every recorded event gives its message and its signatures, or is malformed by rule",
          "[vectors]") {
  const Value& group = recorded().at("sign_event");
  const cs::StatsKey keys[] = {key_of(text_of(group, "device_key")),
                               key_of(text_of(group, "device_key2"))};
  std::size_t compared = 0;
  for (const Value& row : group.at("cases")) {
    if (!row.at("input_json").is_string()) continue;
    const std::string input = text_of(row, "input_json");
    CAPTURE(text_of(row, "name"));
    const bool is_refused = text_of(row, "name") == "extra_top_level_proto" ||
                            text_of(row, "name") == "timestamp_1e400_overflow";
    const auto verify = [&](const char* name, std::size_t at) {
      return cs::verify_stats_event(with_signature(input, text_of(row, name)), keys[at],
                                    StatsMode::compatible);
    };
    if (is_refused) {
      CHECK(verify("signature", 0) == StatsVerdict::malformed);
      continue;
    }
    const auto document = json::Document::read(input);
    REQUIRE(document.ok());
    CHECK(cs::compatible_message(*document) == text_of(row, "signed"));
    CHECK(verify("signature", 0) == StatsVerdict::ok);
    CHECK(verify("signature_key2", 1) == StatsVerdict::ok);
    CHECK(verify("signature", 1) == StatsVerdict::signature_mismatch);
    ++compared;
  }
  CHECK(compared == 23);
}

TEST_CASE("the recorded verdicts", "[vectors]") {
  const Value& group = recorded().at("verify_event");
  const cs::StatsKey key = key_of(text_of(group, "device_key"));
  for (const Value& row : group.at("cases")) {
    CAPTURE(text_of(row, "name"));
    const auto verdict =
        cs::verify_stats_event(text_of(row, "event_json"), key, StatsMode::compatible);
    CHECK((verdict == StatsVerdict::ok) == row.at("valid").get<bool>());
  }
}

TEST_CASE("the recorded numbers are printed as ECMAScript prints them", "[vectors]") {
  const Value& rows = recorded().at("js_number_format").at("cases");
  CHECK(rows.size() == 330);
  for (const Value& row : rows) {
    const std::string bits = row.at(0).get<std::string>();
    std::string printed;
    const std::uint64_t same = std::stoull(bits, nullptr, 16);
    double number = 0;
    std::memcpy(&number, &same, sizeof number);
    json::append_number(printed, number);
    CAPTURE(bits);
    CHECK(printed == row.at(1).get<std::string>());
    CHECK(json::read_number(printed) == number);
  }
}

TEST_CASE("canonical JSON has the bytes that RFC 8785 gives", "[vectors]") {
  for (const char* name : {"arrays", "french", "structures", "unicode", "values", "weird"}) {
    const auto written =
        json::canonical_json(test::vector_text("jcs/input/" + std::string(name) + ".json"));
    REQUIRE(written.ok());
    CHECK(*written == test::vector_text("jcs/output/" + std::string(name) + ".json"));
  }
}

TEST_CASE("no prefix of a recorded text is a text", "[vectors]") {
  const cs::StatsKey key = key_of(std::string(64, '0'));
  for (const std::string& text : recorded_texts()) {
    const std::size_t end = text.find_last_not_of(" \n");
    for (std::size_t size = 0; size <= end; ++size) {
      const std::string prefix = text.substr(0, size);
      CHECK_FALSE(json::Document::read(prefix).ok());
      CHECK(cs::verify_stats_event(prefix, key, StatsMode::strict) == StatsVerdict::malformed);
    }
  }
}

TEST_CASE("the three modes, and the hole of the compatible one", "[stats]") {
  const Signer signer;
  for (const StatsMode mode : modes) {
    const std::string event = signer.in(mode);
    CAPTURE(event);
    for (const StatsMode judged : modes) {
      const bool is_good =
          judged == mode || (judged == StatsMode::compatible && mode == StatsMode::covered);
      CHECK(cs::verify_stats_event(event, signer.key, judged) ==
            (is_good ? StatsVerdict::ok : StatsVerdict::signature_mismatch));
    }
    std::string forged = event;
    forged.replace(forged.find("\"hours\":2"), 9, "\"hours\":9");
    CHECK(cs::verify_stats_event(forged, signer.key, mode) ==
          (mode == StatsMode::compatible ? StatsVerdict::ok : StatsVerdict::signature_mismatch));
  }
}

TEST_CASE("an inner signature that is missing, moved or unsigned is never let pass", "[stats]") {
  const Signer signer;
  const std::string bare = signer.in(StatsMode::compatible);
  CHECK(cs::verify_stats_event(bare, signer.key, StatsMode::covered) ==
        StatsVerdict::signature_mismatch);
  std::string padded = signer.in(StatsMode::strict);
  padded.replace(padded.find("\"hours\""), 7, R"("strict_signature":null,"hours")");
  CHECK(cs::verify_stats_event(padded, signer.key, StatsMode::strict) ==
        StatsVerdict::signature_mismatch);
}

TEST_CASE("B14 a short key, and a foreign device", "[stats]") {
  const Signer signer;
  const cs::StatsKey weak = key_of(std::string(31, 'x'));
  CHECK_FALSE(weak.is_strong());
  const std::string event = signer.in(StatsMode::strict);
  CHECK(cs::verify_stats_event(event, weak, StatsMode::strict) == StatsVerdict::weak_key);
  CHECK(cs::verify_stats_event(event, weak, StatsMode::covered) == StatsVerdict::weak_key);
  const cs::StatsKey other = key_of(std::string(64, '1'));
  CHECK(cs::verify_stats_event(event, other, StatsMode::strict) == StatsVerdict::device_mismatch);
  CHECK(cs::verdict_name(StatsVerdict::device_mismatch) == "device_mismatch");
  for (const char* text : {"", "[]", "1", "{", "{\"a\":1,\"a\":1}", "{\"x\":{\"__proto__\":1}}"}) {
    CHECK(cs::verify_stats_event(text, signer.key, StatsMode::compatible) ==
          StatsVerdict::malformed);
  }
}

TEST_CASE("10,000 mutated events in each mode: what verifies is what was signed", "[stats]") {
  const Signer signer;
  Random random(7);
  for (const StatsMode mode : modes) {
    const std::string event = signer.in(mode);
    // What the mode protects, as a text.
    const auto protected_part = [&](const std::string& text) {
      const auto document = json::Document::read(text);
      if (!document) return std::string();
      const std::size_t signature = document->find(json::Document::root, "signature");
      if (mode != StatsMode::compatible || signature == json::Document::none) {
        return json::write_canonical(*document);
      }
      return cs::compatible_message(*document) + document->text(signature);
    };
    const std::string own = protected_part(event);
    std::size_t refused = 0;
    for (int round = 0; round < 10'000; ++round) {
      std::string mutated = event;
      for (std::size_t changes = 1 + random.index(2); changes > 0; --changes) {
        const std::size_t at = random.index(mutated.size());
        const auto byte =
            static_cast<char>(random.below(3) == 0 ? random.below(256) : 32 + random.below(95));
        if (random.below(3) == 0)
          mutated.erase(at, 1);
        else if (random.below(2) == 0)
          mutated.insert(at, 1, byte);
        else
          mutated[at] = byte;
      }
      const bool verifies = cs::verify_stats_event(mutated, signer.key, mode) == StatsVerdict::ok;
      if (!verifies) ++refused;
      const bool is_same = protected_part(mutated) == own;
      if (verifies != is_same) {
        CAPTURE(mutated);
        CHECK(verifies == is_same);
      }
    }
    CHECK(refused > 5000);
  }
}

TEST_CASE("nlohmann/json takes every text that is taken here, and reads the same of it", "[json]") {
  Random random(11);
  const std::vector<std::string> texts = recorded_texts();
  std::size_t taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = texts[random.index(texts.size())];
    for (std::size_t changes = random.index(3); changes > 0; --changes) {
      const std::size_t at = random.index(text.size());
      text[at] = static_cast<char>(32 + random.below(95));
    }
    const auto ours = json::canonical_json(text);
    if (!ours) continue;
    ++taken;
    const Value theirs = Value::parse(text, nullptr, false);
    REQUIRE_FALSE(theirs.is_discarded());
    // It keeps integers beyond 2^53 apart, which JavaScript does not: so through a text again.
    REQUIRE(*json::canonical_json(theirs.dump()) == *ours);
  }
  CHECK(taken > 4000);
}
