// SPDX-License-Identifier: MIT
// The invariants of the clock's interval: whatever comes in, as long as it obeys the model, the
// true offset stays inside.
#include <catch2/catch.hpp>
#include <cmath>

#include "countersign/clock.hpp"
#include "support.hpp"

namespace cs = countersign;
using cs::ClockSource;
using cs::ServerClock;

namespace {

constexpr double start_ms = 1'775'121'600'000;
// A round trip's own drift, at most 1 ms in 5 s, counts as nothing (R75).
constexpr double own_drift_ms = cs::max_drift * cs::max_round_trip_ms;
constexpr double tolerance_ms = cs::clock_resolution_ms;

/// World is the truth beside a clock under test: true time, a monotonic clock that drifts and
/// stands still in sleep, a wall clock that drifts as well and is set at times, and a server.
struct World {
  explicit World(test::Random& random) : rate(1 + random.between(-cs::max_drift, cs::max_drift)) {}

  void pass(double ms) {
    true_ms += ms;
    monotonic_ms += ms * rate;
    wall_ms += ms * rate;
  }
  void sleep(double ms) {
    true_ms += ms;
    wall_ms += ms * rate;
  }
  double offset() const { return true_ms + server_ahead_ms - monotonic_ms; }
  /// A gateway stamps whole milliseconds.
  double server_ms() const { return std::floor(true_ms + server_ahead_ms); }
  bool look() { return clock.note_wall(monotonic_ms, wall_ms); }
  cs::ClockEstimate estimate() const { return clock.estimate(monotonic_ms); }

  bool holds() const {
    const auto now = estimate();
    return now.source == ClockSource::none ||
           std::abs(now.offset_ms - offset()) <= now.error_ms + tolerance_ms;
  }

  bool answer(double up_ms, double down_ms, bool replace = false) {
    look();
    const double sent_ms = monotonic_ms;
    pass(up_ms);
    const double stamped_ms = server_ms();
    pass(down_ms);
    look();
    return clock.add_round_trip({sent_ms, monotonic_ms, stamped_ms}, replace);
  }
  void event(double late_ms) {
    look();
    clock.add_event(monotonic_ms, server_ms() - late_ms);
  }

  ServerClock clock;
  double rate;
  double true_ms = start_ms;
  double monotonic_ms = 1000;
  double wall_ms = start_ms;
  double server_ahead_ms = 0;
};

}  // namespace

