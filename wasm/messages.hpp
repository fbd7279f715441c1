// SPDX-License-Identifier: MIT
// Signing inputs, frames, requests and answers as calls of numbers. Arguments lie in io: hash, key
// or frame first, then the texts, in the order of js/core/client-core.ts and js/core/frames.ts,
// which have checked every one of them.
#pragma once

#include "countersign/enrollment.hpp"
#include "countersign/event.hpp"
#include "countersign/marker.hpp"
#include "io.hpp"

namespace countersign::wasm {

inline RequestFields request_fields(unsigned label, unsigned version, unsigned session,
                                    unsigned type, unsigned id, double timestamp_ms) {
  Arguments in;
  const auto payload_hash = in.fixed<hash_size>();
  return {.label = in.text(label),
          .protocol_version = in.text(version),
          .device_session_id = in.text(session),
          .message_type = in.text(type),
          .timestamp_ms = time_of(timestamp_ms),
          .request_id = in.text(id),
          .payload_hash = payload_hash};
}
inline int put_request(double timestamp_ms, unsigned label, unsigned version, unsigned session,
                       unsigned type, unsigned id) {
  return done(write_request(request_fields(label, version, session, type, id, timestamp_ms), out));
}
// Says in table where the whole id lies in out.
inline int put_begun_request(double timestamp_ms, unsigned label, unsigned version,
                             unsigned session, unsigned type, unsigned id) {
  const RequestFields fields = request_fields(label, version, session, type, id, timestamp_ms);
  const Result<BegunRequest> begun = begin_request(fields, out);
  if (!begun) return done(begun.error());
  Table().number(bytes_of(begun->request_id).data() - out).number(begun->request_id.size());
  return done(begun->signing_input);
}
inline int put_response(double timestamp_ms, unsigned label, unsigned version, unsigned id,
                        unsigned result) {
  Arguments in;
  const auto payload_hash = in.fixed<hash_size>();
  return done(write_response({.label = in.text(label),
                              .protocol_version = in.text(version),
                              .request_id = in.text(id),
                              .timestamp_ms = time_of(timestamp_ms),
                              .result_code = in.text(result),
                              .payload_hash = payload_hash},
                             out));
}
inline int put_event(double timestamp_ms, double sequence, unsigned label, unsigned version,
                     unsigned session, unsigned type, unsigned id) {
  Arguments in;
  const auto payload_hash = in.fixed<hash_size>();
  return done(write_event({.label = in.text(label),
                           .protocol_version = in.text(version),
                           .device_session_id = in.text(session),
                           .event_type = in.text(type),
                           .sequence = time_of(sequence),
                           .timestamp_ms = time_of(timestamp_ms),
                           .event_id = in.text(id),
                           .payload_hash = payload_hash},
                          out));
}
inline int put_enroll(unsigned algorithm, unsigned key, unsigned label, unsigned challenge,
                      unsigned email) {
  Arguments in;
  const ByteView public_key = in.bytes(key);
  return done(write_enroll({.label = in.text(label),
                            .challenge_id = in.text(challenge),
                            .algorithm = static_cast<Algorithm>(algorithm),
                            .public_key = public_key,
                            .email = in.text(email)},
                           out));
}
inline int put_rotate(unsigned algorithm, unsigned key, unsigned label, unsigned session,
                      unsigned id) {
  Arguments in;
  const ByteView public_key = in.bytes(key);
  return done(write_rotate({.label = in.text(label),
                            .device_session_id = in.text(session),
                            .request_id = in.text(id),
                            .algorithm = static_cast<Algorithm>(algorithm),
                            .public_key = public_key},
                           out));
}

// What was parsed goes to table in the same order, its numbers first.
inline void tabulate(const RequestFields& f) {
  Table()
      .number(f.timestamp_ms)
      .slice(f.payload_hash)
      .slice(f.label)
      .slice(f.protocol_version)
      .slice(f.device_session_id)
      .slice(f.message_type)
      .slice(f.request_id);
}
inline void tabulate(const ResponseFields& f) {
  Table()
      .number(f.timestamp_ms)
      .slice(f.payload_hash)
      .slice(f.label)
      .slice(f.protocol_version)
      .slice(f.request_id)
      .slice(f.result_code);
}
inline void tabulate(const EventFields& f) {
  Table()
      .number(f.timestamp_ms)
      .number(f.sequence)
      .slice(f.payload_hash)
      .slice(f.label)
      .slice(f.protocol_version)
      .slice(f.device_session_id)
      .slice(f.event_type)
      .slice(f.event_id);
}
inline void tabulate(const EnrollFields& f) {
  Table()
      .number(f.algorithm)
      .slice(f.public_key)
      .slice(f.label)
      .slice(f.challenge_id)
      .slice(f.email);
}
inline void tabulate(const RotateFields& f) {
  Table()
      .number(f.algorithm)
      .slice(f.public_key)
      .slice(f.label)
      .slice(f.device_session_id)
      .slice(f.request_id);
}
template <class Fields>
inline int tabulated(Kind kind, const Result<Fields>& parsed) {
  if (!parsed) return done(parsed.error());
  tabulate(*parsed);
  return static_cast<int>(kind);
}
inline int parse_signing_input(unsigned size) {
  const ByteView bytes = Arguments().bytes(size);
  const Result<Marker> marker = parse_marker(bytes);
  if (!marker) return done(marker.error());
  switch (marker->kind) {
    case Kind::request:
      return tabulated(marker->kind, parse_request(bytes));
    case Kind::response:
      return tabulated(marker->kind, parse_response(bytes));
    case Kind::event:
      return tabulated(marker->kind, parse_event(bytes));
    case Kind::enroll:
      return tabulated(marker->kind, parse_enroll(bytes));
    case Kind::rotate:
      return tabulated(marker->kind, parse_rotate(bytes));
  }
  return done(ErrorCode::internal);
}

// --- Frames, requests, answers.

inline int put_envelope(unsigned signing_input_size, unsigned key_id) {
  Arguments in;
  const auto signature = in.fixed<signature_size>();
  const ByteView signing_input = in.bytes(signing_input_size);
  return done(write_frame(
      {.signing_input = signing_input, .key_id = in.text(key_id), .signature = signature}, out));
}
// Gives the size of the envelope.
inline int take_frame(unsigned size) {
  const Result<Frame> frame = parse_frame(Arguments().bytes(size));
  if (!frame) return done(frame.error());
  Table().slice(frame->signing_input).slice(frame->key_id).slice(frame->signature);
  return static_cast<int>(envelope_size(*frame));
}
// Gives the size of the envelope.
inline int take_request(unsigned frame_size, unsigned label, bool compatible) {
  Arguments in;
  const ByteView frame = in.bytes(frame_size);
  const auto request = open_request(frame, {.label = in.text(label), .compatible = compatible});
  if (!request) return done(request.error());
  const RequestFields& f = request->fields;
  Table()
      .number(f.timestamp_ms)
      .slice(f.payload_hash)
      .slice(request->frame.signing_input)
      .slice(request->frame.signature)
      .slice(f.protocol_version)
      .slice(f.device_session_id)
      .slice(f.message_type)
      .slice(f.request_id)
      .slice(request->idempotency_key)
      .number(check_version(f).ok());
  return static_cast<int>(envelope_size(request->frame));
}

/// KeyRing is keys that answers and events may be signed with, until it is freed. The keys lie
/// behind it, and their ids behind them.
struct alignas(ServerKey) KeyRing {
  unsigned most;
  unsigned count;

