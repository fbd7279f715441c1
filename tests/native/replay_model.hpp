// SPDX-License-Identifier: MIT
// A model of section 7 that the replay guard is compared with, in tests and by the fuzzer.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "countersign/replay.hpp"
#include "countersign/sha256.hpp"

namespace test {

namespace cs = countersign;
using cs::ReplayGuard;
using cs::ReplayVerdict;

/// Section 7 without haste: a map that is searched from end to end.
struct ReplayModel {
  struct Id {
    std::uint64_t timestamp_ms;
    std::uint64_t expires_ms;
    std::string session;
  };
  std::size_t capacity;
  std::size_t quota;
  std::uint64_t floor_ms;
  std::uint64_t latest_ms = 0;
  std::map<cs::Hash, Id> ids{};
  std::map<std::string, Id> floors{};

  template <class Entries>
  void forget_expired(Entries& entries) {
    for (auto entry = entries.begin(); entry != entries.end();) {
      const bool expired = entry->second.expires_ms < latest_ms;
      if (expired) floor_ms = std::max(floor_ms, entry->second.timestamp_ms);
      entry = expired ? entries.erase(entry) : std::next(entry);
    }
  }
  void advance(std::uint64_t at_ms) {
    latest_ms = std::max(latest_ms, at_ms);
    forget_expired(ids);
    forget_expired(floors);
  }
  std::size_t size() const { return ids.size() + floors.size(); }

  ReplayVerdict reserve(const cs::Hash& name, std::uint64_t timestamp_ms, std::uint64_t expires_ms,
                        std::uint64_t at_ms, const std::string& session) {
    advance(at_ms);
    if (ids.contains(name)) return ReplayVerdict::used;
    if (timestamp_ms <= floor_ms) return ReplayVerdict::too_old;
    if (floors.contains(session) && timestamp_ms <= floors[session].timestamp_ms)
      return ReplayVerdict::limited;
    const auto live = std::count_if(ids.begin(), ids.end(),
                                    [&](const auto& id) { return id.second.session == session; });
    if (size() == capacity || (!session.empty() && static_cast<std::size_t>(live) >= quota))
      return ReplayVerdict::full;
    ids[name] = {timestamp_ms, std::max({expires_ms, timestamp_ms, latest_ms}), session};
    return ReplayVerdict::reserved;
  }

  ReplayVerdict limit(const cs::Hash& name, std::uint64_t timestamp_ms, std::uint64_t expires_ms,
                      std::uint64_t at_ms, const std::string& session, bool is_reserved) {
    if (session.empty()) return ReplayVerdict::full;
    advance(at_ms);
    if (ids.contains(name)) {
      if (!is_reserved || ids[name].session != session) return ReplayVerdict::used;
      timestamp_ms = std::max(timestamp_ms, ids[name].timestamp_ms);
      expires_ms = std::max(expires_ms, ids[name].expires_ms);
      ids.erase(name);
    }
    if (!floors.contains(session) && size() == capacity) return ReplayVerdict::full;
    Id& floor = floors[session];
    floor.timestamp_ms = std::max(floor.timestamp_ms, timestamp_ms);
    floor.expires_ms = std::max({floor.expires_ms, expires_ms, timestamp_ms, latest_ms});
    return ReplayVerdict::limited;
  }
};

}  // namespace test
