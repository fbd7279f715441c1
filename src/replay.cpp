// SPDX-License-Identifier: MIT
#include "countersign/replay.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "countersign/sha256.hpp"
#include "table.hpp"

namespace countersign {

namespace {

/// Links are the neighbours of an id in a list.
struct Links {
  Index before;
  Index after;
};

struct Id {
  Hash key;
  std::uint64_t timestamp_ms;
  /// Forgotten at this time; the last one it is kept for is 1 ms earlier.
  std::uint64_t due_ms;
  Index next;
  Index session;
  Links in_slot;
  Links in_session;
};

/// List holds ids in the order in which they came.
template <Links Id::*links>
struct List {
  Index first;
  Index last;

  void add(Table<Id>& ids, Index index) {
    ids[index].*links = {last, 0};
    (last != 0 ? (ids[last].*links).after : first) = index;
    last = index;
  }

  void remove(Table<Id>& ids, Index index) {
    const Links around = ids[index].*links;
    (around.before != 0 ? (ids[around.before].*links).after : first) = around.after;
    (around.after != 0 ? (ids[around.after].*links).before : last) = around.before;
  }
};

struct Session {
  Hash key;
  Index next;
  std::uint32_t live;
  /// The id that stands for the session's own floor: its time is the floor. It is not among `live`.
  Index floor;
  List<&Id::in_session> ids;
};

/// Wheel holds ids by due time. An id hangs in the level of the highest base-64 digit in which its
/// due time differs from the wheel's, so at every level the occupied slots lie ahead of the wheel's
/// digit, and lower levels are due earlier.
class Wheel {
 public:
  std::uint64_t now_ms() const { return now_ms_; }

  void add(Table<Id>& ids, Index index) {
    const auto [level, slot] = place_of(ids[index].due_ms);
    slots_[level][slot].add(ids, index);
    occupied_[level] |= std::uint64_t{1} << slot;
  }

  /// remove finds an id where add put it: until its slot is reached, its highest differing digit
  /// stays the same.
  void remove(Table<Id>& ids, Index index) {
    const auto [level, slot] = place_of(ids[index].due_ms);
    slots_[level][slot].remove(ids, index);
    if (slots_[level][slot].first == 0) occupied_[level] &= ~(std::uint64_t{1} << slot);
  }

  /// advance turns to now_ms and hands every id that is due to forget.
  template <class Forget>
  void advance(Table<Id>& ids, std::uint64_t now_ms, Forget forget) {
    if (now_ms <= now_ms_) return;
    for (std::size_t level = 0; level < levels;) {
      if (occupied_[level] == 0) {
        ++level;
        continue;
      }
      const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
      const std::size_t bits = level * digit_bits;
      const std::uint64_t above = now_ms_ >> bits >> digit_bits << digit_bits;
      const std::uint64_t start_ms = (above | slot) << bits;
      if (start_ms > now_ms) break;
      now_ms_ = start_ms;
      occupied_[level] &= occupied_[level] - 1;
      for (Index index = std::exchange(slots_[level][slot], {}).first; index != 0;) {
        const Index next = ids[index].in_slot.after;
        if (ids[index].due_ms <= now_ms) {
          forget(index);
        } else {
          add(ids, index);
        }
        index = next;
      }
      level = 0;  // what was not due has moved to lower levels
    }
    now_ms_ = now_ms;
  }

 private:
  static constexpr std::size_t digit_bits = 6;
  static constexpr std::size_t slots = 64;
  static constexpr std::size_t levels = 9;  // 54 bits: every time there is, and one more

  struct Place {
    std::size_t level;
    std::size_t slot;
  };
  Place place_of(std::uint64_t due_ms) const {
    const std::uint64_t differing = (due_ms ^ now_ms_) | (slots - 1);
    const std::size_t level =
        (static_cast<std::size_t>(std::bit_width(differing)) - 1) / digit_bits;
    return {level, static_cast<std::size_t>(due_ms >> level * digit_bits) % slots};
  }

