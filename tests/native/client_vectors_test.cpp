// SPDX-License-Identifier: MIT
// The vectors of a client's clock and of a reader's place in its stream.
#include <catch2/catch.hpp>

#include "countersign/client_clock.hpp"
#include "countersign/error.hpp"
#include "countersign/event_place.hpp"
#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
using nlohmann::json;

namespace {

const json& client_vectors() {
  static const json rows = test::vectors("client.json");
  return rows;
}

/// number_of is a number of the vectors, where null stands for another one.
double number_of(const json& value, double otherwise) {
  return value.is_null() ? otherwise : value.get<double>();
}

std::string source_name(cs::ClockSource source) {
  constexpr const char* names[] = {"none", "stored", "event", "round-trip"};
  return names[static_cast<int>(source)];
}

std::string turn_name(cs::EventTurn turn) {
  constexpr const char* names[] = {"next", "back", "known", "ahead"};
  return names[static_cast<int>(turn)];
}

std::string error_name(cs::ErrorCode code) {
  std::string name = "ERR_";
  for (const char c : cs::error_info(code).name)
    name += static_cast<char>(c & ~('a' <= c && c <= 'z' ? 0x20 : 0));
  return name;
}

/// ClockOutcome is what an operation gave. No stamp is an error, which counts where it is not
/// clock_unknown.
struct ClockOutcome {
  bool is_done = false;
  cs::Result<std::uint64_t> stamp = cs::ErrorCode::clock_unknown;
};

ClockOutcome run(cs::ClientClock& clock, const json& step) {
  const cs::LocalTime at{step.at("at").at(0), step.at("at").at(1)};
  const std::string operation = step.at("op");
  const json& given = step.at("given");
  const auto stamped = [](cs::Result<std::uint64_t> stamp) {
    return ClockOutcome{stamp.ok(), stamp};
  };
  if (operation == "stamp") return stamped(clock.stamp(at, given.at(0)));
  if (operation == "probe") return stamped(clock.probe_stamp(at));
  if (operation == "answer" || operation == "stale")
    return {
        clock.add_round_trip(at, {given.at(0), given.at(1), given.at(2)}, operation == "stale")};
  if (operation == "event") return {clock.add_event(at, given.at(0), given.at(1))};
  if (operation == "ask") return {clock.should_ask(at)};
  if (operation == "note") return {clock.is_note_due(at)};
  if (operation == "look") {
    clock.look(at);
    return {};
  }
  REQUIRE(operation == "recall");
  if (!given.at(0).is_null()) clock.recall_floor(at, given.at(0));
  if (const json& note = given.at(1); !note.is_null())
    clock.recall(at, {note.at("offset_ms"), note.at("error_ms"), note.at("wall_ms")});
  return {};
}

void check_near(double actual, const json& expected) {
  const double bound = number_of(expected, test::infinity);
  if (actual == bound) return;
  CHECK(std::abs(actual - bound) <= client_vectors().at("tolerance_ms").get<double>());
}

void check_clock(cs::ClientClock& clock, const json& then) {
  const cs::ClockEstimate& known = clock.estimate();
  CHECK(clock.take_change() == then.value("has_changed", false));
  CHECK(clock.lacks_answer() == then.value("lacks_answer", false));
  CHECK(clock.has_note() == then.value("has_note", false));
  check_near(known.offset_ms, then.at("shift_ms"));
  check_near(clock.wall_offset_ms(), then.at("offset_ms"));
  check_near(known.error_ms, then.at("error_ms"));
  check_near(known.age_ms, then.at("age_ms"));
  CHECK(source_name(known.source) == then.at("source").get<std::string>());
  CHECK(clock.floor_ms() == then.at("floor_ms").get<double>());
  const cs::ClockCorrection& last = clock.correction();
  const bool is_corrected = last.source != cs::ClockSource::none;
  CHECK(is_corrected == then.contains("correction"));
  if (!is_corrected || !then.contains("correction")) return;
  const json& correction = then.at("correction");
  check_near(last.by_ms, correction.at("by_ms"));
  CHECK(last.at_ms == correction.at("at_ms").get<double>());
  CHECK(source_name(last.source) == correction.at("source").get<std::string>());
}

cs::StreamPosition position_of(const json& row) {
  return {row.at(0), row.at(1), row.at(2)};
}

void check_place(const cs::EventPlace& place, const json& then) {
  CHECK(place.last == then.at("last").get<std::uint64_t>());
  CHECK(place.is_gap_due == then.at("is_gap_due").get<bool>());
  CHECK(place.has_more() == then.at("has_more").get<bool>());
}

/// check_event takes an event of the vectors and checks where it lay, or why it was refused.
void check_event(cs::EventPlace& place, const json& step) {
  const json& then = step.at("then");
  const std::string type = step.at("type");
  const cs::PlacedEvent event{cs::event_kind(type), step.at("sequence"), step.at("timestamp_ms")};
  if (step.value("is_relayed", false)) {
    CHECK(turn_name(place.take_relayed(event)) == then.at("turn").get<std::string>());
    return;
  }
  const bool has_gap = step.contains("gap");
  const auto turn = place.take(event, has_gap ? position_of(step.at("gap")) : cs::StreamPosition{});
  CHECK(turn.ok() == then.contains("turn"));
  if (turn)
    CHECK(turn_name(*turn) == then.value("turn", ""));
  else
    CHECK(error_name(turn.error()) == then.value("error", ""));
}

}  // namespace

