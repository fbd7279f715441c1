// SPDX-License-Identifier: MIT
// The documents of nst/JSONTestSuite: which of them are strict JSON (R173).
#include <catch2/catch.hpp>

#include "countersign/json/canonical.hpp"
#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
namespace json = countersign::json;

TEST_CASE("R173 R174 every document of JSONTestSuite is read or refused as the rules say",
          "[json]") {
  const auto suite = test::vectors("json-test-suite.json");
  std::size_t accepted = 0;
  for (const auto& row : suite.at("cases")) {
    const auto text_of = [&](const char* name) {
      const test::Bytes bytes = test::unhex(row.value(name, std::string()));
      return std::string(bytes.begin(), bytes.end());
    };
    std::string body;
    for (std::size_t left = row.value("times", std::size_t{1}); left > 0; --left) {
      body += text_of("hex");
    }
    body += text_of("tail");
    CAPTURE(row.at("name").get<std::string>());
    const auto canonical = json::canonical_json(body);
    CHECK(canonical.ok() == row.at("strict").get<bool>());
    if (!canonical.ok()) {
      CHECK(canonical.error() == cs::ErrorCode::bad_json);
      continue;
    }
    // What was read means the same once it is written.
    const auto again = json::canonical_json(*canonical);
    REQUIRE(again.ok());
    CHECK(*again == *canonical);
    ++accepted;
  }
  CHECK(suite.at("cases").size() == 340);
  CHECK(accepted == 111);
}