  std::array<std::array<List<&Id::in_slot>, slots>, levels> slots_{};
  std::array<std::uint64_t, levels> occupied_{};
  std::uint64_t now_ms_ = 0;
};

/// session_key is a session's name and its length where there is room for both, else the name's
/// hash.
Hash session_key(ByteView session) {
  Hash key{};
  if (session.size() >= key.size()) return sha256(session);
  std::copy(session.begin(), session.end(), key.begin());
  key.back() = static_cast<std::uint8_t>(session.size());
  return key;
}

Hash hash_of(HashView view) {
  Hash hash;
  std::copy(view.begin(), view.end(), hash.begin());
  return hash;
}

}  // namespace

struct ReplayGuard::State {
  Table<Id> ids;
  Table<Session> sessions;  // one that is here has an id, so its table is never full before that of
                            // ids
  Wheel wheel;
  std::size_t capacity;
  std::size_t session_quota;
  std::uint64_t floor_ms;

  void advance(std::uint64_t now_ms) {
    wheel.advance(ids, now_ms, [&](Index expired) {
      floor_ms = std::max(floor_ms, ids[expired].timestamp_ms);
      release(expired);
    });
  }

  /// The last time an id is kept for, and 1 ms.
  std::uint64_t due_of(std::uint64_t timestamp_ms, std::uint64_t expires_ms) const {
    return std::max({expires_ms, timestamp_ms, wheel.now_ms()}) + 1;
  }

  bool has_room(bool is_new_session) {
    return ids.size() < capacity && ids.has_room() && (!is_new_session || sessions.has_room());
  }

  /// session_verdict says what the session's own floor and quota make of a new id.
  ReplayVerdict session_verdict(const Session& session, std::uint64_t timestamp_ms) {
    if (session.floor != 0 && timestamp_ms <= ids[session.floor].timestamp_ms)
      return ReplayVerdict::limited;
    return session.live < session_quota ? ReplayVerdict::reserved : ReplayVerdict::full;
  }

