// SPDX-License-Identifier: MIT
#include "countersign/protocol.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace cs = countersign;

TEST_CASE("a label is [a-z][a-z0-9.-]{0,31}", "[protocol]") {
  for (const std::string good :
       {"a", "galaxy", "game-2.eu", "x.", "a-request-v1", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}) {
    CAPTURE(good);
    CHECK(cs::is_label(good));
  }
  for (const std::string bad :
       {"", "A", "1a", ".a", "-a", "a_b", "a b", "é", "aA", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}) {
    CAPTURE(bad);
    CHECK_FALSE(cs::is_label(bad));
  }
  CHECK_FALSE(cs::is_label(std::string_view("a\0", 2)));
}

TEST_CASE("A16 no marker's suffix ends another's", "[protocol]") {
  const cs::Kind kinds[] = {cs::Kind::request, cs::Kind::response, cs::Kind::event,
                            cs::Kind::enroll, cs::Kind::rotate};
  for (const cs::Kind one : kinds) {
    for (const cs::Kind other : kinds) {
      CHECK(cs::marker_suffix(one).ends_with(cs::marker_suffix(other)) == (one == other));
    }
  }
}

TEST_CASE("the largest signing input has room", "[protocol]") {
  const auto field = [](std::size_t size) { return (size < 128 ? 1 : 2) + size; };
  const std::size_t text = field(cs::max_text_size);
  const std::size_t event = field(cs::max_label_size + cs::marker_suffix(cs::Kind::event).size()) +
                            4 * text + 16 + field(cs::hash_size);
  const std::size_t request =
      field(cs::max_label_size + cs::marker_suffix(cs::Kind::request).size()) + 4 * text + 8 +
      field(cs::hash_size);
  CHECK(event <= cs::max_signing_input_size);
  CHECK(request <= cs::max_signing_input_size);
  CHECK(3 + field(cs::max_signing_input_size) + text + field(cs::signature_size) <=
        cs::max_envelope_size);
}
