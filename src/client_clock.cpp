// SPDX-License-Identifier: MIT
#include "countersign/client_clock.hpp"

#include <algorithm>

namespace countersign {

void ClientClock::recall_floor(const LocalTime& at, double floor_ms) {
  look(at);
  const double ms = std::floor(floor_ms);
  if (may_raise_floor(ms)) floor_ms_ = ms;
}

void ClientClock::recall(const LocalTime& at, const ClockNote& note) {
  look(at);
  const double age_ms = at.wall_ms - note.wall_ms;
  // Written so that a NaN refuses. The other numbers that are no times are refused below.
  if (!(age_ms >= 0 && age_ms <= day_ms)) return;
  static_cast<void>(clock_.start_stored(at.monotonic_ms, at.wall_ms + note.offset_ms,
                                        note.error_ms + max_drift * age_ms));
  refresh();
}

void ClientClock::look(const LocalTime& at) {
  at_ = at;
  if (clock_.note_wall(at.monotonic_ms, at.wall_ms)) has_changed_ = true;
  refresh();
}

bool ClientClock::add_round_trip(const LocalTime& at, const RoundTrip& sample, bool replace) {
  look(at);
  if (is_too_old(sample.server_ms)) return false;
  const double offset_ms = sample.server_ms - (sample.sent_ms + sample.received_ms) / 2;
  // One gateway with a wrong clock must not date requests a day ahead: two answers have to agree.
  const bool agrees = std::abs(offset_ms - claim_ms_) < floor_slack_ms;
  const bool is_claim = is_far(offset_ms) && !agrees;
  claim_ms_ = is_claim ? offset_ms : std::numeric_limits<double>::quiet_NaN();
  if (is_claim) return false;
  // The server has said that our time is wrong. Where this sample is of no use, we have to ask.
  if (replace) is_sampled_ = false;
  if (!clock_.add_round_trip(sample, replace)) return false;
  is_sampled_ = true;
  settle(sample.server_ms, ClockSource::round_trip);
  return true;
}

bool ClientClock::add_event(const LocalTime& at, double received_ms, double server_ms) {
  look(at);
  if (is_too_old(server_ms)) return false;
  const double offset_ms = server_ms - received_ms;
  // Only an answer can confirm a claim. After that of an event the client asks for one.
  if (is_far(offset_ms)) {
    claim_ms_ = offset_ms;
    has_changed_ = true;
    return false;
  }
  if (!clock_.add_event(received_ms, server_ms)) return false;
  settle(server_ms, ClockSource::event);
  return true;
}

Result<std::uint64_t> ClientClock::stamp(const LocalTime& at, bool is_retriable) {
  look(at);
  if (has_claim()) return ErrorCode::clock_unknown;
  const bool is_recalled =
      known_.source == ClockSource::stored && is_retriable && known_.age_ms <= day_ms;
  if (is_sampled_ || is_recalled) return clock_.stamp(at.monotonic_ms);
  if (!trusts_local_) return ErrorCode::clock_unknown;
  if (!(at.wall_ms <= static_cast<double>(max_time_ms))) return ErrorCode::invalid_time;
  return static_cast<std::uint64_t>(std::max(0.0, at.wall_ms));
}

Result<std::uint64_t> ClientClock::probe_stamp(const LocalTime& at) {
  look(at);
  if (known_.source != ClockSource::none) return clock_.stamp(at.monotonic_ms);
  const bool is_near = at.wall_ms >= floor_ms_ && at.wall_ms <= floor_ms_ + day_ms;
  return static_cast<std::uint64_t>(is_near ? at.wall_ms : floor_ms_);
}

bool ClientClock::should_ask(const LocalTime& at) {
  look(at);
  const bool is_due = at.monotonic_ms - asked_ms_ >= clock_ask_every_ms;
  if (!is_sampled_ || !lacks_answer() || !is_due) return false;
  asked_ms_ = at.monotonic_ms;
  return true;
}

bool ClientClock::is_note_due(const LocalTime& at) {
  look(at);
  const double offset_ms = wall_offset_ms();
  const bool is_fresh = at.monotonic_ms - noted_ms_ < clock_note_every_ms &&
                        std::abs(offset_ms - noted_offset_ms_) < clock_note_step_ms;
  if (is_fresh || !has_note()) return false;
  noted_ms_ = at.monotonic_ms;
  noted_offset_ms_ = offset_ms;
  return true;
}

void ClientClock::refresh() {
  known_ = clock_.estimate(at_.monotonic_ms);
  known_.error_ms += clock_stated_ms;
}

/// may_raise_floor keeps a server or a record far ahead of all other times from ending keys for
/// ever (R27).
bool ClientClock::may_raise_floor(double ms) const {
  return ms > floor_ms_ && ms <= std::max(build_ms_, at_.wall_ms) + day_ms;
}

bool ClientClock::is_too_old(double server_ms) const {
  return server_ms < floor_ms_ - floor_slack_ms;
}

/// is_far says whether a sample lies more than a day ahead of what an answer has told (R76).
bool ClientClock::is_far(double offset_ms) const {
  return is_sampled_ && offset_ms - known_.offset_ms - known_.error_ms > day_ms;
}

/// settle compares the estimate with the one before a sample, and keeps it. Only a time that held
/// for a while may raise the floor, so that one gateway's wrong clock does not block the others.
void ClientClock::settle(double server_ms, ClockSource source) {
  has_changed_ = true;
  const bool is_first = known_.source == ClockSource::none;
  const double before_ms = known_.offset_ms;
  refresh();
  const double by_ms = known_.offset_ms - before_ms;
  if (!is_first && std::abs(by_ms) > clock_correction_ms) correction_ = {by_ms, server_ms, source};
  if (is_first || std::abs(by_ms) > floor_slack_ms) moved_ms_ = at_.monotonic_ms;
  const bool has_stood = at_.monotonic_ms - moved_ms_ >= floor_after_ms;
  if (has_stood && may_raise_floor(server_ms)) floor_ms_ = server_ms;
}

}  // namespace countersign