  /// release takes an id that hangs in no slot out of both tables.
  void release(Index index) {
    const Index owner = ids[index].session;
    if (owner != 0) {
      Session& session = sessions[owner];
      if (session.floor == index) {
        session.floor = 0;
      } else {
        session.ids.remove(ids, index);
        --session.live;
      }
      if (session.live == 0 && session.floor == 0) sessions.erase(owner);
    }
    ids.erase(index);
  }
};

void ReplayGuard::Release::operator()(State* state) const {
  state->~State();
  std::free(state);
}

Result<ReplayGuard> ReplayGuard::create(const ReplayOptions& options) {
  const std::size_t capacity = options.capacity;
  const std::size_t quota =
      options.session_quota.value_or(std::max<std::size_t>(1, capacity / session_quota_divisor));
  if (capacity == 0 || capacity > max_replay_capacity || quota == 0 ||
      options.floor_ms > max_time_ms) {
    return ErrorCode::invalid_argument;
  }
  void* const memory = std::malloc(sizeof(State));
  if (memory == nullptr) return ErrorCode::no_memory;
  ReplayGuard guard{std::unique_ptr<State, Release>(new (memory) State{})};
  State& state = *guard.state_;
  state.capacity = capacity;
  state.session_quota = quota;
  state.floor_ms = options.floor_ms;
  if (!state.ids.allocate(capacity, options.seed) ||
      !state.sessions.allocate(capacity, options.seed)) {
    return ErrorCode::no_memory;
  }
  return guard;
}

ReplayVerdict ReplayGuard::reserve(HashView key, std::uint64_t timestamp_ms,
                                   std::uint64_t expires_ms, std::uint64_t now_ms,
                                   ByteView session) {
  if (std::max({timestamp_ms, expires_ms, now_ms}) > max_time_ms) return ReplayVerdict::full;
  State& state = *state_;
  state.advance(now_ms);

  const Hash name = hash_of(key);
  if (state.ids.find(name) != 0) return ReplayVerdict::used;
  if (timestamp_ms <= state.floor_ms) return ReplayVerdict::too_old;
  const Hash owner_key = session_key(session);
  Index owner = session.empty() ? 0 : state.sessions.find(owner_key);
  if (owner != 0) {
    const auto verdict = state.session_verdict(state.sessions[owner], timestamp_ms);
    if (verdict != ReplayVerdict::reserved) return verdict;
  }
  const bool is_new_session = owner == 0 && !session.empty();
  if (!state.has_room(is_new_session)) return ReplayVerdict::full;

  if (is_new_session) owner = state.sessions.insert(owner_key);
  const Index index = state.ids.insert(name);
  state.ids[index].timestamp_ms = timestamp_ms;
  state.ids[index].due_ms = state.due_of(timestamp_ms, expires_ms);
  state.ids[index].session = owner;
  if (owner != 0) {
    ++state.sessions[owner].live;
    state.sessions[owner].ids.add(state.ids, index);
  }
  state.wheel.add(state.ids, index);
  return ReplayVerdict::reserved;
}

ReplayVerdict ReplayGuard::limit(HashView key, std::uint64_t timestamp_ms, std::uint64_t expires_ms,
                                 std::uint64_t now_ms, ByteView session, bool is_reserved) {
  if (session.empty() || std::max({timestamp_ms, expires_ms, now_ms}) > max_time_ms)
    return ReplayVerdict::full;
  State& state = *state_;
  state.advance(now_ms);

  const Hash owner_key = session_key(session);
  Index owner = state.sessions.find(owner_key);
  std::uint64_t due_ms = state.due_of(timestamp_ms, expires_ms);
  const Index held = state.ids.find(hash_of(key));
  if (held != 0) {
    if (!is_reserved || owner == 0 || state.ids[held].session != owner) return ReplayVerdict::used;
    timestamp_ms = std::max(timestamp_ms, state.ids[held].timestamp_ms);
    due_ms = std::max(due_ms, state.ids[held].due_ms);
    state.wheel.remove(state.ids, held);
    // It leaves enough room for a floor, so nothing below fails once it is forgotten.
    state.release(held);
    owner = state.sessions.find(owner_key);
  }
  Index floor = owner == 0 ? 0 : state.sessions[owner].floor;
  if (floor != 0) {
    state.wheel.remove(state.ids, floor);
  } else {
    if (!state.has_room(owner == 0)) return ReplayVerdict::full;
    if (owner == 0) owner = state.sessions.insert(owner_key);
    floor = state.ids.insert(sha256(owner_key));
    state.ids[floor].session = owner;
    state.sessions[owner].floor = floor;
  }
  Id& kept = state.ids[floor];
  kept.timestamp_ms = std::max(kept.timestamp_ms, timestamp_ms);
  kept.due_ms = std::max(kept.due_ms, due_ms);
  state.wheel.add(state.ids, floor);
  return ReplayVerdict::limited;
}

std::uint64_t ReplayGuard::wait_ms(ByteView session) const {
  State& state = *state_;
  const Index owner = state.sessions.find(session_key(session));
  if (owner == 0) return 0;
  const Session& of = state.sessions[owner];
  const std::uint64_t now_ms = state.wheel.now_ms();
  std::uint64_t free_ms = now_ms;
  if (of.floor != 0) free_ms = std::max(free_ms, state.ids[of.floor].timestamp_ms + 1);
  if (of.live >= state.session_quota) free_ms = std::max(free_ms, state.ids[of.ids.first].due_ms);
  return free_ms - now_ms;
}

std::size_t ReplayGuard::size() const {
  return state_->ids.size();
}

std::uint64_t ReplayGuard::floor_ms() const {
  return state_->floor_ms;
}

}  // namespace countersign
