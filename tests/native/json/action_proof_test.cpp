// SPDX-License-Identifier: MIT
#include "countersign/json/action_proof.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
using cs::ProofMode;
using cs::ProofVerdict;
using Value = nlohmann::json;

namespace {

const Value& recorded_proofs() {
  static const Value all = test::vectors("action-proof.json");
  return all;
}

std::string secret() {
  return recorded_proofs().at("fixed").at("client_secret");
}

std::uint64_t proof_time_ms() {
  return recorded_proofs().at("fixed").at("timestamp_ms");
}

ProofVerdict judge(const std::string& body, ProofMode mode = ProofMode::slices,
                   std::uint64_t at_ms = proof_time_ms()) {
  cs::ActionProof proof;
  return cs::verify_action_proof(body, cs::bytes_of(secret()), {.now_ms = at_ms, .mode = mode},
                                 proof);
}

std::string sample() {
  return recorded_proofs().at("cases").at(0).at("wire_body");
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

}  // namespace

TEST_CASE("L3 every recorded proof verifies over its own bytes, in both modes", "[action-proof]") {
  int seen = 0;
  for (const Value& entry : recorded_proofs().at("cases")) {
    const std::string name = entry.at("name");
    CAPTURE(name);
    // Members that vanish, points of null and an empty nonce are refused by rule.
    const bool is_refused =
        name == "data_undefined" || name == "points_nan" || name == "nonce_empty";
    const ProofVerdict wanted = is_refused ? ProofVerdict::malformed : ProofVerdict::ok;
    for (const ProofMode mode : {ProofMode::slices, ProofMode::excise}) {
      CHECK(judge(entry.at("wire_body"), mode) == wanted);
    }
    ++seen;
  }
  CHECK(seen == 28);
  cs::ActionProof proof;
  const std::string body = sample();
  const auto verdict =
      cs::verify_action_proof(body, cs::bytes_of(secret()), {.now_ms = proof_time_ms()}, proof);
  REQUIRE(verdict == ProofVerdict::ok);
  CHECK(proof.action_type == "puzzle_complete");
  CHECK(proof.timestamp_ms == proof_time_ms());
  CHECK(proof.expected_points == 100);
  CHECK(proof.action_data == R"({"puzzle_id":"abc123","completion_time":45.2,"moves_count":127})");
}

TEST_CASE("L3 wire variants verify as recorded", "[action-proof]") {
  int seen = 0;
  for (const Value& entry : recorded_proofs().at("wire_variants").at("cases")) {
    CAPTURE(entry.at("name").get<std::string>());
    const Value& result = entry.at("result");
    const ProofVerdict slices = judge(entry.at("body"));
    CHECK((slices == ProofVerdict::ok) == (result.at("raw_slices_fixed_order") == true));
    if (result.at("raw_slices_fixed_order") == "malformed")
      CHECK(slices == ProofVerdict::malformed);
    const ProofVerdict excised = judge(entry.at("body"), ProofMode::excise);
    CHECK((excised == ProofVerdict::ok) == (result.at("raw_excise") == true));
    ++seen;
  }
  CHECK(seen == 17);
}

TEST_CASE("L3 an age is fresh as recorded, to the millisecond", "[action-proof]") {
  for (const Value& entry : recorded_proofs().at("freshness").at("cases")) {
    const double age_s = entry.at("age_s");
    CAPTURE(age_s);
    const auto at_ms =
        static_cast<std::uint64_t>(static_cast<double>(proof_time_ms()) + age_s * 1000 + 0.5);
    const ProofVerdict wanted = entry.at("recommended") ? ProofVerdict::ok : ProofVerdict::stale;
    CHECK(judge(sample(), ProofMode::slices, at_ms) == wanted);
  }
  CHECK(judge(sample(), ProofMode::slices, proof_time_ms() + 29'999) == ProofVerdict::ok);
  CHECK(judge(sample(), ProofMode::slices, proof_time_ms() + 30'000) == ProofVerdict::stale);
  CHECK(judge(sample(), ProofMode::slices, proof_time_ms() - 5'000) == ProofVerdict::ok);
  CHECK(judge(sample(), ProofMode::slices, proof_time_ms() - 5'001) == ProofVerdict::stale);
}

TEST_CASE("C11 timestamps are UTC of days that exist", "[action-proof]") {
  for (const Value& entry : recorded_proofs().at("to_iso_string")) {
    const double ms = entry.at(0);
    const std::string text = entry.at(1);
    CAPTURE(text);
    const auto read = cs::time_of_timestamp(text);
    const bool is_ours = ms >= 0 && text.size() == 24;
    CHECK(read.has_value() == is_ours);
    if (read) CHECK(static_cast<double>(*read) == ms);
  }
  CHECK(*cs::time_of_timestamp("2000-02-29T23:59:59Z") == 951'868'799'000);
  CHECK(*cs::time_of_timestamp("2024-02-29T00:00:00.001Z") == 1'709'164'800'001);
  for (const char* wrong : {"",
                            "2023-02-29T00:00:00Z",
                            "1900-02-29T00:00:00Z",
                            "2025-02-30T00:00:00Z",
                            "2025-13-01T00:00:00Z",
                            "2025-00-01T00:00:00Z",
                            "2025-01-00T00:00:00Z",
                            "2025-07-17T24:00:00Z",
                            "2025-07-17T10:60:00Z",
                            "2025-07-17T10:30:60Z",
                            "2025-07-17t10:30:00z",
                            "2025-07-17 10:30:00Z",
                            "2025-07-17T10:30:00+00:00",
                            "2025-07-17T10:30:00.1Z",
                            "2025-07-17T10:30:00.0000Z",
                            "2025-7-17T10:30:00Z",
                            "2025-07-17T10:30:00",
                            "2025-07-17T10:30:00.00aZ",
                            "+025-07-17T10:30:00Z",
                            "2025-07-17T10:30:00Z "}) {
    CAPTURE(wrong);
    CHECK_FALSE(cs::time_of_timestamp(wrong));
  }
}

TEST_CASE("A8 A9 A11 A12 bodies that two readers could read as two are malformed",
          "[action-proof]") {
  const std::string good = sample();
  const std::string data = R"({"puzzle_id":"abc123","completion_time":45.2,"moves_count":127})";
  const auto with_data = [&](const std::string& other) { return replaced(good, data, other); };
  const std::vector<std::string> bodies = {
      "",
      "[]",
      "{}",
      "null",
      R"({"action_proof":1})",
      R"({"action_proof":[]})",
      R"({"action_proof":{}})",
      "\xef\xbb\xbf" + good,
      good + "x",
      good.substr(0, good.size() - 1),
      with_data(R"({"a":1,"a":2})"),
      with_data(R"({"a":1,"\u0061":2})"),
      with_data("1e400"),
      with_data("01"),
      with_data(R"("\ud800")"),
      with_data(std::string(100'000, '[')),
      with_data(std::string(65, '[') + std::string(65, ']')),
      replaced(good, R"("expected_points":100)", R"("expected_points":"100")"),
      replaced(good, R"("expected_points":100)", R"("expected_points":null)"),
      replaced(good, R"("action_proof":)", R"("action_proof":1,"action_proof":)"),
      "{\"\xff\":1}",
  };
  for (const std::string& body : bodies) {
    CAPTURE(body.substr(0, 120));
    for (const ProofMode mode : {ProofMode::slices, ProofMode::excise}) {
      CHECK(judge(body, mode) == ProofVerdict::malformed);
    }
  }
}

TEST_CASE("L3 every prefix and every flipped bit is refused", "[action-proof]") {
  const std::string good = sample();
  for (std::size_t end = 0; end < good.size(); ++end) {
    CHECK(judge(good.substr(0, end)) != ProofVerdict::ok);
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      CAPTURE(at, bit);
      CHECK(judge(changed) != ProofVerdict::ok);
      CHECK(judge(changed, ProofMode::excise) != ProofVerdict::ok);
    }
  }
}

TEST_CASE("a batch is 1 to 50 proofs in order, each with its own verdict", "[action-proof]") {
  const std::string one = sample().substr(16, sample().size() - 17);
  const auto batch = [&](std::size_t count) {
    std::string text = "{\"action_proofs\":[";
    for (std::size_t at = 0; at < count; ++at) text += (at == 0 ? "" : ",") + one;
    return text + "]}";
  };
  const cs::ProofRules rules{.now_ms = proof_time_ms()};
  for (const std::size_t count : {1U, 2U, 50U}) {
    const auto read = cs::read_action_proofs(batch(count), rules);
    REQUIRE(read.ok());
    CHECK(read->is_batch);
    REQUIRE(read->proofs.size() == count);
    for (const cs::ReadProof& proof : read->proofs) {
      CHECK(proof.verdict == ProofVerdict::ok);
      REQUIRE(proof.tag.has_value());
      CHECK(
          cs::verify_hmac_sha256(cs::bytes_of(secret()), cs::bytes_of(proof.message), *proof.tag));
    }
  }
  const auto mixed = cs::read_action_proofs(replaced(batch(2), one + "," + one, "1," + one), rules);
  REQUIRE(mixed.ok());
  CHECK(mixed->proofs[0].verdict == ProofVerdict::malformed);
  CHECK(mixed->proofs[1].verdict == ProofVerdict::ok);
  const std::string both = "{\"action_proof\":" + one + "," + batch(1).substr(1);
  for (const std::string& bad : {batch(0), batch(51), both, std::string("{\"action_proofs\":{}}"),
                                 std::string("{\"action_proofs\":1}"), std::string("[]")}) {
    CHECK(cs::read_action_proofs(bad, rules).error() == cs::ErrorCode::bad_json);
  }
  CHECK(judge(batch(1)) == ProofVerdict::malformed);
  CHECK(judge(both) == ProofVerdict::malformed);
}

TEST_CASE("a bare proof has five members and no signature", "[action-proof]") {
  const std::string members = recorded_proofs().at("cases").at(0).at("signed");
  const std::string body = "{\"action_proof\":" + members + "}";
  const auto read = [&](const std::string& text, std::uint64_t now_ms) {
    const auto proofs = cs::read_action_proofs(text, {.now_ms = now_ms, .mode = ProofMode::bare});
    REQUIRE(proofs.ok());
    return proofs->proofs.at(0);
  };
  const cs::ReadProof proof = read(body, proof_time_ms());
  CHECK(proof.verdict == ProofVerdict::ok);
  CHECK(proof.message == members);
  CHECK_FALSE(proof.tag.has_value());
  CHECK(read(body, proof_time_ms() + 30'000).verdict == ProofVerdict::stale);
  CHECK(read(sample(), proof_time_ms()).verdict == ProofVerdict::malformed);
  // Nobody vouches for it here.
  CHECK(judge(body, ProofMode::bare) == ProofVerdict::malformed);
}
