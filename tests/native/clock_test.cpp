// SPDX-License-Identifier: MIT
#include "countersign/clock.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "support.hpp"

namespace cs = countersign;
using cs::ClockSource;
using cs::ErrorCode;
using cs::ServerClock;
using test::infinity;
using test::not_a_number;
using test::server_ms;

TEST_CASE("an empty clock knows nothing and stamps nothing", "[clock]") {
  ServerClock clock;
  const auto estimate = clock.estimate(5);
  CHECK(estimate.source == ClockSource::none);
  CHECK(estimate.error_ms == infinity);
  CHECK(estimate.age_ms == infinity);
  CHECK(clock.stamp(5).error() == ErrorCode::clock_unknown);
}

TEST_CASE("a round trip gives its middle, and half of itself as error", "[clock]") {
  ServerClock clock;
  CHECK(clock.add_round_trip({1000, 1100, server_ms}));
  const auto estimate = clock.estimate(1100);
  CHECK(estimate.offset_ms == server_ms - 1050);
  CHECK(estimate.error_ms == 50);
  CHECK(estimate.age_ms == 0);
  CHECK(estimate.source == ClockSource::round_trip);
  CHECK(*clock.stamp(1100) == static_cast<std::uint64_t>(server_ms) + 50);
}

TEST_CASE("C7 over 5 s of round trip a sample is dropped, whatever it was for", "[clock]") {
  ServerClock clock;
  CHECK_FALSE(clock.add_round_trip({0, 5000.5, server_ms}));
  CHECK_FALSE(clock.add_round_trip({0, 5000.5, server_ms}, true));
  CHECK(clock.estimate(6000).source == ClockSource::none);
  CHECK(clock.add_round_trip({0, 5000, server_ms}));
}

TEST_CASE("C2 a sample with a time that is not one is refused and changes nothing", "[clock]") {
  ServerClock clock;
  REQUIRE(clock.add_round_trip({0, 10, server_ms}));
  const auto before = clock.estimate(10);
  for (const double bad : {not_a_number, infinity, -infinity}) {
    CHECK_FALSE(clock.add_round_trip({bad, 10, server_ms}));
    CHECK_FALSE(clock.add_round_trip({0, bad, server_ms}));
    CHECK_FALSE(clock.add_round_trip({0, 10, bad}));
    CHECK_FALSE(clock.add_round_trip({bad, bad, server_ms}));
    CHECK_FALSE(clock.add_event(bad, server_ms));
    CHECK_FALSE(clock.add_event(0, bad));
    CHECK_FALSE(clock.note_wall(bad, 0));
    CHECK_FALSE(clock.note_wall(0, bad));
    ServerClock fresh;
    CHECK_FALSE(fresh.start_stored(bad, server_ms, 1));
    CHECK_FALSE(fresh.start_stored(0, bad, 1));
    CHECK_FALSE(fresh.start_stored(0, server_ms, bad));
  }
  CHECK_FALSE(clock.add_round_trip({10, 9, server_ms}));
  CHECK_FALSE(clock.add_round_trip({0, 10, -1}));
  CHECK_FALSE(clock.add_round_trip({0, 10, 0x1p53}));
  CHECK_FALSE(ServerClock().start_stored(0, server_ms, -1));
  CHECK(clock.estimate(10).offset_ms == before.offset_ms);
  CHECK(clock.estimate(10).error_ms == before.error_ms);
}

