// SPDX-License-Identifier: MIT
// A reader's place with any positions and events: a number is taken once and in order, what is
// refused changes nothing, and nothing but a cs.gap leads elsewhere.
#include "countersign/event_place.hpp"

#include "support.hpp"

namespace cs = countersign;
using cs::EventKind;
using cs::EventTurn;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Choices choices({data, size});
  cs::EventPlace place;
  const auto number = [&] {
    const std::uint64_t form = choices.number(1);
    return form < 240 ? form % 16 : choices.number(8);
  };
  const auto position = [&] {
    return cs::StreamPosition{number(), number(), choices.number(1) % 4 != 0};
  };
  while (!choices.is_done()) {
    const std::uint64_t what = choices.number(1);
    const cs::EventPlace before = place;
    if (what % 8 == 0) {
      std::optional<std::uint64_t> after;
      if (what >= 64) after = number();
      const cs::StreamPosition told = position();
      if (!place.begin(after, told, number())) {
        check(place.last == before.last && place.next == before.next);
        continue;
      }
      const std::uint64_t last = after.value_or(told.next - 1);
      const bool is_kept = last >= told.oldest - 1 && last < told.next;
      check(place.last == last &&
            place.is_gap_due == !(is_kept && (!after || told.is_same_stream)));
      continue;
    }
    const cs::PlacedEvent event{static_cast<EventKind>(what / 8 % 4), number(), number()};
    if (what % 8 == 1) {
      const EventTurn turn = place.take_relayed(event);
      if (turn == EventTurn::next && event.kind == EventKind::numbered)
        check(place.last == event.sequence && event.sequence == before.last + 1);
      else
        check(place.last == before.last);
      check(place.is_gap_due == before.is_gap_due && turn != EventTurn::back);
      continue;
    }
    const cs::StreamPosition gap = position();
    const auto turn = place.take(event, gap);
    if (!turn) {
      check(place.last == before.last && place.since_ms == before.since_ms);
      check(place.is_gap_due == before.is_gap_due);
    } else if (event.kind == EventKind::gap) {
      check(place.last == gap.oldest - 1 && !place.is_gap_due);
      check(before.is_gap_due || place.last >= before.last);
    } else {
      check(!before.is_gap_due || event.kind == EventKind::revoked);
      check(place.last == before.last + (event.kind == EventKind::numbered));
    }
  }
  return 0;
}
