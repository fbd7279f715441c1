// SPDX-License-Identifier: MIT
#include "countersign/marker.hpp"

#include <catch2/catch.hpp>

#include "messages.hpp"

namespace cs = countersign;

namespace {

cs::Result<cs::Kind> kind_of(const std::string& text) {
  test::Bytes bytes = test::length_of(text.size());
  bytes.insert(bytes.end(), text.begin(), text.end());
  const auto marker = cs::parse_marker(bytes);
  if (!marker) return marker.error();
  return marker->kind;
}

}  // namespace

TEST_CASE("A16 a marker is a label and one of five suffixes", "[marker]") {
  CHECK(*kind_of("galaxy-request-v1") == cs::Kind::request);
  CHECK(*kind_of("a-request-v1-response-v1") == cs::Kind::response);
  for (const char* bad :
       {"-request-v1", "galaxy", "galaxy-request-v2", "galaxy-request-v1 ", "Galaxy-request-v1",
        "galaxy-action-v1", "galaxyrequest-v1", "request-v1", "galaxy-Request-v1"}) {
    CAPTURE(bad);
    CHECK(kind_of(bad).error() == cs::ErrorCode::wrong_domain);
  }
  CHECK(kind_of("").error() == cs::ErrorCode::bad_text);
  CHECK(kind_of("galaxy-request-v1\n").error() == cs::ErrorCode::bad_text);
  CHECK(cs::parse_marker({}).error() == cs::ErrorCode::truncated);
}

TEST_CASE("a marker's label is a view into the message", "[marker]") {
  const test::Bytes bytes = test::unhex("0c612e622d656e726f6c6c2d7631ffff");
  const auto marker = cs::parse_marker(bytes);
  REQUIRE_FALSE(marker.ok());  // 12 bytes: "a.b-enroll-v" without its 1
  test::Bytes whole = bytes;
  whole[0] = 13;
  CHECK(cs::parse_marker(whole)->label == "a.b");
  CHECK(cs::bytes_of(cs::parse_marker(whole)->label).data() == whole.data() + 1);
}
