// SPDX-License-Identifier: MIT
#include "countersign/event_place.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "support.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using cs::EventKind;
using cs::EventPlace;
using cs::EventTurn;

namespace {

EventPlace begun(std::optional<std::uint64_t> after, const cs::StreamPosition& position,
                 std::uint64_t answered_ms = 0) {
  EventPlace place;
  REQUIRE(place.begin(after, position, answered_ms).ok());
  return place;
}

ErrorCode refusal(EventPlace place, const cs::PlacedEvent& event,
                  const cs::StreamPosition& gap = {}) {
  const EventPlace before = place;
  const auto turn = place.take(event, gap);
  CHECK(place.last == before.last);
  CHECK(place.is_gap_due == before.is_gap_due);
  return turn ? ErrorCode::internal : turn.error();
}

}  // namespace

TEST_CASE("R112 a reader goes on behind its event, or with the events from now on",
          "[event_place]") {
  CHECK(begun(std::nullopt, {7, 3}).last == 6);
  CHECK_FALSE(begun(std::nullopt, {7, 7, false}).is_gap_due);
  CHECK_FALSE(begun(6, {7, 3}).has_more());
  CHECK(begun(5, {7, 3}).has_more());
  for (const std::uint64_t kept : {2u, 6u}) CHECK_FALSE(begun(kept, {7, 3}).is_gap_due);
  for (const std::uint64_t lost : {1u, 7u, 8u}) {
    const EventPlace place = begun(lost, {7, 3});
    CHECK(place.is_gap_due);
    CHECK(place.last == lost);
  }
  CHECK(begun(6, {7, 3, false}).is_gap_due);
  CHECK(begun(0, {1, 1}).last == 0);

  EventPlace place;
  for (const cs::StreamPosition& none :
       {cs::StreamPosition{0, 0}, {7, 0}, {7, 8}, {cs::max_time_ms + 1, 1}})
    CHECK(place.begin(6, none, 0).error() == ErrorCode::bad_json);
  CHECK(begun(6, {cs::max_time_ms, 1}).next == cs::max_time_ms);
}

TEST_CASE("R107 a numbered event is the next one, an unnumbered one repeats the last",
          "[event_place]") {
  EventPlace place = begun(6, {9, 1}, 100);
  for (const std::uint64_t wrong : {0u, 6u, 8u})
    CHECK(refusal(place, {EventKind::numbered, wrong, 0}) == ErrorCode::bad_sequence);
  for (const EventKind kind : {EventKind::time, EventKind::gap, EventKind::revoked})
    CHECK(refusal(place, {kind, 7, 100}, {9, 9}) == ErrorCode::bad_sequence);
  // Numbered events are dated when they are sent, and may be older than the answer to a poll.
  CHECK(*place.take({EventKind::numbered, 7, 0}) == EventTurn::next);
  CHECK(*place.take({EventKind::revoked, 7, 100}) == EventTurn::next);
  CHECK(place.last == 7);
  CHECK(place.has_more());
  CHECK(*place.take({EventKind::numbered, 8, 0}) == EventTurn::next);
  CHECK_FALSE(place.has_more());
  const EventPlace last{.last = ~std::uint64_t{0}};
  CHECK(refusal(last, {EventKind::numbered, 0, 0}) == ErrorCode::bad_sequence);
}

TEST_CASE("R104 no cs.time goes back, and none comes twice", "[event_place]") {
  EventPlace place = begun(6, {7, 1}, 100);
  CHECK(refusal(place, {EventKind::time, 6, 99}) == ErrorCode::bad_sequence);
  CHECK(*place.take({EventKind::time, 6, 100}) == EventTurn::next);
  CHECK(refusal(place, {EventKind::time, 6, 100}) == ErrorCode::bad_sequence);
  CHECK(*place.take({EventKind::time, 6, 101}) == EventTurn::next);
  CHECK(refusal(place, {EventKind::gap, 6, 101}, {9, 9}) == ErrorCode::bad_sequence);
}

TEST_CASE("R103 R112 nothing counts before the cs.gap that is due", "[event_place]") {
  const EventPlace lost = begun(6, {20, 10});
  CHECK(refusal(lost, {EventKind::numbered, 7, 0}) == ErrorCode::bad_sequence);
  CHECK(refusal(lost, {EventKind::time, 6, 0}) == ErrorCode::bad_sequence);
  CHECK(refusal(lost, {EventKind::gap, 6, 0}, {20, 21}) == ErrorCode::bad_json);
  CHECK(refusal(lost, {EventKind::gap, 6, 0}, {20, 10, false}) == ErrorCode::bad_sequence);
  EventPlace place = lost;
  CHECK(*place.take({EventKind::gap, 6, 0}, {20, 10}) == EventTurn::next);
  CHECK(place.last == 9);
  CHECK_FALSE(place.is_gap_due);
  CHECK(*place.take({EventKind::numbered, 10, 0}) == EventTurn::next);

  // The gateway has lost what it had sent: the stream goes back, and the application hears of it.
  EventPlace ahead = begun(6, {3, 2});
  CHECK(*ahead.take({EventKind::gap, 6, 0}, {3, 2}) == EventTurn::back);
  CHECK(ahead.last == 1);
  // In another stream the numbers mean nothing.
  EventPlace renamed = begun(6, {3, 2, false});
  CHECK(*renamed.take({EventKind::gap, 6, 0}, {3, 2}) == EventTurn::next);
  CHECK(renamed.last == 1);
}

