// SPDX-License-Identifier: MIT
// The in-memory replay guard (section 7): each id is reserved once, in one step.
//
// Memory grows in small steps with the ids, and stays. Ids hang in two places: in a hash table by
// key, and in a timing wheel by expiry, nine levels of 64 slots that turn at 1 ms, 64 ms, 4 s ...
// so that an id is touched at most once per level.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "countersign/protocol.hpp"
#include "countersign/result.hpp"

namespace countersign {

/// ReplayVerdict is the answer to a reservation; only `reserved` lets a request pass.
enum class ReplayVerdict : std::uint8_t {
  reserved,
  /// The id has been reserved before.
  used,
  /// The time lies at or under the floor: whether the id was used can no longer be said.
  too_old,
  /// No room, in all or for this session, or no memory. A live id is never evicted to make some.
  full,
  /// The time lies at or under the session's own floor. No id that this was said of is ever
  /// reserved.
  limited
};

/// ReplayOptions bounds a guard and says where it starts.
struct ReplayOptions {
  /// Live ids, 1 to 2^24; one takes about 80 bytes.
  std::size_t capacity;
  /// Live ids of one session; capacity / 64 where absent, at least 1.
  std::optional<std::size_t> session_quota = std::nullopt;
  /// Refuse times up to this one: after a restart that forgot ids, now + future.
  std::uint64_t floor_ms = 0;
  /// A secret random number keeps an attacker from choosing ids that share a bucket.
  std::uint64_t seed = 0;
};

/// ReplayGuard remembers ids until they expire, and refuses what it can no longer check.
class ReplayGuard {
 public:
  /// create allocates a list of blocks and no block yet; fails with invalid_argument or no_memory.
  static Result<ReplayGuard> create(const ReplayOptions& options);

  /// reserve takes the id key, dated timestamp_ms, until expires_ms at least, at now_ms; it cannot
  /// fail.
  ///
  /// An id that is present answers `used`, before `too_old`. Expired ids are forgotten first, each
  /// raising the floor to its time. An expiry before now_ms or the id's own time counts as the
  /// later of them, and time never runs back: now_ms counts as the greatest seen. Times above
  /// 2^53-1 answer `full`. Ids with an empty session have no quota.
  [[nodiscard]] ReplayVerdict reserve(HashView key, std::uint64_t timestamp_ms,
                                      std::uint64_t expires_ms, std::uint64_t now_ms,
                                      ByteView session = {});

  /// limit refuses an id of a session for good, without keeping it; it cannot fail.
  ///
  /// It forgets the id where the caller has reserved it, and in the same step raises the session's
  /// own floor to timestamp_ms (R142). The floor is kept as long as the id would have been, and
  /// then raises the guard's floor as an expired id does. It answers `limited`. An id that is
  /// present and not the caller's is `used`; where there is no room for a floor, the answer is
  /// `full`; both change nothing. A floor takes the room of one id, and none of the session's
  /// quota.
  [[nodiscard]] ReplayVerdict limit(HashView key, std::uint64_t timestamp_ms,
                                    std::uint64_t expires_ms, std::uint64_t now_ms,
                                    ByteView session, bool is_reserved);
  /// wait_ms is the time after which a session's floor and quota take a request that is dated then,
  /// as of the last step.
  std::uint64_t wait_ms(ByteView session) const;

  /// size is the number of live ids and session floors as of the last step.
  std::size_t size() const;
  /// floor_ms is the time at or under which nothing new is reserved; it only rises.
  std::uint64_t floor_ms() const;

 private:
  struct State;
  struct Release {
    void operator()(State* state) const;
  };
  explicit ReplayGuard(std::unique_ptr<State, Release> state) : state_(std::move(state)) {}

  std::unique_ptr<State, Release> state_;
};

}  // namespace countersign
