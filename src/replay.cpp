// SPDX-License-Identifier: MIT
#include "countersign/replay.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "countersign/sha256.hpp"

namespace countersign {

namespace {

/// Index numbers the nodes of a table from 1; 0 is none.
using Index = std::uint32_t;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/// Zeroed is an array of zeros whose pages the system hands out as they are touched; empty where
/// there is no memory. (new (std::nothrow) aborts in WebAssembly builds without exceptions.)
template <class T>
using Zeroed = std::unique_ptr<T[], Free>;

template <class T>
Zeroed<T> allocate_zeroed(std::size_t count) {
  return Zeroed<T>(static_cast<T*>(std::calloc(count, sizeof(T))));
}

/// Table is a hash table of at most a fixed number of nodes, chained by index.
template <class Node>
class Table {
 public:
  bool allocate(std::size_t capacity, std::uint64_t seed) {
    const int bits = std::max(1, static_cast<int>(std::bit_width(capacity - 1)));
    shift_ = 64 - bits;
    multiplier_ = (seed ^ 0x9e3779b97f4a7c15) | 1;
    nodes_ = allocate_zeroed<Node>(capacity + 1);
    buckets_ = allocate_zeroed<Index>(std::size_t{1} << bits);
    return nodes_ && buckets_;
  }

  Node& operator[](Index index) { return nodes_[index]; }
  std::size_t size() const { return size_; }

  Index find(const Hash& key) {
    Index index = bucket(key);
    while (index != 0 && nodes_[index].key != key) index = nodes_[index].next;
    return index;
  }

  /// The caller knows that there is room and that key is not there.
  Index insert(const Hash& key) {
    const Index index = free_ != 0 ? std::exchange(free_, nodes_[free_].next) : ++touched_;
    Index& head = bucket(key);
    nodes_[index] = Node{};
    nodes_[index].key = key;
    nodes_[index].next = std::exchange(head, index);
    ++size_;
    return index;
  }

  void erase(Index index) {
    Index* link = &bucket(nodes_[index].key);
    while (*link != index) link = &nodes_[*link].next;
    *link = nodes_[index].next;
    nodes_[index].next = std::exchange(free_, index);
    --size_;
  }

 private:
  Index& bucket(const Hash& key) {
    std::uint64_t words[hash_size / 8];
    std::memcpy(words, key.data(), sizeof words);
    std::uint64_t mixed = 0;
    for (const std::uint64_t word : words) {
      mixed = (mixed ^ word) * multiplier_;
      mixed ^= mixed >> 32;
    }
    return buckets_[static_cast<std::size_t>(mixed * multiplier_ >> shift_)];
  }

  Zeroed<Node> nodes_;
  Zeroed<Index> buckets_;
  std::uint64_t multiplier_ = 0;
  int shift_ = 0;
  Index free_ = 0;
  Index touched_ = 0;
  std::size_t size_ = 0;
};

struct Id {
  Hash key;
  std::uint64_t timestamp_ms;
  /// Forgotten at this time; the last one it is kept for is 1 ms earlier.
  std::uint64_t due_ms;
  Index next;
  Index next_in_slot;
  Index session;
};

struct Session {
  Hash key;
  Index next;
  std::uint32_t live;
};

/// Wheel holds ids by due time. An id hangs in the level of the highest base-64 digit in which its
/// due time differs from the wheel's, so at every level the occupied slots lie ahead of the wheel's
/// digit, and lower levels are due earlier.
class Wheel {
 public:
  std::uint64_t now_ms() const { return now_ms_; }

  void add(Table<Id>& ids, Index index) {
    const std::uint64_t due_ms = ids[index].due_ms;
    const std::uint64_t differing = (due_ms ^ now_ms_) | (slots - 1);
    const std::size_t level =
        (static_cast<std::size_t>(std::bit_width(differing)) - 1) / digit_bits;
    const std::size_t slot = static_cast<std::size_t>(due_ms >> level * digit_bits) % slots;
    ids[index].next_in_slot = std::exchange(heads_[level][slot], index);
    occupied_[level] |= std::uint64_t{1} << slot;
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
      for (Index index = std::exchange(heads_[level][slot], 0); index != 0;) {
        const Index next = ids[index].next_in_slot;
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

  std::array<std::array<Index, slots>, levels> heads_{};
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

}  // namespace

struct ReplayGuard::State {
  Table<Id> ids;
  Table<Session>
      sessions;  // a live session has a live id, so its table is never full before that of ids
  Wheel wheel;
  std::size_t capacity;
  std::size_t session_quota;
  std::uint64_t floor_ms;

  void forget(Index index) {
    floor_ms = std::max(floor_ms, ids[index].timestamp_ms);
    const Index session = ids[index].session;
    if (session != 0 && --sessions[session].live == 0) sessions.erase(session);
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
  state.wheel.advance(state.ids, now_ms, [&](Index expired) { state.forget(expired); });

  Hash name;
  std::copy(key.begin(), key.end(), name.begin());
  if (state.ids.find(name) != 0) return ReplayVerdict::used;
  if (timestamp_ms <= state.floor_ms) return ReplayVerdict::too_old;
  if (state.ids.size() == state.capacity) return ReplayVerdict::full;

  Index owner = 0;
  if (!session.empty()) {
    const auto owner_key = session_key(session);
    owner = state.sessions.find(owner_key);
    if (owner == 0) owner = state.sessions.insert(owner_key);
    if (state.sessions[owner].live == state.session_quota) return ReplayVerdict::full;
    ++state.sessions[owner].live;
  }
  const Index index = state.ids.insert(name);
  state.ids[index].timestamp_ms = timestamp_ms;
  state.ids[index].due_ms = std::max({expires_ms, timestamp_ms, state.wheel.now_ms()}) + 1;
  state.ids[index].session = owner;
  state.wheel.add(state.ids, index);
  return ReplayVerdict::reserved;
}

std::size_t ReplayGuard::size() const {
  return state_->ids.size();
}

std::uint64_t ReplayGuard::floor_ms() const {
  return state_->floor_ms;
}

}  // namespace countersign