TEST_CASE("R112 in the middle of a connection a cs.gap leads on, and never back", "[event_place]") {
  EventPlace place = begun(6, {20, 1});
  CHECK(refusal(place, {EventKind::gap, 6, 0}, {20, 6}) == ErrorCode::bad_sequence);
  CHECK(*place.take({EventKind::gap, 6, 0}, {20, 7}) == EventTurn::back);
  CHECK(*place.take({EventKind::gap, 6, 0}, {20, 12}) == EventTurn::next);
  CHECK(place.last == 11);
}

TEST_CASE("R114 an event of another reader is taken where it is the next one here too",
          "[event_place]") {
  EventPlace place = begun(6, {9, 1});
  CHECK(place.take_relayed({EventKind::numbered, 6, 0}) == EventTurn::known);
  CHECK(place.take_relayed({EventKind::numbered, 8, 0}) == EventTurn::ahead);
  CHECK(place.take_relayed({EventKind::time, 5, 0}) == EventTurn::known);
  CHECK(place.take_relayed({EventKind::time, 7, 0}) == EventTurn::ahead);
  CHECK(place.take_relayed({EventKind::gap, 6, 0}) == EventTurn::ahead);
  CHECK(place.last == 6);
  CHECK(place.take_relayed({EventKind::time, 6, 5}) == EventTurn::next);
  CHECK(place.since_ms == 6);
  CHECK(place.take_relayed({EventKind::numbered, 7, 0}) == EventTurn::next);
  CHECK(place.last == 7);
  CHECK(place.take_relayed({EventKind::revoked, 99, 0}) == EventTurn::next);

  // While a cs.gap is due, the numbers may be of two streams. The gateway is asked.
  EventPlace lost = begun(6, {3, 2, false});
  for (const std::uint64_t sequence : {1u, 6u, 7u, 8u}) {
    CHECK(lost.take_relayed({EventKind::numbered, sequence, 0}) == EventTurn::ahead);
    CHECK(lost.take_relayed({EventKind::time, sequence, 0}) == EventTurn::ahead);
  }
  CHECK(lost.take_relayed({EventKind::revoked, 0, 0}) == EventTurn::next);
}

TEST_CASE("R103 R107 R112 each event comes once, in order, or a gap is told: 3000 random runs",
          "[event_place]") {
  // A gateway that keeps some events, drops old ones and sometimes loses its buffer, on a network
  // that drops, repeats and reorders. The reader connects again after each refusal.
  test::Random random(1123);
  for (int run = 0; run < 3000; ++run) {
    CAPTURE(run);
    std::uint64_t stream = 1;
    std::uint64_t next = 1 + random.below(5);
    std::uint64_t oldest = 1;
    std::uint64_t known_stream = stream;
    std::optional<std::uint64_t> after;
    std::uint64_t told_stream = 0;  // of the last number that the application heard of
    std::uint64_t told = 0;
    std::uint64_t clock_ms = 1000;
    for (int connection = 0; connection < 6; ++connection) {
      if (random.below(8) == 0) {
        ++stream;
        next = 1 + random.below(8);
        oldest = 1;
      }
      oldest = std::min(next, oldest + random.below(3));
      EventPlace place;
      const std::uint64_t asked = after.value_or(next - 1);
      const bool is_kept =
          (!after || known_stream == stream) && asked + 1 >= oldest && asked < next;
      REQUIRE(place.begin(after, {next, oldest, !after || known_stream == stream}, clock_ms).ok());
      // A gap is told when, and only when, numbers are missing.
      REQUIRE(place.is_gap_due == !is_kept);
      if (is_kept && !after) {
        told_stream = stream;
        told = asked;
      }
      std::uint64_t sent = asked;
      if (!is_kept) {
        if (random.below(5) == 0) continue;  // the connection ends before the cs.gap
        const auto turn = place.take({EventKind::gap, sent, clock_ms}, {next, oldest, true});
        REQUIRE(turn.ok());
        REQUIRE((*turn == EventTurn::back) == (known_stream == stream && asked >= oldest - 1));
        told_stream = stream;
        sent = told = oldest - 1;
      }
      known_stream = stream;
      for (int item = 0; item < 10; ++item) {
        next += random.below(2);
        clock_ms += random.below(3);
        const bool is_time = random.below(4) == 0;
        std::uint64_t sequence = is_time ? sent : sent + 1;
        if (!is_time && sequence >= next) continue;
        const std::uint64_t right = sequence;
        const std::uint64_t fault = random.below(10);
        if (fault == 0) sequence += 1 + random.below(2);
        if (fault == 1) sequence -= std::min<std::uint64_t>(sequence, 1 + random.below(2));
        const EventPlace before = place;
        const auto turn =
            place.take({is_time ? EventKind::time : EventKind::numbered, sequence, clock_ms});
        if (sequence != right) {
          REQUIRE(!turn.ok());
          REQUIRE(place.last == before.last);
          break;
        }
        if (is_time) {
          REQUIRE(turn.ok() == (clock_ms >= before.since_ms));
          if (!turn) break;
          continue;
        }
        REQUIRE(turn.ok());
        REQUIRE(told_stream == stream);
        REQUIRE(sequence == told + 1);
        told = sent = sequence;
        REQUIRE(place.last == told);
        REQUIRE(place.has_more() == (place.next > told + 1));
      }
      after = place.last;
    }
  }
}