TEST_CASE("R27 R74 R75 R76 R77 R78 R79 R80 R81 the clocks of the vectors",
          "[client_clock][vectors]") {
  int seen = 0;
  for (const json& row : client_vectors().at("clocks")) {
    cs::ClientClock clock(row.at("build_ms"), row.at("trusts_local"));
    for (const json& step : row.at("steps")) {
      CAPTURE(row.at("name").get<std::string>(), step.dump());
      const json& then = step.at("then");
      const ClockOutcome outcome = run(clock, step);
      ++seen;
      const cs::ErrorCode refusal =
          outcome.stamp ? cs::ErrorCode::clock_unknown : outcome.stamp.error();
      CHECK((refusal != cs::ErrorCode::clock_unknown) == then.contains("error"));
      if (then.contains("error")) {
        CHECK(error_name(refusal) == then.at("error").get<std::string>());
        continue;
      }
      CHECK(outcome.is_done == then.value("is_done", false));
      CHECK(outcome.stamp.ok() == then.contains("stamp_ms"));
      if (outcome.stamp && then.contains("stamp_ms"))
        CHECK(*outcome.stamp == then.at("stamp_ms").get<std::uint64_t>());
      check_clock(clock, then);
    }
  }
  CHECK(client_vectors().at("clocks").size() == 115);
  CHECK(seen == 431);
}

TEST_CASE("R101 R102 R103 R104 R107 R112 R114 the places of the vectors",
          "[event_place][vectors]") {
  int seen = 0;
  for (const json& row : client_vectors().at("places")) {
    CAPTURE(row.at("name").get<std::string>());
    const json& begin = row.at("begin");
    std::optional<std::uint64_t> after;
    if (!begin.at("after").is_null()) after = begin.at("after").get<std::uint64_t>();
    cs::EventPlace place;
    const cs::Status begun =
        place.begin(after, position_of(begin.at("position")), begin.at("answered_ms"));
    CHECK(begun.ok() == !row.at("then").contains("error"));
    if (!begun) {
      CHECK(error_name(begun.error()) == row.at("then").value("error", ""));
      continue;
    }
    check_place(place, row.at("then"));
    for (const json& step : row.at("steps")) {
      CAPTURE(step.dump());
      check_event(place, step);
      ++seen;
      check_place(place, step.at("then"));
    }
  }
  CHECK(client_vectors().at("places").size() == 47);
  CHECK(seen == 155);
}
