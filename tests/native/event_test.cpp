// SPDX-License-Identifier: MIT
#include "countersign/event.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"

namespace cs = countersign;

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
