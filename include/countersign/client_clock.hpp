// SPDX-License-Identifier: MIT
// The server's time as one client keeps it from visit to visit (section 9): the estimate of
// clock.hpp, what a client believes of it, the time floor of R27 and the notes for the next visit.
// Times are doubles of milliseconds. The caller reads the two local clocks and hands them in.
#pragma once

#include <cmath>
#include <utility>

#include "countersign/clock.hpp"

namespace countersign {

/// LocalTime is one reading of a device's two clocks: one that never steps, and Unix time. Both are
/// finite.
struct LocalTime {
  double monotonic_ms;
  double wall_ms;
};

/// ClockNote is what a store keeps of a clock for the next visit (R78): server time minus wall
/// clock, its error, and when the wall clock said so.
struct ClockNote {
  double offset_ms;
  double error_ms;
  double wall_ms;
};

/// ClockCorrection is a change of the estimate by more than 250 ms, and the sample that made it.
struct ClockCorrection {
  double by_ms = 0;
  double at_ms = 0;
  ClockSource source = ClockSource::none;
};

/// ClientClock is the whole clock of one client and one label. Each call that takes a reading looks
/// at both clocks first (R79); what is told without one is of the last reading. A sample or a note
/// that is no time changes nothing.
class ClientClock {
 public:
  /// build_ms is the earliest time that a server can have. trusts_local lets the device's own clock
  /// stamp while nothing is known (R77).
  explicit ClientClock(std::uint64_t build_ms, bool trusts_local = false)
      : build_ms_(static_cast<double>(build_ms)),
        floor_ms_(build_ms_),
        trusts_local_(trusts_local) {}

  /// recall_floor raises the time floor to a stored one, where R27 lets it.
  void recall_floor(const LocalTime& at, double floor_ms);
  /// recall starts from a note of an earlier visit; not after a day, nor where the wall clock was
  /// set back since.
  void recall(const LocalTime& at, const ClockNote& note);

  /// look compares the two clocks: a sleep or a step between two readings makes the error larger.
  void look(const LocalTime& at);
  /// add_round_trip takes the time of a verified answer and says so; replace is for a signed
  /// cs.stale, which ends the estimate even where its own sample is of no use (R81).
  bool add_round_trip(const LocalTime& at, const RoundTrip& sample, bool replace = false);
  /// add_event takes the time of a verified event and says so.
  bool add_event(const LocalTime& at, double received_ms, double server_ms);

  /// stamp gives the time to sign (R77, R78, R80); fails with clock_unknown where the client has to
  /// ask the server first, invalid_time outside 0..2^53-1.
  Result<std::uint64_t> stamp(const LocalTime& at, bool is_retriable);
  /// probe_stamp gives the time to sign on cs.time. A wall clock far from all known times stamps
  /// the floor: ids dated far ahead would cost the session (R63). Fails with invalid_time.
  Result<std::uint64_t> probe_stamp(const LocalTime& at);
  /// should_ask says, once a minute at most, that events alone bound the time: the client then asks
  /// in the background (R76).
  bool should_ask(const LocalTime& at);
  /// is_note_due says whether the last note is old or wrong, and counts the new one as written.
  bool is_note_due(const LocalTime& at);

  /// estimate gives what is known; its error counts the resolution of both clocks.
  const ClockEstimate& estimate() const { return known_; }
  /// wall_offset_ms gives server time minus wall clock; 0 while nothing is known.
  double wall_offset_ms() const {
    if (known_.source == ClockSource::none) return 0;
    return at_.monotonic_ms + known_.offset_ms - at_.wall_ms;
  }
  /// has_note says whether there is something to store for the next visit: an answer has told the
  /// time, and the error has a bound. Events alone give none.
  bool has_note() const { return is_sampled_ && std::isfinite(known_.error_ms); }
  /// lacks_answer says whether the time is too little known for some request.
  bool lacks_answer() const { return has_claim() || !has_note(); }
  /// floor_ms is the time floor: a key that ended before it verifies nothing (R27).
  double floor_ms() const { return floor_ms_; }
  /// correction is the last one; its source is none before the first.
  const ClockCorrection& correction() const { return correction_; }
  /// take_change says whether the clock has changed since it was asked last.
  bool take_change() { return std::exchange(has_changed_, false); }

 private:
  static constexpr double never_ms = -std::numeric_limits<double>::infinity();

  void refresh();
  bool has_claim() const { return !std::isnan(claim_ms_); }
  bool may_raise_floor(double ms) const;
  bool is_too_old(double server_ms) const;
  bool is_far(double offset_ms) const;
  void settle(double server_ms, ClockSource source);

  ServerClock clock_;
  LocalTime at_{};
  ClockEstimate known_;
  double build_ms_;
  double floor_ms_;
  bool trusts_local_;
  bool is_sampled_ = false;
  bool has_changed_ = false;
  /// NaN, which agrees with nothing, where there is no claim.
  double claim_ms_ = std::numeric_limits<double>::quiet_NaN();
  double asked_ms_ = never_ms;
  double moved_ms_ = never_ms;
  ClockCorrection correction_;
  double noted_ms_ = never_ms;
  double noted_offset_ms_ = 0;
};

}  // namespace countersign