TEST_CASE("the interval grows by 200 ppm at either end", "[clock]") {
  ServerClock clock;
  clock.add_round_trip({0, 10, server_ms});
  CHECK(clock.estimate(100'010).error_ms == Approx(5 + 20));
  CHECK(clock.estimate(100'010).age_ms == 100'000);
  CHECK(clock.estimate(0).error_ms == 5);  // before the sample nothing has grown
}

TEST_CASE("samples that meet narrow the interval, one that does not replaces it", "[clock]") {
  ServerClock clock;
  clock.add_round_trip({0, 100, 1'000'100});    // offsets 1,000,000 to 1,000,100
  clock.add_round_trip({100, 200, 1'000'160});  // 999,960 to 1,000,060
  auto estimate = clock.estimate(200);
  CHECK(estimate.offset_ms == Approx(1'000'030).margin(0.1));
  CHECK(estimate.error_ms == Approx(30).margin(0.1));
  clock.add_round_trip({200, 300, 2'000'000});
  estimate = clock.estimate(300);
  CHECK(estimate.offset_ms == 2'000'000 - 250);
  CHECK(estimate.error_ms == 50);
}

TEST_CASE("answers taken out of order count as of the later time", "[clock]") {
  ServerClock clock;
  clock.add_round_trip({0, 10, 1'000'005});
  clock.add_round_trip({-100'000, -99'990, 900'005});  // the same offset, 100 s earlier
  const auto estimate = clock.estimate(10);
  CHECK(estimate.offset_ms == Approx(1'000'000));
  CHECK(estimate.error_ms == Approx(5));
}

TEST_CASE("a signed cs.stale takes its sample in place of the estimate", "[clock]") {
  ServerClock clock;
  clock.add_round_trip({0, 1000, 1'000'500});
  clock.add_round_trip({1000, 1100, 1'001'000}, true);  // would have met
  CHECK(clock.estimate(1100).offset_ms == 1'001'000 - 1050);
  CHECK(clock.estimate(1100).error_ms == 50);
}

TEST_CASE("an event bounds the offset from below", "[clock]") {
  ServerClock clock;
  CHECK(clock.add_event(100, 1'000'100));
  auto estimate = clock.estimate(200);
  CHECK(estimate.offset_ms == 1'000'000);
  CHECK(estimate.error_ms == infinity);
  CHECK(estimate.source == ClockSource::event);
  clock.add_event(200, 1'000'150);  // later on its way: no news
  CHECK(clock.estimate(200).offset_ms == Approx(1'000'000).margin(0.1));
  clock.add_event(300, 1'000'350);  // sooner here
  CHECK(clock.estimate(300).offset_ms == 1'000'050);

  clock.add_round_trip({300, 400, 1'000'400});  // 1,000,000 to 1,000,100
  estimate = clock.estimate(400);
  CHECK(estimate.source == ClockSource::round_trip);
  CHECK(estimate.offset_ms == Approx(1'000'075).margin(0.1));
  clock.add_event(400, 1'000'480);
  CHECK(clock.estimate(400).source == ClockSource::round_trip);
  CHECK(clock.estimate(400).offset_ms == Approx(1'000'090).margin(0.1));
  clock.add_event(500, 2'000'000);  // beyond all that was known
  CHECK(clock.estimate(500).source == ClockSource::event);
  CHECK(clock.estimate(500).error_ms == infinity);
}

TEST_CASE("a stored offset serves until the first verified sample, and never after", "[clock]") {
  ServerClock clock;
  CHECK(clock.start_stored(0, 1'000'000, 40));
  CHECK(clock.estimate(0).source == ClockSource::stored);
  CHECK(clock.estimate(0).error_ms == 40);
  CHECK(*clock.stamp(0) == 1'000'000);
  clock.add_round_trip({0, 100, 1'000'000});  // offsets 999,900 to 1,000,000: met, and not narrowed
  CHECK(clock.estimate(100).error_ms == 50);
  CHECK_FALSE(clock.start_stored(100, 1, 1));
  CHECK(clock.estimate(100).source == ClockSource::round_trip);
}

TEST_CASE("C3 C4 clocks that part by more than 250 ms are suspected, and the error grows by it",
          "[clock]") {
  ServerClock clock;
  clock.add_round_trip({0, 10, server_ms});
  CHECK_FALSE(clock.note_wall(0, 5'000));
  CHECK_FALSE(clock.note_wall(1'000, 6'250));  // 250 ms: not yet
  CHECK_FALSE(clock.note_wall(2'000, 7'000));  // 250 ms back
  CHECK(clock.note_wall(3'000, 607'000));      // asleep for 10 minutes, less a second
  CHECK(clock.estimate(3'000).error_ms == Approx(5 + 0.6 + 599'000 * 1.0002).margin(0.1));
  CHECK(clock.note_wall(4'000, 0));  // the wall clock was set back
  clock.add_round_trip({4'000, 4'010, server_ms + 4'000 + 599'000});
  CHECK(clock.estimate(4'010).error_ms == Approx(5));  // the next answer resynchronises
}

TEST_CASE("timestamps do not go back, unless a sample moves the estimate back", "[clock]") {
  ServerClock clock;
  clock.add_round_trip({0, 100, 1'000'000});
  const auto first = *clock.stamp(1000.9);
  CHECK(*clock.stamp(900) == first);
  const auto second = *clock.stamp(1001);
  CHECK(second > first);
  clock.add_round_trip({1000, 1100, 1'001'050});  // forward
  CHECK(*clock.stamp(900) == second);
  CHECK(clock.add_round_trip({1100, 1200, 900'000}, true));
  CHECK(*clock.stamp(1200) == 900'050);
}

TEST_CASE("C2 a stamp outside 0 to 2^53-1 is refused", "[clock]") {
  ServerClock clock;
  clock.add_round_trip({1000, 1000, 100});
  CHECK(clock.stamp(0).error() == ErrorCode::invalid_time);
  CHECK(clock.stamp(0x1p54).error() == ErrorCode::invalid_time);
  CHECK(clock.stamp(not_a_number).error() == ErrorCode::invalid_time);
  CHECK(clock.stamp(infinity).error() == ErrorCode::invalid_time);
}

TEST_CASE("C9 reset forgets, and one clock knows nothing of another", "[clock]") {
  ServerClock one;
  ServerClock other;
  one.add_round_trip({0, 10, server_ms});
  CHECK(other.estimate(10).source == ClockSource::none);
  one.reset();
  CHECK(one.estimate(10).source == ClockSource::none);
  CHECK_FALSE(one.note_wall(0, 1e9));
}

TEST_CASE("C3 to C8 the true offset lies within the stated error, over 1000 simulated runs",
          "[clock]") {
  // The machine's monotonic clock runs up to 200 ppm wrong and stands still in sleep; its wall
  // clock runs right but is set at times. Delays, drops and event queues are arbitrary.
  test::Random random(61);
  for (int run = 0; run < 1000; ++run) {
    ServerClock clock;
    const double rate = 1 + random.between(-cs::max_drift, cs::max_drift);
    double true_ms = server_ms;
    double monotonic_ms = random.between(0, 1e6);
    double wall_error_ms = random.between(-1e9, 1e9);
    const auto pass = [&](double ms) {
      true_ms += ms;
      monotonic_ms += ms * rate;
    };
    std::uint64_t last_stamp = 0;
    for (int step = 0; step < 60; ++step) {
      pass(random.between(0, random.below(4) == 0 ? 600'000 : 2'000));
      // One of them between two looks: a step that undoes a sleep cannot be seen.
      switch (random.below(10)) {
        case 0:
          true_ms += random.between(2'000, 3'600'000);
          break;  // sleep
        case 1:
          wall_error_ms += random.between(-4'000'000, 4'000'000);
          break;  // a step
        default:
          break;
      }
      clock.note_wall(monotonic_ms, true_ms + wall_error_ms);
      const double offset_before = clock.estimate(monotonic_ms).offset_ms;
      switch (random.below(3)) {
        case 0: {
          const double sent_ms = monotonic_ms;
          pass(random.between(0, 3'000));
          const double stamped_ms = true_ms;
          pass(random.between(0, 3'000));
          clock.add_round_trip({sent_ms, monotonic_ms, stamped_ms}, random.below(8) == 0);
          break;
        }
        case 1:
          clock.add_event(monotonic_ms, true_ms - random.between(0, 20'000));
          break;
        default:
          break;
      }
      const auto estimate = clock.estimate(monotonic_ms);
      if (estimate.source == ClockSource::none) continue;
      // Section 9 takes a round trip's own drift, at most 1 ms in 5 s, as nothing.
      const double bound_ms = estimate.error_ms + cs::max_drift * cs::max_round_trip_ms;
      if (std::abs(estimate.offset_ms - (true_ms - monotonic_ms)) > bound_ms)
        FAIL("run " << run << " step " << step);
      const std::uint64_t stamp = *clock.stamp(monotonic_ms);
      if (stamp < last_stamp && estimate.offset_ms >= offset_before)
        FAIL("run " << run << " step " << step << ": back");
      last_stamp = stamp;
    }
  }
}
