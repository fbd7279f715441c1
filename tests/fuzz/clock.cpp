// SPDX-License-Identifier: MIT
// The client's clock in two worlds. In the honest one the true offset always lies within the error
// it claims, whatever sleeps, drifts and arrives late. In the other one anything may be claimed,
// and the estimate stays a number, its error is never negative, and stamps never run back by
// themselves.
#include "countersign/clock.hpp"

#include <cmath>

#include "support.hpp"

namespace cs = countersign;
using cs::ClockSource;
using fuzz::check;

namespace {

/// What the clock's rules allow beside its error: whole milliseconds and a trip's own drift, at
/// either end, and the rounding of doubles.
constexpr double tolerance_ms = 2 * cs::clock_resolution_ms + 0.1;

/// World is a server and a machine whose monotonic clock drifts and stands still in sleep.
class World {
 public:
  explicit World(fuzz::Choices& choices)
      : monotonic_ms_(static_cast<double>(choices.number(2))),
        server_ms_(1.7e12 + static_cast<double>(choices.number(4))),
        drift_(drift(choices)),
        wall_drift_(drift(choices)) {}

  double monotonic_ms() const { return monotonic_ms_; }
  double wall_ms() const { return wall_ms_; }
  /// server_ms is the server's time as it writes it.
  double server_ms() const { return std::floor(server_ms_); }
  double offset_ms() const { return server_ms_ - monotonic_ms_; }

  void pass(double ms) {
    monotonic_ms_ += ms * (1 + drift_);
    wall_ms_ += ms * (1 + wall_drift_);
    server_ms_ += ms;
  }
  void sleep(double ms) {
    wall_ms_ += ms * (1 + wall_drift_);
    server_ms_ += ms;
  }
  void step(double ms) { wall_ms_ += ms; }

 private:
  /// Within what the protocol allows for, with a little left for rounding.
  static double drift(fuzz::Choices& choices) {
    return (static_cast<double>(choices.number(1)) - 127.5) / 127.5 * cs::max_drift * 0.99;
  }

  double monotonic_ms_;
  double server_ms_;
  double drift_;
  double wall_drift_;
  double wall_ms_ = 1.6e12;
};

void check_estimate(const cs::ServerClock& clock, double monotonic_ms) {
  const cs::ClockEstimate known = clock.estimate(monotonic_ms);
  if (known.source == ClockSource::none) {
    check(std::isinf(known.error_ms) && std::isinf(known.age_ms));
    return;
  }
  check(!std::isnan(known.offset_ms) && known.error_ms >= 0 && known.age_ms >= 0);
}

/// Trip is a request that has been sent and is not answered yet.
struct Trip {
  double sent_ms;
  double server_ms;
};

void check_truth(const cs::ServerClock& clock, const World& world) {
  check_estimate(clock, world.monotonic_ms());
  const cs::ClockEstimate known = clock.estimate(world.monotonic_ms());
  if (known.source == ClockSource::none) return;
  check(std::abs(known.offset_ms - world.offset_ms()) <= known.error_ms + tolerance_ms);
}

void run_honest(fuzz::Choices& choices) {
  World world(choices);
  cs::ServerClock clock;
  std::optional<Trip> trip;
  clock.note_wall(world.monotonic_ms(), world.wall_ms());
  while (!choices.is_done()) {
    const std::uint64_t what = choices.number(1) % 8;
    const double ms = static_cast<double>(choices.number(2));
    if (what == 0) world.pass(ms);
    if (what == 1) world.pass(ms * 1000);
    if (what == 2) trip = Trip{.sent_ms = world.monotonic_ms(), .server_ms = -1};
    if (what == 3 && trip) trip->server_ms = world.server_ms();
    if (what == 4 && trip && trip->server_ms >= 0) {
      const bool is_new = clock.add_round_trip({.sent_ms = trip->sent_ms,
                                                .received_ms = world.monotonic_ms(),
                                                .server_ms = trip->server_ms},
                                               ms > 60'000);
      if (is_new) check(clock.estimate(world.monotonic_ms()).source == ClockSource::round_trip);
      trip.reset();
    }
    if (what == 5) clock.add_event(world.monotonic_ms(), world.server_ms() - std::floor(ms / 8));
    if (what == 6 || what == 7) {
      // A sleep, or a step of the wall clock, that is long enough to be seen, and is looked for.
      clock.note_wall(world.monotonic_ms(), world.wall_ms());
      const double long_ms = ms * 10 + 2 * cs::max_wall_divergence_ms;
      what == 6 ? world.sleep(long_ms) : world.step(long_ms);
      check(clock.note_wall(world.monotonic_ms(), world.wall_ms()));
    }
    check_truth(clock, world);
    // No two readings of the clock are the same: one of the instant of a sleep could lie on either
    // side of it.
    world.pass(0.01);
  }
}

/// double_of is any double there is, most often one of the size of a time.
double double_of(fuzz::Choices& choices) {
  const std::uint64_t form = choices.number(1);
  if (form < 128) return static_cast<double>(choices.number(3));
  if (form < 192) return 1.7e12 + static_cast<double>(choices.number(3));
  const std::uint64_t bits = choices.number(8);
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// check_stamp asks for the time twice: it may run back only where the offset did.
void check_stamp(cs::ServerClock& clock, double monotonic_ms) {
  const auto stamp = clock.stamp(monotonic_ms);
  if (!stamp) {
    check(stamp.error() == cs::ErrorCode::clock_unknown ||
          stamp.error() == cs::ErrorCode::invalid_time);
    return;
  }
  check(*stamp <= cs::max_time_ms);
  const auto again = clock.stamp(monotonic_ms - 1);
  check(!again.ok() || *again >= *stamp);
}

void run_hostile(fuzz::Choices& choices) {
  cs::ServerClock clock;
  while (!choices.is_done()) {
    const std::uint64_t what = choices.number(1) % 8;
    const double one = double_of(choices);
    const double two = double_of(choices);
    const cs::ClockEstimate before = clock.estimate(one);
    bool is_taken = true;
    if (what == 0 || what == 1) {
      is_taken = clock.add_round_trip(
          {.sent_ms = one, .received_ms = one + double_of(choices), .server_ms = two}, what == 1);
    }
    if (what == 2) is_taken = clock.add_event(one, two);
    if (what == 3) is_taken = clock.start_stored(one, two, double_of(choices));
    if (what == 4) clock.note_wall(one, two);
    if (what == 5) check_stamp(clock, one);
    if (what == 6) clock.reset();
    const cs::ClockEstimate after = clock.estimate(one);
    // What is refused changes nothing.
    if (!is_taken) check(before.source == after.source && before.offset_ms == after.offset_ms);
    if (std::isfinite(one)) check_estimate(clock, one);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Choices choices({data, size});
  if (choices.number(1) % 2 == 0) {
    run_honest(choices);
  } else {
    run_hostile(choices);
  }
  return 0;
}
