// SPDX-License-Identifier: MIT
#include "countersign/client_clock.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"

namespace cs = countersign;
using cs::ClientClock;
using cs::ClockSource;
using cs::ErrorCode;
using test::infinity;
using test::not_a_number;
using test::server_ms;

namespace {

constexpr double hour_ms = 3'600'000;
constexpr std::uint64_t build_ms = 1'767'225'600'000;

/// Device is a machine with a clock, and a server whose time its wall clock shows at first.
struct Device {
  ClientClock clock{build_ms};
  cs::LocalTime at{.monotonic_ms = 1000, .wall_ms = server_ms};
  double true_ms = server_ms;

  void pass(double ms) {
    at.monotonic_ms += ms;
    at.wall_ms += ms;
    true_ms += ms;
  }
  /// An answer that took trip_ms and was stamped half way, by a gateway whose clock is ahead_ms
  /// ahead.
  bool answer(double trip_ms = 20, double ahead_ms = 0, bool replace = false) {
    const double sent_ms = at.monotonic_ms;
    pass(trip_ms);
    return clock.add_round_trip(at, {sent_ms, at.monotonic_ms, true_ms - trip_ms / 2 + ahead_ms},
                                replace);
  }
  bool event(double ahead_ms = 0) {
    return clock.add_event(at, at.monotonic_ms, true_ms + ahead_ms);
  }
  ErrorCode refusal(bool is_retriable = true) {
    const auto stamp = clock.stamp(at, is_retriable);
    return stamp ? ErrorCode::internal : stamp.error();
  }
};

}  // namespace

TEST_CASE("R77 an empty clock stamps nothing, unless the application trusts the device",
          "[client_clock]") {
  Device device;
  CHECK(device.refusal() == ErrorCode::clock_unknown);
  CHECK(device.clock.lacks_answer());
  CHECK_FALSE(device.clock.should_ask(device.at));
  CHECK_FALSE(device.clock.is_note_due(device.at));
  CHECK(device.clock.estimate().source == ClockSource::none);

  ClientClock trusting(build_ms, true);
  CHECK(*trusting.stamp({0, server_ms + 0.9}, false) == static_cast<std::uint64_t>(server_ms));
  CHECK(*trusting.stamp({0, -5}, false) == 0);
  CHECK(trusting.stamp({0, 0x1p53}, false).error() == ErrorCode::invalid_time);
  CHECK(trusting.stamp({0, not_a_number}, false).error() == ErrorCode::invalid_time);
  CHECK(trusting.stamp({0, infinity}, false).error() == ErrorCode::invalid_time);
  ClientClock told(build_ms, true);
  CHECK(told.add_round_trip({10, 0}, {0, 10, server_ms}));
  CHECK(*told.stamp({10, 0}, false) == static_cast<std::uint64_t>(server_ms) + 5);
}

TEST_CASE("R78 a note counts for a day, and for what may be sent twice", "[client_clock]") {
  const auto recalled = [](double age_ms, const cs::ClockNote& note) {
    Device device;
    device.clock.recall(device.at, {note.offset_ms, note.error_ms, device.at.wall_ms - age_ms});
    return device;
  };
  Device device = recalled(hour_ms, {400, 20, 0});
  CHECK(device.clock.estimate().source == ClockSource::stored);
  CHECK(device.clock.estimate().error_ms == Approx(20 + 720 + cs::clock_stated_ms));
  CHECK(*device.clock.stamp(device.at, true) == static_cast<std::uint64_t>(server_ms) + 400);
  CHECK(device.refusal(false) == ErrorCode::clock_unknown);
  device.pass(cs::day_ms + 1);
  CHECK(device.refusal() == ErrorCode::clock_unknown);
  CHECK_FALSE(device.clock.has_note());

  CHECK(recalled(cs::day_ms, {0, 20, 0}).refusal() == ErrorCode::internal);
  for (const double age_ms : {cs::day_ms + 1, -1.0, not_a_number, infinity})
    CHECK(recalled(age_ms, {0, 20, 0}).refusal() == ErrorCode::clock_unknown);
  for (const double bad : {not_a_number, infinity, -infinity, -server_ms - 1})
    CHECK(recalled(0, {bad, 20, 0}).refusal() == ErrorCode::clock_unknown);
  for (const double bad : {not_a_number, infinity, -1.0})
    CHECK(recalled(0, {0, bad, 0}).refusal() == ErrorCode::clock_unknown);
}