TEST_CASE("C3 C4 R76 the truth stays inside: answers, late events, sleeps, steps, in any order",
          "[clock]") {
  test::Random random(20261);
  for (int run = 0; run < 2000; ++run) {
    World world(random);
    for (int step = 0; step < 50; ++step) {
      world.pass(random.between(0, random.below(5) == 0 ? 900'000 : 3'000));
      // One of them between two looks: a step that undoes a sleep cannot be seen.
      switch (random.below(8)) {
        case 0:
          world.sleep(random.between(1'000, 4e7));
          break;
        case 1:
          world.wall_ms += random.between(-1e9, 1e9);
          break;
        default:
          break;
      }
      world.look();
      switch (random.below(4)) {
        case 0:
        case 1:
          world.answer(random.between(0, 2'500), random.between(0, 2'500), random.below(6) == 0);
          break;
        case 2:
          world.event(random.between(0, random.below(4) == 0 ? 600'000 : 500));
          break;
        default:
          break;
      }
      if (!world.holds()) FAIL("run " << run << " step " << step);
    }
  }
}

TEST_CASE("C4 R75 a sleep or a step within a round trip makes it no sample", "[clock]") {
  test::Random random(20262);
  for (int run = 0; run < 1000; ++run) {
    World world(random);
    world.answer(10, 10);
    world.look();
    const double sent_ms = world.monotonic_ms;
    world.pass(random.between(0.1, 1'000));
    const bool is_stamped_before = random.below(2) == 0;
    const double before_ms = world.server_ms();
    if (random.below(2) == 0) {
      world.sleep(random.between(1'000, 4e7));
    } else {
      world.wall_ms += random.between(1'000, 1e9);
    }
    const double stamped_ms = is_stamped_before ? before_ms : world.server_ms();
    world.pass(random.between(0.1, 1'000));
    CHECK(world.look());
    if (world.clock.add_round_trip({sent_ms, world.monotonic_ms, stamped_ms})) FAIL("run " << run);
    if (!world.holds()) FAIL("run " << run);
    // What is sent after it resynchronises.
    CHECK(world.answer(20, 20));
    CHECK(world.estimate().error_ms <= 20 + own_drift_ms);
    if (!world.holds()) FAIL("run " << run);
  }
}

TEST_CASE("R76 with honest samples the error never grows by more than drift", "[clock]") {
  test::Random random(20263);
  for (int run = 0; run < 500; ++run) {
    World world(random);
    world.answer(random.between(0, 2'000), random.between(0, 2'000));
    for (int step = 0; step < 40; ++step) {
      const double before_ms = world.estimate().error_ms;
      const double from_ms = world.monotonic_ms;
      if (random.below(2) == 0) {
        world.answer(random.between(0, 2'000), random.between(0, 2'000));
      } else {
        world.pass(random.between(0, 60'000));
        world.event(random.between(0, 5'000));
      }
      const double grown_ms = cs::max_drift * (world.monotonic_ms - from_ms);
      if (world.estimate().error_ms > before_ms + grown_ms + tolerance_ms) FAIL("run " << run);
      if (world.estimate().source != ClockSource::round_trip) FAIL("run " << run);
    }
  }
}

TEST_CASE("R79 a step of the wall clock moves no stamp, whatever events follow", "[clock]") {
  test::Random random(20264);
  for (int run = 0; run < 500; ++run) {
    World world(random);
    world.answer(random.between(0, 500), random.between(0, 500));
    world.pass(5'000);
    world.look();
    world.wall_ms += random.between(1'000, 1e9) * (random.below(2) == 0 ? 1 : -1);
    for (int events = 0; events < 5; ++events) {
      world.event(random.between(0, 500));
      world.pass(1'000);
      const auto stamp = world.clock.stamp(world.monotonic_ms);
      REQUIRE(stamp.ok());
      if (std::abs(static_cast<double>(*stamp) - world.server_ms()) > 510) FAIL("run " << run);
      if (!world.holds()) FAIL("run " << run);
    }
  }
}

TEST_CASE("R76 a server that jumps ahead is followed by an event, and bounded again by an answer",
          "[clock]") {
  test::Random random(20265);
  for (int run = 0; run < 500; ++run) {
    World world(random);
    world.answer(20, 20);
    world.server_ahead_ms = random.between(5'000, 1e10);
    world.pass(100);
    world.event(50);
    CHECK(world.estimate().source == ClockSource::event);
    CHECK(std::isinf(world.estimate().error_ms));
    CHECK(std::abs(world.estimate().offset_ms - world.offset()) <= 51);
    world.answer(20, 20);
    CHECK(world.estimate().source == ClockSource::round_trip);
    if (!world.holds()) FAIL("run " << run);
  }
}

TEST_CASE("C2 numbers of any kind leave a clock that can be asked", "[clock]") {
  test::Random random(20266);
  const auto any = [&]() -> double {
    switch (random.below(8)) {
      case 0:
        return std::numeric_limits<double>::quiet_NaN();
      case 1:
        return std::numeric_limits<double>::infinity();
      case 2:
        return -std::numeric_limits<double>::infinity();
      case 3:
        return random.between(-1e300, 1e300);
      case 4:
        return 0x1p53;
      default:
        return random.between(0, 2e12);
    }
  };
  for (int run = 0; run < 20'000; ++run) {
    ServerClock clock;
    for (int step = 0; step < 6; ++step) {
      clock.note_wall(any(), any());
      clock.add_round_trip({any(), any(), any()}, random.below(2) == 0);
      clock.add_event(any(), any());
      clock.start_stored(any(), any(), any());
      const auto estimate = clock.estimate(random.between(0, 2e12));
      if (estimate.source != ClockSource::none && !(estimate.error_ms >= 0)) FAIL("run " << run);
      if (std::isnan(estimate.offset_ms)) FAIL("run " << run);
      const auto stamp = clock.stamp(any());
      if (stamp.ok() && *stamp > cs::max_time_ms) FAIL("run " << run);
    }
  }
}
