// SPDX-License-Identifier: MIT
#include "replay.hpp"

#include <chrono>
#include <iostream>
#include <map>
#include <set>

#include "countersign/request.hpp"

namespace cs = countersign;
using cs::ReplayGuard;
using cs::ReplayVerdict;
using test::guard;
using test::key;
using test::now_ms;

TEST_CASE("D1 an id is reserved once", "[replay]") {
  auto store = guard({.capacity = 4});
  CHECK(store.reserve(key(1), now_ms, now_ms + 70'000, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(1), now_ms, now_ms + 70'000, now_ms) == ReplayVerdict::used);
  CHECK(store.reserve(key(1), now_ms + 5, now_ms + 70'000, now_ms + 5) == ReplayVerdict::used);
  CHECK(store.size() == 1);
}

TEST_CASE("D4 a full guard refuses, and never evicts a live id", "[replay]") {
  auto store = guard({.capacity = 100, .session_quota = 100});
  for (std::uint64_t id = 0; id < 100; ++id) {
    CHECK(store.reserve(key(id), now_ms + id, now_ms + 70'000, now_ms) == ReplayVerdict::reserved);
  }
  for (std::uint64_t id = 100; id < 10'000; ++id) {
    if (store.reserve(key(id), now_ms + id, now_ms + 70'000, now_ms) != ReplayVerdict::full)
      FAIL(id);
  }
  for (std::uint64_t id = 0; id < 100; ++id) {
    CHECK(store.reserve(key(id), now_ms + id, now_ms + 70'000, now_ms) == ReplayVerdict::used);
  }
  CHECK(store.size() == 100);
}

TEST_CASE("D5 an id is kept as long as its time can be fresh, for every window", "[replay]") {
  test::Random random(71);
  for (int round = 0; round < 2'000; ++round) {
    const std::uint64_t past = random.below(100'000);
    const std::uint64_t future = random.below(20'000);
    auto store = guard({.capacity = 8});
    const std::uint64_t timestamp_ms = now_ms - past + random.below(past + future + 1);
    const std::uint64_t expires_ms = timestamp_ms + past + future / 2 + 2'000;
    REQUIRE(store.reserve(key(1), timestamp_ms, expires_ms, now_ms) == ReplayVerdict::reserved);
    std::uint64_t at_ms = now_ms;
    while (at_ms <= timestamp_ms + past) {
      if (cs::check_freshness(timestamp_ms, {at_ms, past, future}).ok()) {
        if (store.reserve(key(1), timestamp_ms, expires_ms, at_ms) != ReplayVerdict::used)
          FAIL("round " << round);
      }
      at_ms += 1 + random.below(9'000);
    }
    // To the millisecond: the last it is kept for, and the first it is not.
    CHECK(store.reserve(key(1), timestamp_ms, expires_ms, expires_ms) == ReplayVerdict::used);
    CHECK(store.reserve(key(1), timestamp_ms, expires_ms, expires_ms + 1) ==
          ReplayVerdict::too_old);
  }
}

TEST_CASE("D5 the floor rises to what is forgotten, and never falls", "[replay]") {
  auto store = guard({.capacity = 8, .floor_ms = now_ms});
  CHECK(store.floor_ms() == now_ms);
  CHECK(store.reserve(key(1), now_ms, now_ms + 9, now_ms) == ReplayVerdict::too_old);
  CHECK(store.reserve(key(1), now_ms + 1, now_ms + 100, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(2), now_ms + 50, now_ms + 300, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(3), now_ms + 60, now_ms + 101, now_ms + 101) == ReplayVerdict::reserved);
  CHECK(store.floor_ms() == now_ms + 1);
  CHECK(store.reserve(key(4), now_ms + 70, now_ms + 102, now_ms + 102) == ReplayVerdict::reserved);
  CHECK(store.floor_ms() == now_ms + 60);
  // Under the floor a live id is still called used, an unknown one too old.
  CHECK(store.reserve(key(2), now_ms + 50, now_ms + 300, now_ms + 102) == ReplayVerdict::used);
  CHECK(store.reserve(key(5), now_ms + 50, now_ms + 300, now_ms + 102) == ReplayVerdict::too_old);
  CHECK(store.reserve(key(6), now_ms + 900, now_ms + 900, now_ms + 500) == ReplayVerdict::reserved);
  CHECK(store.floor_ms() == now_ms + 70);
}

TEST_CASE("D6 the fence of a restart: nothing dated up to now + future passes", "[replay]") {
  auto store = guard({.capacity = 8, .floor_ms = now_ms + 10'000});
  for (std::uint64_t ahead = 0; ahead <= 10'000; ahead += 1'000) {
    CHECK(store.reserve(key(ahead), now_ms + ahead, now_ms + 90'000, now_ms) ==
          ReplayVerdict::too_old);
  }
  CHECK(store.reserve(key(1), now_ms + 10'001, now_ms + 90'000, now_ms + 1) ==
        ReplayVerdict::reserved);
}

TEST_CASE(
    "an expiry in the past, or before the id's own time, keeps the id until the later of them",
    "[replay]") {
  auto store = guard({.capacity = 8});
  CHECK(store.reserve(key(1), now_ms - 5, 0, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(1), now_ms - 5, 0, now_ms) == ReplayVerdict::used);
  CHECK(store.reserve(key(2), now_ms + 1'000, now_ms, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(2), now_ms + 1'000, now_ms, now_ms + 1'000) == ReplayVerdict::used);
  CHECK(store.floor_ms() == now_ms - 5);  // an id dated ahead did not raise it
}

TEST_CASE("C10 a clock that steps back forgets nothing and lets nothing in again", "[replay]") {
  auto store = guard({.capacity = 8});
  CHECK(store.reserve(key(1), now_ms, now_ms + 10, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(2), now_ms + 20, now_ms + 90, now_ms + 20) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(1), now_ms, now_ms + 10, now_ms) == ReplayVerdict::too_old);
  CHECK(store.reserve(key(3), now_ms + 30, 0, now_ms - 1'000'000) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(3), now_ms + 30, 0, now_ms + 20) == ReplayVerdict::used);
}

TEST_CASE("D4 one session cannot take the room of others: 1/64 of it, at least one", "[replay]") {
  const auto attacker = cs::bytes_of("attacker");
  for (const std::size_t capacity : {1u, 63u, 64u, 128u, 6400u}) {
    auto store = guard({.capacity = capacity});
    const std::size_t quota = std::max<std::size_t>(1, capacity / 64);
    std::size_t taken = 0;
    for (std::uint64_t id = 0; id < quota + 50; ++id) {
      if (store.reserve(key(id), now_ms, now_ms + 9, now_ms, attacker) == ReplayVerdict::reserved)
        ++taken;
    }
    CHECK(taken == quota);
    const auto other =
        store.reserve(key(99'999), now_ms, now_ms + 9, now_ms, cs::bytes_of("other"));
    CHECK(other == (capacity == 1 ? ReplayVerdict::full : ReplayVerdict::reserved));
    // What expires makes room again.
    CHECK(store.reserve(key(100'000), now_ms + 10, now_ms + 20, now_ms + 10, attacker) ==
          ReplayVerdict::reserved);
  }
}

TEST_CASE("D4 D7 sessions whose names are alike but for their end have shares of their own",
          "[replay]") {
  auto store = guard({.capacity = 6400, .session_quota = 1});
  std::uint64_t id = 0;
  // Zero bytes at the end, the lengths around that of a hash, and a name that looks like a length.
  for (const std::string& name :
       {std::string("a"), std::string("a\0", 2), std::string("a\0\0", 3), std::string("a\1", 2),
        std::string(30, 'a'), std::string(31, 'a'), std::string(32, 'a'), std::string(33, 'a'),
        std::string(31, '\0'), std::string(30, '\0')}) {
    const auto session = cs::bytes_of(name);
    CHECK(store.reserve(key(++id), now_ms, now_ms + 9, now_ms, session) == ReplayVerdict::reserved);
    CHECK(store.reserve(key(++id), now_ms, now_ms + 9, now_ms, session) == ReplayVerdict::full);
  }
}

TEST_CASE("C2 times above 2^53-1 are refused, and the last that is one is kept for ever",
          "[replay]") {
  auto store = guard({.capacity = 8});
  const std::uint64_t max = cs::max_time_ms;
  CHECK(store.reserve(key(1), max + 1, max, now_ms) == ReplayVerdict::full);
  CHECK(store.reserve(key(1), now_ms, max + 1, now_ms) == ReplayVerdict::full);
  CHECK(store.reserve(key(1), now_ms, max, ~std::uint64_t{0}) == ReplayVerdict::full);
  CHECK(store.size() == 0);
  CHECK(store.reserve(key(1), now_ms, max, now_ms) == ReplayVerdict::reserved);
  CHECK(store.reserve(key(1), now_ms, max, max) == ReplayVerdict::used);
}

TEST_CASE("a guard needs a capacity it can keep", "[replay]") {
  using cs::ErrorCode;
  CHECK(ReplayGuard::create({.capacity = 0}).error() == ErrorCode::invalid_argument);
  CHECK(ReplayGuard::create({.capacity = cs::max_replay_capacity + 1}).error() ==
        ErrorCode::invalid_argument);
  CHECK(ReplayGuard::create({.capacity = ~std::size_t{0}}).error() == ErrorCode::invalid_argument);
  CHECK(ReplayGuard::create({.capacity = 1, .session_quota = 0}).error() ==
        ErrorCode::invalid_argument);
  CHECK(ReplayGuard::create({.capacity = 1, .session_quota = {}, .floor_ms = cs::max_time_ms + 1})
            .error() == ErrorCode::invalid_argument);
}

TEST_CASE("D1 D4 D5 D7 the guard does what a plain map does, whatever the times", "[replay]") {
  test::Random random(72);
  std::map<ReplayVerdict, int> seen;
  for (int run = 0; run < 200; ++run) {
    const std::size_t capacity = 1 + random.index(40);
    const std::size_t quota = 1 + random.index(10);
    const std::uint64_t floor_ms = random.below(2) * random.below(1'000);
    auto store = guard({.capacity = capacity,
                        .session_quota = quota,
                        .floor_ms = floor_ms,
                        .seed = random.next()});
    test::ReplayModel model{capacity, quota, floor_ms};
    std::uint64_t at_ms = random.below(2) == 0 ? now_ms : random.below(5'000);
    const std::uint64_t reach = std::uint64_t{1} << random.below(44);
    for (int step = 0; step < 400; ++step) {
      if (random.below(3) == 0) at_ms += random.below(reach);
      const std::uint64_t called_ms = random.below(20) == 0 ? at_ms / 2 : at_ms;
      const auto name = key(random.below(60));
      const std::uint64_t timestamp_ms =
          at_ms - std::min(at_ms, random.below(reach)) + random.below(reach);
      const std::uint64_t expires_ms =
          random.below(10) == 0 ? 0 : timestamp_ms + random.below(reach);
      // Names shorter and longer than the guard keeps as they are.
      const std::string session =
          random.below(4) == 0 ? ""
                               : std::string(random.index(4) * 15, 's') + "abcdef"[random.index(6)];
      // One call in four limits: an id of the caller's, or one that nobody has reserved.
      const bool limits = random.below(4) == 0;
      const bool is_reserved = random.below(2) == 0;
      const auto owner = cs::bytes_of(session);
      const auto verdict =
          limits ? store.limit(name, timestamp_ms, expires_ms, called_ms, owner, is_reserved)
                 : store.reserve(name, timestamp_ms, expires_ms, called_ms, owner);
      const auto expected =
          limits ? model.limit(name, timestamp_ms, expires_ms, called_ms, session, is_reserved)
                 : model.reserve(name, timestamp_ms, expires_ms, called_ms, session);
      if (verdict != expected || store.size() != model.size() || store.floor_ms() != model.floor_ms)
        FAIL("run " << run << " step " << step);
      ++seen[verdict];
    }
  }
  for (const auto verdict : {ReplayVerdict::reserved, ReplayVerdict::used, ReplayVerdict::too_old,
                             ReplayVerdict::full, ReplayVerdict::limited})
    CHECK(seen[verdict] > 1'000);
}

TEST_CASE("D1 a million ids over simulated minutes: none is accepted twice", "[replay]") {
  auto store = guard({.capacity = 1 << 12, .session_quota = 1 << 12, .seed = 5});
  test::Random random(73);
  std::set<std::uint64_t> accepted;
  std::uint64_t at_ms = now_ms;
  std::uint64_t reserved = 0;
  for (int step = 0; step < 200'000; ++step) {
    at_ms += random.below(4);
    // The past 60 s of ids, each with the time that is part of it.
    const std::uint64_t timestamp_ms = at_ms - random.below(70'000);
    const std::uint64_t id = timestamp_ms * 2 + random.below(2);
    if (!cs::check_freshness(timestamp_ms, {at_ms}).ok()) continue;
    const auto verdict =
        store.reserve(key(id), timestamp_ms, timestamp_ms + 67'000, at_ms, cs::bytes_of("s"));
    if (verdict != ReplayVerdict::reserved) continue;
    ++reserved;
    if (!accepted.insert(id).second) FAIL("accepted twice: " << id);
  }
  CHECK(reserved > 10'000);
}

TEST_CASE("more than a million reservations a second", "[.speed]") {
  auto store = guard({.capacity = 1 << 20, .session_quota = 1 << 20});
  std::vector<cs::Hash> keys;
  for (std::uint64_t id = 0; id < 1'500'000; ++id) keys.push_back(key(id));
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t at_ms = now_ms;
  std::size_t reserved = 0;
  for (std::size_t id = 0; id < keys.size(); ++id) {
    at_ms += id % 15 == 0;  // 15,000 a second: the guard is full of live ids, and ids expire
    if (store.reserve(keys[id], at_ms, at_ms + 67'000, at_ms, cs::bytes_of("session")) ==
        ReplayVerdict::reserved)
      ++reserved;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << static_cast<double>(keys.size()) / seconds.count() / 1e6
            << " million reservations a second, " << store.size() << " live\n";
  CHECK(reserved == keys.size());
  CHECK(static_cast<double>(keys.size()) / seconds.count() > 1e6);
}