  ServerKey* keys() { return reinterpret_cast<ServerKey*>(this + 1); }
  char* id(unsigned at) { return reinterpret_cast<char*>(keys() + most) + at * max_text_size; }
};
inline KeyRing* trusted = nullptr;

inline int key_ring_new(unsigned most) {
  void* const memory = std::malloc(sizeof(KeyRing) + most * (sizeof(ServerKey) + max_text_size));
  if (memory == nullptr) return done(ErrorCode::no_memory);
  return reinterpret_cast<int>(new (memory) KeyRing{most, 0});
}
// An end below 0 stands for none.
inline int key_ring_add(int handle, unsigned id_size, double not_before_ms, double not_after_ms) {
  KeyRing& ring = *reinterpret_cast<KeyRing*>(handle);
  Arguments in;
  const auto key = in.fixed<ed25519_key_size>();
  const std::string_view id = in.text(id_size);
  if (ring.count == ring.most || id_size > max_text_size) __builtin_trap();
  char* const kept_id = ring.id(ring.count);
  __builtin_memcpy(kept_id, id.data(), id_size);
  auto* const added = new (ring.keys() + ring.count++) ServerKey{
      .id = {kept_id, id_size}, .key = TrustedKey(key), .not_before_ms = time_of(not_before_ms)};
  if (not_after_ms >= 0) added->not_after_ms = time_of(not_after_ms);
  return 0;
}
inline int key_ring_free(int handle) {
  std::free(reinterpret_cast<KeyRing*>(handle));
  return 0;
}
/// trust names the keys of the next open_envelope or open_event.
inline int trust(int handle) {
  trusted = reinterpret_cast<KeyRing*>(handle);
  return 0;
}
inline std::span<const ServerKey> take_keys() {
  KeyRing* const ring = std::exchange(trusted, nullptr);
  return {ring->keys(), ring->count};
}

// A page gives neither of these: it knows no server time but by these messages, and takes an event
// by event_place.
#ifdef COUNTERSIGN_CLIENT
inline Window window_of(double, double, double) {
  __builtin_trap();
}
inline EventPlace place_of(double, double) {
  __builtin_trap();
}
#else
inline Window window_of(double now_ms, double past_ms, double future_ms) {
  return {time_of(now_ms), time_of(past_ms), time_of(future_ms)};
}
inline EventPlace place_of(double last_sequence, double since_ms) {
  return {.last = time_of(last_sequence), .since_ms = time_of(since_ms)};
}
#endif

inline int take_answer(unsigned envelope_bytes, unsigned label, unsigned id, bool any_key,
                       double time_floor_ms, bool has_window, double now_ms, double past_ms,
                       double future_ms) {
  Arguments in;
  const auto payload_hash = in.fixed<hash_size>();
  const ByteView envelope = in.bytes(envelope_bytes);
  ResponseRules rules{
      .label = in.text(label),
      .trust = {.keys = take_keys(), .time_floor_ms = time_of(time_floor_ms), .any_key = any_key},
      .request_id = in.text(id)};
  if (has_window) rules.window = window_of(now_ms, past_ms, future_ms);
  const Result<OpenedResponse> opened = open_envelope(envelope, payload_hash, rules);
  if (!opened) return done(opened.error());
  Table().number(opened->timestamp_ms).slice(opened->result_code);
  return 0;
}

// A sequence or a time below 0 stands for none.
inline int take_event(unsigned envelope_bytes, unsigned label, unsigned session, unsigned stream,
                      double time_floor_ms, double last_sequence, double since_ms, double now_ms,
                      double past_ms, double future_ms) {
  Arguments in;
  const auto payload_hash = in.fixed<hash_size>();
  const ByteView envelope = in.bytes(envelope_bytes);
  EventRules rules{.label = in.text(label),
                   .trust = {.keys = take_keys(), .time_floor_ms = time_of(time_floor_ms)},
                   .device_session_id = in.text(session),
                   .stream = in.text(stream)};
  if (last_sequence >= 0) rules.place = place_of(last_sequence, since_ms);
  if (now_ms >= 0) rules.window = window_of(now_ms, past_ms, future_ms);
  const Result<OpenedEvent> opened = open_event_envelope(envelope, payload_hash, rules);
  if (!opened) return done(opened.error());
  Table()
      .number(opened->timestamp_ms)
      .number(opened->sequence)
      .slice(opened->event_type)
      .slice(opened->event_id);
  return 0;
}

inline int event_id_of(double sequence, unsigned stream, unsigned event_type) {
  Arguments in;
  const std::string_view stream_text = in.text(stream);
  const auto id = event_id(stream_text, time_of(sequence), in.text(event_type));
  if (!id) return done(id.error());
  __builtin_memcpy(out, id->data(), id->size());
  return static_cast<int>(id->size());
}

inline int replay_key_of(unsigned label, unsigned session, unsigned id) {
  Arguments in;
  const std::string_view label_text = in.text(label);
  const std::string_view session_text = in.text(session);
  const Result<Hash> key = replay_key(label_text, session_text, in.text(id));
  return key ? done(*key) : done(key.error());
}

}  // namespace countersign::wasm
