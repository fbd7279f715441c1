// SPDX-License-Identifier: MIT
#include "countersign/event_place.hpp"

namespace countersign {

namespace {

bool is_position(const StreamPosition& position) {
  return position.oldest > 0 && position.oldest <= position.next && position.next <= max_time_ms;
}

}  // namespace

Status EventPlace::begin(std::optional<std::uint64_t> after, const StreamPosition& position,
                         std::uint64_t answered_ms) {
  if (!is_position(position)) return ErrorCode::bad_json;
  last = after.value_or(position.next - 1);
  since_ms = answered_ms;
  next = position.next;
  is_renamed = after && !position.is_same_stream;
  // The place stays as it is until the cs.gap: a connection that ends earlier must not hide it.
  is_gap_due = is_renamed || last < position.oldest - 1 || last >= next;
  return {};
}

Status EventPlace::check(const PlacedEvent& event) const {
  const bool is_numbered = event.kind == EventKind::numbered;
  const bool is_in_place = event.sequence >= is_numbered && event.sequence - is_numbered == last;
  const bool is_late = !is_numbered && event.timestamp_ms < since_ms;
  const bool is_early = is_gap_due && (is_numbered || event.kind == EventKind::time);
  if (!is_in_place || is_late || is_early) return ErrorCode::bad_sequence;
  return {};
}

Result<EventTurn> EventPlace::take(const PlacedEvent& event, const StreamPosition& gap) {
  const Status in_place = check(event);
  if (!in_place) return in_place.error();
  if (event.kind != EventKind::gap) {
    move(event);
    return EventTurn::next;
  }
  if (!is_position(gap)) return ErrorCode::bad_json;
  const std::uint64_t before = gap.oldest - 1;
  // In the middle of a connection the gateway may leave out events, but never go back (R112).
  if (!gap.is_same_stream || (!is_gap_due && before < last)) return ErrorCode::bad_sequence;
  // The gateway has lost events that it had sent.
  const bool is_back = !is_renamed && last >= before;
  last = before;
  is_gap_due = is_renamed = false;
  return is_back ? EventTurn::back : EventTurn::next;
}

EventTurn EventPlace::take_relayed(const PlacedEvent& event) {
  if (event.kind == EventKind::revoked) return EventTurn::next;
  if (event.kind == EventKind::gap || is_gap_due) return EventTurn::ahead;
  const std::uint64_t due = last + (event.kind == EventKind::numbered);
  if (event.sequence != due) return event.sequence < due ? EventTurn::known : EventTurn::ahead;
  move(event);
  return EventTurn::next;
}

void EventPlace::move(const PlacedEvent& event) {
  if (event.kind == EventKind::numbered) last = event.sequence;
  // Two cs.time of one connection lie seconds apart. The same one again would hide a silence.
  if (event.kind == EventKind::time) since_ms = event.timestamp_ms + 1;
}

}  // namespace countersign