TEST_CASE("R77 cs.time is stamped with the best time there is, and never far from the floor",
          "[client_clock]") {
  ClientClock clock(build_ms);
  const double floor_ms = static_cast<double>(build_ms);
  CHECK(*clock.probe_stamp({0, floor_ms}) == build_ms);
  CHECK(*clock.probe_stamp({0, floor_ms + cs::day_ms}) == build_ms + 86'400'000);
  for (const double wall_ms :
       {floor_ms - 1, floor_ms + cs::day_ms + 1, not_a_number, infinity, 0.0})
    CHECK(*clock.probe_stamp({0, wall_ms}) == build_ms);
  CHECK(clock.add_round_trip({10, 0}, {0, 10, server_ms}));
  CHECK(*clock.probe_stamp({10, 0}) == static_cast<std::uint64_t>(server_ms) + 5);
}

TEST_CASE("R76 C8 a claim of a day ahead stands or falls with the next answer", "[client_clock]") {
  Device device;
  REQUIRE(device.answer());
  CHECK_FALSE(device.answer(20, 25 * hour_ms));
  CHECK(device.refusal() == ErrorCode::clock_unknown);
  CHECK(device.clock.lacks_answer());
  CHECK_FALSE(device.answer(20, 25 * hour_ms + 2 * cs::floor_slack_ms, true));
  CHECK(device.answer());
  CHECK(device.refusal() == ErrorCode::internal);
  CHECK_FALSE(device.answer(20, 25 * hour_ms));
  CHECK(device.answer(20, 25 * hour_ms + cs::floor_slack_ms - 1));
  CHECK(device.clock.wall_offset_ms() > 25 * hour_ms);
  CHECK(device.refusal(false) == ErrorCode::internal);
}

TEST_CASE("R76 C8 an event a day ahead is no more than a reason to ask", "[client_clock]") {
  Device device;
  REQUIRE(device.answer());
  CHECK(device.clock.take_change());
  for (int again = 0; again < 2; ++again) {
    CHECK_FALSE(device.event(25 * hour_ms));
    CHECK(device.clock.take_change());
  }
  CHECK(device.refusal() == ErrorCode::clock_unknown);
  CHECK(device.clock.should_ask(device.at));
  CHECK_FALSE(device.clock.should_ask(device.at));
  CHECK(device.answer(20, 25 * hour_ms));
}

