// SPDX-License-Identifier: MIT
// A reader's place in its stream of events (section 10): which event is the next, which are
// missing, and where the reader goes on. Numbers alone: the caller compares the names of streams,
// and reads the positions that a gateway writes as JSON.
#pragma once

#include "countersign/protocol.hpp"
#include "countersign/result.hpp"

namespace countersign {

/// EventKind says what an event of a type means for the place of its reader (R101).
enum class EventKind : std::uint8_t { numbered, time, gap, revoked };

constexpr EventKind event_kind(std::string_view event_type) {
  if (event_type == "cs.time") return EventKind::time;
  if (event_type == "cs.gap") return EventKind::gap;
  return event_type == "cs.revoked" ? EventKind::revoked : EventKind::numbered;
}

/// is_numbered says whether events of a type have a number of their own; `cs.time`, `cs.gap` and
/// `cs.revoked` repeat the last one sent (R101).
[[nodiscard]] constexpr bool is_numbered(std::string_view event_type) {
  return event_kind(event_type) == EventKind::numbered;
}

/// StreamPosition is what a gateway says of a stream (R102): the number that the next event will
/// get, and that of the oldest one kept.
struct StreamPosition {
  std::uint64_t next;
  std::uint64_t oldest;
  /// Whether the name beside them is the one that the reader knows.
  bool is_same_stream = true;
};

/// PlacedEvent is what an event means for a place.
struct PlacedEvent {
  EventKind kind;
  std::uint64_t sequence;
  std::uint64_t timestamp_ms;
};

/// EventTurn says where an event lies: the next one, a `cs.gap` that leads back, one that the
/// reader has already, or one that lies further ahead.
enum class EventTurn : std::uint8_t { next, back, known, ahead };

/// EventPlace is where a reader is on one connection.
struct EventPlace {
  /// Of the last event that was taken. The reader asks for what lies behind it (R112).
  std::uint64_t last = 0;
  /// No unnumbered event may be dated before this: one kept back or replayed would hide a silence
  /// (R104).
  std::uint64_t since_ms = 0;
  /// The number that the next event had when the gateway answered.
  std::uint64_t next = 0;
  /// Events are missing, and nothing counts before the `cs.gap` that says so (R103).
  bool is_gap_due = false;
  /// `last` counts in another stream than the connection has.
  bool is_renamed = false;

  /// begin is the place after the answer to a subscription behind `after`, or to the events from
  /// now on. answered_ms is the time of an answer that comes before its events. Fails with
  /// bad_json.
  Status begin(std::optional<std::uint64_t> after, const StreamPosition& position,
               std::uint64_t answered_ms);

  /// check says whether an event of this connection is the next one; fails with bad_sequence
  /// (R107).
  Status check(const PlacedEvent& event) const;
  /// take moves on past an event of this connection; gap is what a `cs.gap` says. Gives next or
  /// back; fails with bad_sequence, bad_json.
  Result<EventTurn> take(const PlacedEvent& event, const StreamPosition& gap = {});
  /// take_relayed moves on past an event that was sent to another reader of the session, where it
  /// is the next one here too (R114). Events that are lost for that reader need not be lost for
  /// this one: a `cs.gap` lies ahead, and so does everything while one is due.
  EventTurn take_relayed(const PlacedEvent& event);

  /// has_more says whether there were events behind this place when the gateway answered.
  bool has_more() const { return next > last + 1; }

 private:
  void move(const PlacedEvent& event);
};

}  // namespace countersign
