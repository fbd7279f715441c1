// SPDX-License-Identifier: MIT
// The server's time, as a client knows it (section 9). Every time is a double of milliseconds;
// monotonic times are all of one clock that never steps: server time = monotonic time + offset.
#pragma once

#include <limits>
#include <optional>

#include "countersign/protocol.hpp"
#include "countersign/result.hpp"

namespace countersign {

/// ClockSource says what an estimate rests on, from nothing to a verified answer to our own
/// request.
enum class ClockSource : std::uint8_t { none, stored, event, round_trip };

/// ClockEstimate says that server time is monotonic + offset_ms, within ± error_ms; age_ms is that
/// of the last sample.
struct ClockEstimate {
  double offset_ms = 0;
  double error_ms = std::numeric_limits<double>::infinity();
  double age_ms = std::numeric_limits<double>::infinity();
  ClockSource source = ClockSource::none;
};

/// RoundTrip is the time of a verified answer between the monotonic times of sending and receiving.
struct RoundTrip {
  double sent_ms;
  double received_ms;
  double server_ms;
};

/// ServerClock keeps one interval of offsets that the samples agree on.
///
/// It widens by 200 ppm of elapsed time at both ends. A sample that meets it narrows it; one that
/// does not replaces it.
class ServerClock {
 public:
  /// add_round_trip takes a sample and says so; over 5 s of round trip, where note_wall has seen a
  /// sleep or a step since it was sent, or with a time that is not one, it does not. With replace
  /// the sample stands in place of the estimate, whether they meet or not: a signed cs.stale.
  bool add_round_trip(const RoundTrip& sample, bool replace = false);

  /// add_event takes the time of a verified event, which bounds the offset from below, and says so.
  /// One above the whole interval replaces it: the error is then infinite until the next round
  /// trip.
  bool add_event(double received_ms, double server_ms);

  /// start_stored starts from an offset kept from an earlier visit, until a verified sample
  /// replaces it; says whether it did, which it does not over a verified sample.
  bool start_stored(double monotonic_ms, double server_ms, double error_ms);

  /// note_wall compares wall and monotonic clock since the last look and says whether they parted
  /// by more than 250 ms: then the machine slept or a clock was set, and the error grows by as
  /// much, divided by 0.9998: the clock that counted a sleep drifts as well (R79).
  bool note_wall(double monotonic_ms, double wall_ms);

  /// estimate gives what is known at monotonic_ms; source none where that is nothing.
  ClockEstimate estimate(double monotonic_ms) const;

  /// stamp gives the time to put on a message, never before the last one unless a sample since
  /// moved the estimate back; fails with clock_unknown where nothing is known, invalid_time outside
  /// 0..2^53-1.
  Result<std::uint64_t> stamp(double monotonic_ms);

  /// reset forgets everything.
  void reset() { *this = ServerClock(); }

 private:
  struct Interval {
    double low;
    double high;
    double at_ms;
  };
  /// widened is the interval as of a later time, drifted and wider by more_ms at either end.
  static Interval widened(Interval interval, double at_ms, double more_ms);

  struct Look {
    double monotonic_ms;
    double wall_ms;
  };

  double slack(double monotonic_ms) const;
  double offset() const;
  void take(Interval sample, ClockSource source, bool replace);

  /// Means nothing while the source is none.
  Interval interval_{};
  double suspicion_ms_ = 0;
  double suspected_ms_ = -std::numeric_limits<double>::infinity();
  double sampled_ms_ = 0;
  ClockSource source_ = ClockSource::none;
  std::uint64_t last_stamp_ = 0;
  /// NaN before the first look, from which nothing can part.
  Look last_look_{std::numeric_limits<double>::quiet_NaN(), 0};
};

}  // namespace countersign
