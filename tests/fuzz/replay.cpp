// SPDX-License-Identifier: MIT
// The replay guard answers as a map that is searched from end to end does, after every step of any
// program of reservations, limits and waits.
#include "countersign/replay.hpp"

#include <iterator>

#include "../native/replay_model.hpp"
#include "support.hpp"

namespace cs = countersign;
using cs::ReplayVerdict;
using fuzz::check;

namespace {

/// Names that a careless key would confuse: with a zero at the end, as long as a key, longer.
const std::string sessions[] = {"",
                                "a",
                                std::string("a\0", 2),
                                "b",
                                std::string(31, 'a'),
                                std::string(32, 'a'),
                                std::string(31, 'a') + '\x1f',
                                std::string(40, 'a')};

/// Step is one call of the guard.
struct Step {
  cs::Hash key;
  std::string session;
  std::uint64_t timestamp_ms;
  std::uint64_t expires_ms;
};

class Run {
 public:
  explicit Run(fuzz::Choices& choices)
      : model_{.capacity = 1 + choices.number(1) % 20,
               .quota = 1 + choices.number(1) % 8,
               .floor_ms = choices.number(2)},
        now_ms_(choices.number(1) % 4 == 0 ? cs::max_time_ms - 200'000 : choices.number(2)) {
    auto made = cs::ReplayGuard::create({.capacity = model_.capacity,
                                         .session_quota = model_.quota,
                                         .floor_ms = model_.floor_ms,
                                         .seed = now_ms_});
    check(made.ok());
    guard_.emplace(std::move(*made));
  }

  void step(fuzz::Choices& choices) {
    const std::uint64_t what = choices.number(1);
    // Each step of a magnitude of its own: the wheel has nine levels.
    const std::uint64_t scale = choices.number(1) % 46;
    if (what % 4 == 0) now_ms_ = (now_ms_ + (choices.number(2) << scale)) % (cs::max_time_ms + 2);
    // Gateways' clocks differ: a reading may lie before the last.
    const std::uint64_t at_ms = now_ms_ - std::min<std::uint64_t>(now_ms_, what / 64);
    Step step{.key = cs::sha256(choices.bytes(1)),
              .session = sessions[choices.number(1) % std::size(sessions)],
              .timestamp_ms = at_ms + choices.number(1),
              .expires_ms = at_ms + (choices.number(1) << scale)};
    if (what % 8 == 7) return wait(step);
    if (what % 8 == 6) return limit(step, at_ms, what / 64 % 2 == 0);
    reserve(step, at_ms);
  }

  void check_counts() const {
    check(guard_->size() == model_.size() && guard_->floor_ms() == model_.floor_ms);
    check(guard_->size() <= model_.capacity);
  }

 private:
  static bool is_time(const Step& step, std::uint64_t at_ms) {
    return std::max({step.timestamp_ms, step.expires_ms, at_ms}) <= cs::max_time_ms;
  }

  ReplayVerdict reserve(const Step& step, std::uint64_t at_ms) {
    const auto found = guard_->reserve(step.key, step.timestamp_ms, step.expires_ms, at_ms,
                                       cs::bytes_of(step.session));
    const auto wanted = is_time(step, at_ms) ? model_.reserve(step.key, step.timestamp_ms,
                                                              step.expires_ms, at_ms, step.session)
                                             : ReplayVerdict::full;
    check(found == wanted);
    return found;
  }

  void limit(const Step& step, std::uint64_t at_ms, bool is_reserved) {
    const auto found = guard_->limit(step.key, step.timestamp_ms, step.expires_ms, at_ms,
                                     cs::bytes_of(step.session), is_reserved);
    const auto wanted = is_time(step, at_ms)
                            ? model_.limit(step.key, step.timestamp_ms, step.expires_ms, at_ms,
                                           step.session, is_reserved)
                            : ReplayVerdict::full;
    check(found == wanted);
  }

  /// wait lets the time pass that the guard names; then the session's own bounds refuse nothing.
  void wait(Step step) {
    now_ms_ = std::max(now_ms_, model_.latest_ms) + guard_->wait_ms(cs::bytes_of(step.session));
    step.timestamp_ms = now_ms_;
    step.expires_ms = now_ms_;
    if (now_ms_ > cs::max_time_ms) return;
    const auto verdict = reserve(step, now_ms_);
    check(verdict != ReplayVerdict::limited);
    check(verdict != ReplayVerdict::full || model_.size() == model_.capacity);
  }

  test::ReplayModel model_;
  std::uint64_t now_ms_;
  std::optional<cs::ReplayGuard> guard_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(!cs::ReplayGuard::create({.capacity = 0}).ok());
  fuzz::Choices choices({data, size});
  Run run(choices);
  while (!choices.is_done()) {
    run.step(choices);
    run.check_counts();
  }
  return 0;
}
