// SPDX-License-Identifier: MIT
#include "countersign/clock.hpp"

#include <algorithm>
#include <cmath>

namespace countersign {

namespace {

bool is_wall_time(double ms) {
  return ms >= 0 && ms <= static_cast<double>(max_time_ms);
}

}  // namespace

bool ServerClock::add_round_trip(const RoundTrip& sample, bool replace) {
  const double duration_ms = sample.received_ms - sample.sent_ms;
  // Written so that a NaN or an infinity anywhere refuses.
  const bool timely = duration_ms >= 0 && duration_ms <= max_round_trip_ms;
  if (!timely || !std::isfinite(sample.sent_ms) || !is_wall_time(sample.server_ms)) return false;
  // The two ends of a trip with a sleep or a step in it are not of one scale.
  if (sample.sent_ms < suspected_ms_) return false;
  take({.low = sample.server_ms - sample.received_ms,
        .high = sample.server_ms - sample.sent_ms,
        .at_ms = sample.received_ms},
       ClockSource::round_trip, replace);
  return true;
}

bool ServerClock::add_event(double received_ms, double server_ms) {
  if (!std::isfinite(received_ms) || !is_wall_time(server_ms)) return false;
  take({.low = server_ms - received_ms,
        .high = std::numeric_limits<double>::infinity(),
        .at_ms = received_ms},
       ClockSource::event, false);
  return true;
}

bool ServerClock::start_stored(double monotonic_ms, double server_ms, double error_ms) {
  const bool verified = source_ > ClockSource::stored;
  const bool sound = std::isfinite(monotonic_ms) && is_wall_time(server_ms) && error_ms >= 0 &&
                     std::isfinite(error_ms);
  if (verified || !sound) return false;
  const double offset_ms = server_ms - monotonic_ms;
  take({.low = offset_ms - error_ms, .high = offset_ms + error_ms, .at_ms = monotonic_ms},
       ClockSource::stored, true);
  return true;
}

bool ServerClock::note_wall(double monotonic_ms, double wall_ms) {
  if (!std::isfinite(monotonic_ms) || !std::isfinite(wall_ms)) return false;
  const Look look{.monotonic_ms = monotonic_ms, .wall_ms = wall_ms};
  const Look last = std::exchange(last_look_, look);
  const double parted_ms =
      std::abs((look.wall_ms - last.wall_ms) - (look.monotonic_ms - last.monotonic_ms));
  // Written so that the NaN of the first look is no step.
  if (!(parted_ms > max_wall_divergence_ms)) return false;
  // The wall clock that counted the sleep drifts as well.
  suspicion_ms_ += parted_ms / (1 - max_drift);
  suspected_ms_ = monotonic_ms;
  return true;
}

ClockEstimate ServerClock::estimate(double monotonic_ms) const {
  if (source_ == ClockSource::none) return {};
  return {.offset_ms = offset(),
          .error_ms = (interval_.high - interval_.low) / 2 + slack(monotonic_ms),
          .age_ms = std::max(0.0, monotonic_ms - sampled_ms_),
          .source = source_};
}

Result<std::uint64_t> ServerClock::stamp(double monotonic_ms) {
  if (source_ == ClockSource::none) return ErrorCode::clock_unknown;
  const double server_ms = monotonic_ms + offset();
  if (!is_wall_time(server_ms)) return ErrorCode::invalid_time;
  last_stamp_ = std::max(last_stamp_, static_cast<std::uint64_t>(server_ms));
  return last_stamp_;
}

/// slack is by how much the interval has widened, at either end, since it was last narrowed.
double ServerClock::slack(double monotonic_ms) const {
  return max_drift * std::max(0.0, monotonic_ms - interval_.at_ms) + suspicion_ms_;
}

ServerClock::Interval ServerClock::widened(Interval interval, double at_ms, double more_ms) {
  const double wider_ms = max_drift * (at_ms - interval.at_ms) + more_ms;
  return {.low = interval.low - wider_ms, .high = interval.high + wider_ms, .at_ms = at_ms};
}

/// offset is the middle of the interval, or its lower end where events alone bound it.
double ServerClock::offset() const {
  return std::isfinite(interval_.high) ? (interval_.low + interval_.high) / 2 : interval_.low;
}

void ServerClock::take(Interval sample, ClockSource source, bool replace) {
  const Interval before = interval_;
  const double before_offset = offset();
  const double suspicion_ms = std::exchange(suspicion_ms_, 0);
  Interval next = sample;
  // A stored offset was never verified on this run: it yields whole to the first sample.
  const bool joins = !replace && source_ > ClockSource::stored;
  if (joins) {
    // Answers may be taken in another order than they came in: both intervals count as of the later
    // time.
    const double at_ms = std::max(before.at_ms, sample.at_ms);
    Interval known = widened(before, at_ms, 0);
    next = widened(sample, at_ms, 0);
    // An event has no upper end to settle a suspicion with. Where it fits without, the suspicion
    // stays and the middle stays where it was.
    const bool stays = source == ClockSource::event && next.low <= known.high + clock_resolution_ms;
    if (stays) {
      suspicion_ms_ = suspicion_ms;
    } else {
      known = widened(known, at_ms, suspicion_ms);
    }
    const double low = std::max(known.low, next.low);
    const double high = std::min(known.high, next.high);
    // Whole milliseconds and a trip's own drift make ends that should touch miss by as much.
    if (low <= high + clock_resolution_ms) {
      next = {.low = std::min(low, high), .high = std::max(low, high), .at_ms = at_ms};
      source = std::max(source, source_);
    }
  }
  interval_ = next;
  source_ = source;
  sampled_ms_ = sample.at_ms;
  if (offset() < before_offset) last_stamp_ = 0;
}

}  // namespace countersign