TEST_CASE("R76 an event above all that is known leaves no bound: the client asks once a minute",
          "[client_clock]") {
  Device device;
  REQUIRE(device.answer());
  CHECK_FALSE(device.clock.should_ask(device.at));
  CHECK(device.event(5000));
  CHECK(device.clock.estimate().error_ms == infinity);
  CHECK_FALSE(device.clock.has_note());
  CHECK(device.clock.should_ask(device.at));
  device.pass(59'999);
  CHECK_FALSE(device.clock.should_ask(device.at));
  device.pass(1);
  CHECK(device.clock.should_ask(device.at));
  CHECK_FALSE(device.clock.add_event(device.at, not_a_number, server_ms));
}

TEST_CASE("R81 a signed cs.stale that is no sample ends the estimate it refused",
          "[client_clock]") {
  Device device;
  REQUIRE(device.answer());
  CHECK_FALSE(device.answer(6000, hour_ms, true));
  CHECK(device.refusal() == ErrorCode::clock_unknown);
  CHECK(device.answer(20, hour_ms));
  CHECK(device.refusal() == ErrorCode::internal);
}

TEST_CASE("R76 the last correction is told, with the sample that made it", "[client_clock]") {
  Device device;
  REQUIRE(device.answer(1000));
  CHECK(device.answer());
  CHECK(device.clock.correction().source == ClockSource::none);
  CHECK(device.answer(20, 5000));
  CHECK(device.clock.correction().by_ms == Approx(5000).margin(1));
  CHECK(device.clock.correction().at_ms == device.true_ms - 10 + 5000);
  CHECK(device.clock.correction().source == ClockSource::round_trip);
  CHECK(device.event(10'000));
  CHECK(device.clock.correction().source == ClockSource::event);
}

TEST_CASE("R27 R76 the floor follows a time that stood for ten minutes", "[client_clock]") {
  Device device;
  const double start_ms = static_cast<double>(build_ms);
  REQUIRE(device.answer());
  device.pass(cs::floor_after_ms - 21);
  CHECK(device.answer());
  CHECK(device.clock.floor_ms() == start_ms);
  device.pass(1);
  CHECK(device.answer());
  CHECK(device.clock.floor_ms() == device.true_ms - 10);

  // Below it by more than five minutes nothing counts, and a move of more begins the wait anew.
  const double floor_ms = device.clock.floor_ms();
  const double known_ms = device.clock.estimate().offset_ms;
  CHECK_FALSE(device.event(-hour_ms));
  CHECK_FALSE(device.answer(20, -hour_ms));
  CHECK(device.clock.estimate().offset_ms == known_ms);
  CHECK(device.answer(20, hour_ms));
  CHECK(device.answer());
  CHECK(device.clock.floor_ms() == floor_ms);

  // What an earlier visit knew has stood long enough.
  Device later;
  later.clock.recall(later.at, {0, 20, later.at.wall_ms - hour_ms});
  CHECK(later.answer());
  CHECK(later.clock.floor_ms() == later.true_ms - 10);
}

TEST_CASE("R27 a stored floor counts up to a day beyond wall clock and build time",
          "[client_clock]") {
  const auto recalled = [](double wall_ms, double floor_ms) {
    ClientClock clock(build_ms);
    clock.recall_floor({0, wall_ms}, floor_ms);
    return clock.floor_ms();
  };
  const double start_ms = static_cast<double>(build_ms);
  CHECK(recalled(server_ms, server_ms + cs::day_ms) == server_ms + cs::day_ms);
  CHECK(recalled(server_ms, server_ms + cs::day_ms + 1) == start_ms);
  CHECK(recalled(0, start_ms + cs::day_ms) == start_ms + cs::day_ms);
  CHECK(recalled(0, start_ms + cs::day_ms + 1) == start_ms);
  CHECK(recalled(server_ms, start_ms - 1) == start_ms);
  CHECK(recalled(server_ms, server_ms + 0.5) == server_ms);  // a key's dates are whole numbers
  for (const double bad : {not_a_number, infinity, -infinity})
    CHECK(recalled(server_ms, bad) == start_ms);
}

TEST_CASE("R78 a note is due every ten minutes, and where the device's clock was set",
          "[client_clock]") {
  Device device;
  REQUIRE(device.answer());
  CHECK(device.clock.has_note());
  CHECK(device.clock.wall_offset_ms() == Approx(0).margin(0.01));
  CHECK(device.clock.is_note_due(device.at));
  device.pass(cs::clock_note_every_ms - 1);
  CHECK_FALSE(device.clock.is_note_due(device.at));
  device.pass(1);
  CHECK(device.clock.is_note_due(device.at));
  device.at.wall_ms += 999;
  CHECK_FALSE(device.clock.is_note_due(device.at));
  device.at.wall_ms += 1;
  CHECK(device.clock.is_note_due(device.at));
}

TEST_CASE("R79 each call looks at both clocks first", "[client_clock]") {
  const auto parted = [](auto run) {
    Device device;
    REQUIRE(device.answer());
    CHECK(device.clock.take_change());
    device.at.wall_ms += hour_ms;
    run(device);
    return device.clock.take_change() && device.clock.estimate().error_ms >= hour_ms;
  };
  CHECK(parted([](Device& d) { d.clock.look(d.at); }));
  CHECK(parted([](Device& d) { static_cast<void>(d.clock.stamp(d.at, true)); }));
  CHECK(parted([](Device& d) { static_cast<void>(d.clock.probe_stamp(d.at)); }));
  CHECK(parted([](Device& d) { static_cast<void>(d.clock.should_ask(d.at)); }));
  CHECK(parted([](Device& d) { static_cast<void>(d.clock.is_note_due(d.at)); }));
  CHECK(parted([](Device& d) { d.clock.recall_floor(d.at, 0); }));
  CHECK(parted([](Device& d) { d.clock.recall(d.at, {0, 0, d.at.wall_ms}); }));
  CHECK(parted([](Device& d) { static_cast<void>(d.event(-1)); }));
  // The answer to a request that was sent before the sleep is no sample.
  CHECK(parted([](Device& d) { CHECK_FALSE(d.answer()); }));
}

TEST_CASE("R27 R76 R80 floors, claims and stamps hold over 2000 random runs", "[client_clock]") {
  test::Random random(1127);
  for (int run = 0; run < 2000; ++run) {
    CAPTURE(run);
    Device device;
    device.at.wall_ms += random.between(-400, 400) * hour_ms;
    if (random.below(2) == 0) device.clock.recall(device.at, {0, 20, device.at.wall_ms - hour_ms});
    double floor_ms = device.clock.floor_ms();
    std::uint64_t last_stamp = 0;
    double stamped_offset_ms = 0;
    std::optional<double> claim_ms;
    for (int step = 0; step < 40; ++step) {
      device.pass(random.between(0, random.below(3) == 0 ? hour_ms : 2000));
      if (random.below(12) == 0) device.at.wall_ms += random.between(-50, 50) * hour_ms;
      device.clock.look(device.at);
      const cs::ClockEstimate before = device.clock.estimate();
      const bool was_sampled = !device.clock.lacks_answer();
      const double ahead_ms = random.below(3) == 0 ? random.between(-60, 60) * hour_ms : 0;
      const bool is_answer = random.below(3) > 0;
      const double offset_ms = device.true_ms - device.at.monotonic_ms + ahead_ms;
      const bool is_taken =
          is_answer ? device.answer(0, ahead_ms, random.below(6) == 0) : device.event(ahead_ms);
      const double limit_ms =
          std::max(static_cast<double>(build_ms), device.at.wall_ms) + cs::day_ms;

      // The floor never falls, and rises to no time beyond the limit.
      REQUIRE(device.clock.floor_ms() >= floor_ms);
      if (device.clock.floor_ms() > floor_ms) REQUIRE(device.clock.floor_ms() <= limit_ms);
      floor_ms = device.clock.floor_ms();

      // What lies a day ahead of an answer's estimate is taken from a second answer that agrees.
      const bool is_far =
          was_sampled && offset_ms - before.offset_ms - before.error_ms > cs::day_ms;
      if (is_far && is_taken) {
        REQUIRE(is_answer);
        REQUIRE(claim_ms);
        REQUIRE(std::abs(offset_ms - *claim_ms) < cs::floor_slack_ms);
      }
      if (is_far && !is_taken) {
        claim_ms = offset_ms;
        REQUIRE(device.refusal() == ErrorCode::clock_unknown);
      } else if (is_taken && is_answer) {
        claim_ms.reset();
      }

      // A stamp goes back only where the estimate did.
      const auto stamp = device.clock.stamp(device.at, true);
      if (!stamp) continue;
      const double now_offset_ms = device.clock.estimate().offset_ms;
      if (*stamp < last_stamp) REQUIRE(now_offset_ms < stamped_offset_ms);
      last_stamp = *stamp;
      stamped_offset_ms = now_offset_ms;
    }
  }
}
