// SPDX-License-Identifier: MIT
// Hashes, signatures, the server's clock and the replay guard as calls of numbers; arguments lie in
// io in the order in which their sizes are taken.
#pragma once

#include "countersign/client_clock.hpp"
#include "countersign/event_place.hpp"
#include "countersign/replay.hpp"
#include "io.hpp"

namespace countersign::wasm {

/// What outlives a call is named by its address; js/core/handles.ts keeps it private and uses none
/// after it was freed.
template <class T>
int handle_of(T value) {
  void* const memory = std::malloc(sizeof(T));
  if (memory == nullptr) return done(ErrorCode::no_memory);
  return reinterpret_cast<int>(new (memory) T(std::move(value)));
}
template <class T>
T& object_of(int handle) {
  return *reinterpret_cast<T*>(handle);
}
template <class T>
int release(int handle) {
  object_of<T>(handle).~T();
  std::free(&object_of<T>(handle));
  return 0;
}

inline int sha256_once(unsigned size) {
  return done(sha256(Arguments().bytes(size)));
}
inline int sha256_new() {
  return handle_of(Sha256());
}
inline int sha256_update(int handle, unsigned size) {
  object_of<Sha256>(handle).update(Arguments().bytes(size));
  return 0;
}
inline int sha256_finish(int handle) {
  return done(object_of<Sha256>(handle).finish());
}

inline int hmac(unsigned key_size, unsigned message_size) {
  Arguments in;
  const ByteView key = in.bytes(key_size);
  return done(hmac_sha256(key, in.bytes(message_size)));
}
inline int verify_hmac(unsigned key_size, unsigned tag_size, unsigned message_size) {
  Arguments in;
  const ByteView key = in.bytes(key_size);
  const ByteView tag = in.bytes(tag_size);
  return verify_hmac_sha256(key, in.bytes(message_size), tag);
}

inline int verify(unsigned message_size) {
  Arguments in;
  const auto key = in.fixed<ed25519_key_size>();
  const auto signature = in.fixed<signature_size>();
  return verify_ed25519(key, in.bytes(message_size), signature);
}
inline int is_acceptable_key() {
  return is_acceptable_ed25519_key(Arguments().fixed<ed25519_key_size>());
}
inline int trusted_key_new() {
  return handle_of(TrustedKey(Arguments().fixed<ed25519_key_size>()));
}
inline int trusted_key_verify(int handle, unsigned message_size) {
  Arguments in;
  const auto signature = in.fixed<signature_size>();
  return object_of<TrustedKey>(handle).verify(in.bytes(message_size), signature);
}

inline int clock_new() {
  return handle_of(ServerClock());
}
inline int clock_add_round_trip(int handle, double sent_ms, double received_ms, double server_ms,
                                bool replace) {
  return object_of<ServerClock>(handle).add_round_trip({sent_ms, received_ms, server_ms}, replace);
}
inline int clock_add_event(int handle, double received_ms, double server_ms) {
  return object_of<ServerClock>(handle).add_event(received_ms, server_ms);
}
inline int clock_start_stored(int handle, double monotonic_ms, double server_ms, double error_ms) {
  return object_of<ServerClock>(handle).start_stored(monotonic_ms, server_ms, error_ms);
}
inline int clock_note_wall(int handle, double monotonic_ms, double wall_ms) {
  return object_of<ServerClock>(handle).note_wall(monotonic_ms, wall_ms);
}
inline int clock_estimate(int handle, double monotonic_ms) {
  const ClockEstimate estimate = object_of<ServerClock>(handle).estimate(monotonic_ms);
  Table().number(estimate.offset_ms).number(estimate.error_ms).number(estimate.age_ms);
  return static_cast<int>(estimate.source);
}
inline int clock_stamp(int handle, double monotonic_ms) {
  const Result<std::uint64_t> stamp = object_of<ServerClock>(handle).stamp(monotonic_ms);
  if (!stamp) return done(stamp.error());
  Table().number(*stamp);
  return 0;
}
inline int clock_reset(int handle) {
  object_of<ServerClock>(handle).reset();
  return 0;
}

// One operation of the client's clock at one reading of the local clocks. What a number means is
// told by the operation. Gives the ClockBits; table holds the clock after it.
enum class ClockOperation : unsigned {
  look,
  answer,
  stale,
  event,
  stamp,
  probe,
  ask,
  note,
  recall
};
enum ClockBits : int { is_done = 1, has_changed = 2, lacks_answer = 4, has_note = 8 };

inline int client_clock_new(double build_ms, bool trust_local) {
  return handle_of(ClientClock(time_of(build_ms), trust_local));
}
inline int client_clock_run(int handle, unsigned operation, double monotonic_ms, double wall_ms,
                            double one, double two, double three, double four) {
  ClientClock& clock = object_of<ClientClock>(handle);
  const LocalTime at{monotonic_ms, wall_ms};
  const auto asked = static_cast<ClockOperation>(operation);
  bool done_it = false;
  // Stands for the answer that the client has to ask the server first.
  Result<std::uint64_t> stamp = ErrorCode::clock_unknown;
  switch (asked) {
    case ClockOperation::look:
      clock.look(at);
      break;
    case ClockOperation::answer:
    case ClockOperation::stale:
      done_it = clock.add_round_trip(at, {one, two, three}, asked == ClockOperation::stale);
      break;
    case ClockOperation::event:
      done_it = clock.add_event(at, one, two);
      break;
    case ClockOperation::stamp:
      stamp = clock.stamp(at, one != 0);
      break;
    case ClockOperation::probe:
      stamp = clock.probe_stamp(at);
      break;
    case ClockOperation::ask:
      done_it = clock.should_ask(at);
      break;
    case ClockOperation::note:
      done_it = clock.is_note_due(at);
      break;
    case ClockOperation::recall:
      clock.recall_floor(at, one);
      clock.recall(at, {two, three, four});
      break;
  }
  if (stamp)
    done_it = true;
  else if (stamp.error() != ErrorCode::clock_unknown)
    return done(stamp.error());
  const ClockEstimate& known = clock.estimate();
  const ClockCorrection& correction = clock.correction();
  Table()
      .number(known.offset_ms)
      .number(clock.wall_offset_ms())
      .number(known.error_ms)
      .number(known.age_ms)
      .number(known.source)
      .number(clock.floor_ms())
      .number(stamp.ok() ? *stamp : 0)
      .number(correction.by_ms)
      .number(correction.at_ms)
      .number(correction.source);
  return done_it * is_done + clock.take_change() * has_changed +
         clock.lacks_answer() * lacks_answer + clock.has_note() * has_note;
}

inline void tabulate(const EventPlace& place) {
  Table().number(place.last).number(place.is_gap_due).number(place.has_more());
}
// A number below 0 stands for none.
inline int place_begin(double after, double next, double oldest, bool is_same_stream,
                       double answered_ms) {
  EventPlace place;
  const Status begun =
      place.begin(after < 0 ? std::nullopt : std::optional(time_of(after)),
                  {time_of(next), time_of(oldest), is_same_stream}, time_of(answered_ms));
  if (!begun) return done(begun.error());
  tabulate(place);
  return handle_of(place);
}
// Gives the turn. What follows the time is said by a cs.gap.
inline int place_take(int handle, unsigned type_size, bool is_relayed, double sequence,
                      double timestamp_ms, double next, double oldest, bool is_same_stream) {
  EventPlace& place = object_of<EventPlace>(handle);
  const PlacedEvent event{event_kind(Arguments().text(type_size)), time_of(sequence),
                          time_of(timestamp_ms)};
  Result<EventTurn> turn =
      is_relayed ? place.take_relayed(event)
                 : place.take(event, {time_of(next), time_of(oldest), is_same_stream});
  if (!turn) return done(turn.error());
  tabulate(place);
  return static_cast<int>(*turn);
}

inline int guard_new(unsigned capacity, unsigned session_quota, double floor_ms, double seed) {
  ReplayOptions options{.capacity = capacity, .floor_ms = time_of(floor_ms), .seed = time_of(seed)};
  if (session_quota > 0) options.session_quota = session_quota;
  Result<ReplayGuard> guard = ReplayGuard::create(options);
  return guard ? handle_of(*std::move(guard)) : done(guard.error());
}
/// verdict_of gives a verdict as a number, and the wait of a limited session as the first number of
/// the table.
inline int verdict_of(const ReplayGuard& guard, ByteView session, ReplayVerdict verdict) {
  if (verdict == ReplayVerdict::limited) Table().number(guard.wait_ms(session));
  return static_cast<int>(verdict);
}
inline int guard_reserve(int handle, double timestamp_ms, double expires_ms, double now_ms,
                         unsigned session_size) {
  Arguments in;
  const auto key = in.fixed<hash_size>();
  const ByteView session = in.bytes(session_size);
  ReplayGuard& guard = object_of<ReplayGuard>(handle);
  return verdict_of(
      guard, session,
      guard.reserve(key, time_of(timestamp_ms), time_of(expires_ms), time_of(now_ms), session));
}
inline int guard_limit(int handle, double timestamp_ms, double expires_ms, double now_ms,
                       unsigned session_size, bool is_reserved) {
  Arguments in;
  const auto key = in.fixed<hash_size>();
  const ByteView session = in.bytes(session_size);
  ReplayGuard& guard = object_of<ReplayGuard>(handle);
  return verdict_of(guard, session,
                    guard.limit(key, time_of(timestamp_ms), time_of(expires_ms), time_of(now_ms),
                                session, is_reserved));
}
inline int guard_state(int handle) {
  const ReplayGuard& guard = object_of<ReplayGuard>(handle);
  Table().number(guard.size()).number(guard.floor_ms());
  return 0;
}

}  // namespace countersign::wasm
