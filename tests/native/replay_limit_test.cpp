// SPDX-License-Identifier: MIT
// Limits of a session (R142), and a guard that grows.
#include "replay.hpp"

namespace cs = countersign;
using cs::ReplayGuard;
using cs::ReplayVerdict;
using test::guard;
using test::key;
using test::now_ms;

namespace {

// cmake/native_tests.cmake has the linker pass calls of calloc to __wrap_calloc, so that a test can
// run out of memory.
constexpr int all_allocations = -1;
int allocations_left = all_allocations;

}  // namespace

extern "C" {
void* __real_calloc(std::size_t count, std::size_t size);
void* __wrap_calloc(std::size_t count, std::size_t size);
void* __wrap_calloc(std::size_t count, std::size_t size) {
  if (allocations_left == 0) return nullptr;
  if (allocations_left > 0) --allocations_left;
  return __real_calloc(count, size);
}
}

TEST_CASE("R142 a limited id is forgotten, and its session's floor stands in its place",
          "[replay]") {
  auto store = guard({.capacity = 64, .session_quota = 2});
  const auto mine = cs::bytes_of("mine");
  const auto reserve = [&](std::uint64_t id, std::uint64_t time_ms, cs::ByteView session) {
    return store.reserve(key(id), time_ms, time_ms + 67'000, now_ms, session);
  };
  const auto limit = [&](std::uint64_t id, std::uint64_t time_ms, bool is_reserved) {
    return store.limit(key(id), time_ms, time_ms + 67'000, now_ms, mine, is_reserved);
  };
  CHECK(reserve(1, now_ms + 5, mine) == ReplayVerdict::reserved);
  CHECK(store.wait_ms(mine) == 0);
  CHECK(limit(1, now_ms + 5, true) == ReplayVerdict::limited);
  CHECK(store.size() == 1);
  CHECK(store.wait_ms(mine) == 6);
  // The id itself, and any other at or under the floor; other sessions are not touched.
  CHECK(reserve(1, now_ms + 5, mine) == ReplayVerdict::limited);
  CHECK(reserve(2, now_ms + 4, mine) == ReplayVerdict::limited);
  CHECK(reserve(3, now_ms + 4, cs::bytes_of("other")) == ReplayVerdict::reserved);
  // The floor takes none of the quota.
  CHECK(reserve(4, now_ms + 6, mine) == ReplayVerdict::reserved);
  CHECK(reserve(5, now_ms + 7, mine) == ReplayVerdict::reserved);
  CHECK(reserve(6, now_ms + 8, mine) == ReplayVerdict::full);
  // A full quota: what was not reserved is limited as well, and what another caller has is not.
  CHECK(limit(6, now_ms + 8, false) == ReplayVerdict::limited);
  CHECK(limit(5, now_ms + 7, false) == ReplayVerdict::used);
  CHECK(limit(3, now_ms + 4, true) == ReplayVerdict::used);
  CHECK(reserve(6, now_ms + 8, mine) == ReplayVerdict::limited);
  CHECK(store.wait_ms(mine) == 67'007);  // until its first id has gone
  CHECK(reserve(4, now_ms + 6, mine) == ReplayVerdict::used);
  // The floor lives as long as the id would have, and then raises the floor of all.
  CHECK(store.reserve(key(7), now_ms + 8, now_ms + 99'000, now_ms + 67'008, mine) ==
        ReplayVerdict::limited);
  CHECK(store.floor_ms() == now_ms + 7);
  CHECK(store.reserve(key(6), now_ms + 8, now_ms + 99'000, now_ms + 67'009, mine) ==
        ReplayVerdict::too_old);
  CHECK(store.floor_ms() == now_ms + 8);
  CHECK(store.size() == 0);
}

TEST_CASE("R142 a full guard makes no new floor, and moves one that is there", "[replay]") {
  auto store = guard({.capacity = 2, .session_quota = 2});
  const auto limit = [&](std::uint64_t id, std::string_view session, bool is_reserved) {
    return store.limit(key(id), now_ms + id, now_ms + 9'000, now_ms, cs::bytes_of(session),
                       is_reserved);
  };
  for (const std::uint64_t id : {std::uint64_t{1}, std::uint64_t{2}})
    REQUIRE(store.reserve(key(id), now_ms + id, now_ms + 9'000, now_ms, cs::bytes_of("a")) ==
            ReplayVerdict::reserved);
  CHECK(limit(3, "b", false) == ReplayVerdict::full);
  CHECK(limit(1, "a", true) == ReplayVerdict::limited);
  CHECK(store.size() == 2);
  CHECK(limit(4, "b", false) == ReplayVerdict::full);
  CHECK(limit(5, "a", false) == ReplayVerdict::limited);
  CHECK(store.size() == 2);
  CHECK(limit(6, "", false) == ReplayVerdict::full);
}

TEST_CASE("R64 a guard grows to its capacity and loses no id on the way", "[replay]") {
  constexpr std::uint64_t count = 20'000;
  auto store = guard({.capacity = count, .session_quota = 7, .seed = 9});
  const auto session = [](std::uint64_t id) { return "session " + std::to_string(id / 7); };
  for (std::uint64_t id = 0; id < count; ++id) {
    const auto name = session(id);
    if (store.reserve(key(id), now_ms, now_ms + 9, now_ms, cs::bytes_of(name)) !=
        ReplayVerdict::reserved)
      FAIL(id);
    // What came long ago, and a moment ago, is still here.
    for (const std::uint64_t earlier : {id / 2, id})
      if (store.reserve(key(earlier), now_ms, now_ms + 9, now_ms, {}) != ReplayVerdict::used)
        FAIL(id << ' ' << earlier);
  }
  for (std::uint64_t id = 0; id < count; ++id)
    if (store.reserve(key(id), now_ms, now_ms + 9, now_ms, {}) != ReplayVerdict::used) FAIL(id);
  CHECK(store.reserve(key(count), now_ms, now_ms + 9, now_ms, {}) == ReplayVerdict::full);
  CHECK(store.size() == count);
}

TEST_CASE("F-14 a guard without memory refuses, keeps its ids, and goes on when there is some",
          "[replay]") {
  allocations_left = 2;
  CHECK(ReplayGuard::create({.capacity = 1 << 20}).error() == cs::ErrorCode::no_memory);
  allocations_left = all_allocations;
  for (int left = 0; left < 12; ++left) {
    auto store = guard({.capacity = 1 << 20, .session_quota = 1 << 20});
    allocations_left = left;
    std::uint64_t kept = 0;
    const auto reserve = [&](std::uint64_t id) {
      const auto name = "session " + std::to_string(id);
      return store.reserve(key(id), now_ms, now_ms + 9, now_ms, cs::bytes_of(name));
    };
    while (kept < 2'000 && reserve(kept) == ReplayVerdict::reserved) ++kept;
    CHECK(kept >= static_cast<std::uint64_t>(left / 4) * 255);
    CHECK(kept < 2'000);
    CHECK(reserve(kept) == ReplayVerdict::full);
    CHECK(store.size() == kept);
    for (std::uint64_t id = 0; id < kept; ++id) CHECK(reserve(id) == ReplayVerdict::used);
    const auto late = cs::bytes_of("late");
    const auto verdict = store.limit(key(9'999), now_ms, now_ms + 9, now_ms, late, false);
    CHECK(verdict == ReplayVerdict::full);
    allocations_left = all_allocations;
    CHECK(reserve(kept) == ReplayVerdict::reserved);
    for (std::uint64_t id = 0; id <= kept; ++id) CHECK(reserve(id) == ReplayVerdict::used);
  }
}
