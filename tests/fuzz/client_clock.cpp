// SPDX-License-Identifier: MIT
// The client's whole clock with any samples, notes and readings: the floor never falls and rises to
// no time beyond its limit, what lies a day ahead of an answer needs a second one that agrees, and
// a stamp goes back only where the estimate does.
#include "countersign/client_clock.hpp"

#include "support.hpp"

namespace cs = countersign;
using fuzz::check;

namespace {

constexpr std::uint64_t build_ms = 1'767'225'600'000;

/// double_of is any double there is, most often one of the size of a time.
double double_of(fuzz::Choices& choices, double base_ms) {
  const std::uint64_t form = choices.number(1);
  if (form < 128) return base_ms + static_cast<double>(choices.number(3));
  if (form < 240) return base_ms + 256.0 * static_cast<double>(choices.number(3));
  const std::uint64_t bits = choices.number(8);
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Choices choices({data, size});
  const double start_ms = static_cast<double>(build_ms);
  cs::ClientClock clock(build_ms, choices.number(1) % 4 == 0);
  cs::LocalTime at{1000, start_ms};
  double claim_ms = std::numeric_limits<double>::quiet_NaN();
  while (!choices.is_done()) {
    const std::uint64_t what = choices.number(1) % 8;
    const double passed_ms = static_cast<double>(choices.number(2)) * 32;
    at.monotonic_ms += passed_ms;
    at.wall_ms += passed_ms;
    if (what == 7) at.wall_ms = start_ms + 4096.0 * static_cast<double>(choices.number(3));
    clock.look(at);
    const cs::ClockEstimate before = clock.estimate();
    const double floor_ms = clock.floor_ms();
    const bool is_answered = !clock.lacks_answer();
    const double server_ms = double_of(choices, start_ms);
    const double offset_ms = server_ms - at.monotonic_ms;
    const bool is_far = is_answered && offset_ms - before.offset_ms - before.error_ms > cs::day_ms;
    bool is_taken = false;
    if (what <= 1) {
      is_taken = clock.add_round_trip(at, {at.monotonic_ms, at.monotonic_ms, server_ms}, what == 1);
      if (is_taken && is_far) check(std::abs(offset_ms - claim_ms) < cs::floor_slack_ms);
    }
    if (what == 2) {
      is_taken = clock.add_event(at, at.monotonic_ms, server_ms);
      check(!(is_taken && is_far));
    }
    if (what <= 2 && is_far && !is_taken && clock.lacks_answer()) claim_ms = offset_ms;
    if (what == 3) clock.recall(at, {double_of(choices, 0), double_of(choices, 0), server_ms});
    if (what == 4) clock.recall_floor(at, server_ms);
    if (what == 5) static_cast<void>(clock.should_ask(at) || clock.is_note_due(at));
    check(clock.floor_ms() >= floor_ms);
    if (clock.floor_ms() > floor_ms)
      check(clock.floor_ms() <= std::max(start_ms, at.wall_ms) + cs::day_ms);
    check(!std::isnan(clock.estimate().offset_ms) && clock.estimate().error_ms >= 0);
    const auto stamp = clock.stamp(at, what == 6);
    const auto again = clock.stamp(at, what == 6);
    check(stamp.ok() == again.ok() && (!stamp || (*again == *stamp && *stamp <= cs::max_time_ms)));
    const auto probe = clock.probe_stamp(at);
    check(probe.ok() || probe.error() == cs::ErrorCode::invalid_time);
  }
  return 0;
}
