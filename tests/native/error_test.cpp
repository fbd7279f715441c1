// SPDX-License-Identifier: MIT
#include "countersign/error.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "countersign/result.hpp"

namespace cs = countersign;

TEST_CASE("errors: numbers rise and the leading digit is the category", "[error]") {
  const auto& table = cs::error_table;
  CHECK(std::is_sorted(table.begin(), table.end(),
                       [](const auto& a, const auto& b) { return a.code <= b.code; }));
  for (const cs::ErrorInfo& info : table) {
    CAPTURE(info.name);
    CHECK(static_cast<int>(info.code) / 100 == static_cast<int>(info.category) + 1);
    CHECK(!info.message.empty());
    CHECK(&cs::error_info(info.code) == &info);
  }
}

TEST_CASE("errors: names are unique", "[error]") {
  for (const cs::ErrorInfo& info : cs::error_table) {
    CAPTURE(info.name);
    CHECK(std::count_if(cs::error_table.begin(), cs::error_table.end(),
                        [&](const auto& other) { return other.name == info.name; }) == 1);
  }
}

TEST_CASE("errors: a malformed message names the stage that refuses it", "[error]") {
  for (const cs::ErrorInfo& info : cs::error_table) {
    if (info.category == cs::Category::malformed) CHECK(info.stage != cs::Stage::none);
  }
  static_assert(cs::error_info(cs::ErrorCode::stale).stage == cs::Stage::freshness);
  static_assert(cs::error_info(cs::ErrorCode::unsupported_version).stage == cs::Stage::version);
  CHECK(cs::stage_name(cs::Stage::payload_hash) == "payload_hash");
}

TEST_CASE("errors: a number that is not in the table is internal", "[error]") {
  CHECK(cs::error_info(static_cast<cs::ErrorCode>(-7)).name == "internal");
}

TEST_CASE("results: hold a value or an error", "[result]") {
  const cs::Result<int> good = 7;
  const cs::Result<int> bad = cs::ErrorCode::truncated;
  CHECK((good.ok() && good && *good == 7));
  CHECK((!bad.ok() && !bad && bad.error() == cs::ErrorCode::truncated));
  CHECK(cs::Status().ok());
  CHECK(cs::Status(cs::ErrorCode::stale).error() == cs::ErrorCode::stale);
}
