// SPDX-License-Identifier: MIT
// The core as JavaScript calls it: numbers only, no logic (see io.hpp). js/core.ts and its helpers
// are the only callers; they lay arguments into io bytes first, then texts, and have checked every
// one of them.
#include <emscripten/bind.h>

#include "countersign/clock.hpp"
#include "countersign/enrollment.hpp"
#include "countersign/event.hpp"
#include "countersign/marker.hpp"
#include "countersign/replay.hpp"
#include "countersign/response.hpp"
#include "io.hpp"

namespace countersign::wasm {

namespace {

// Raised whenever anything of the contract with js/core-wasm.ts changes.
int abi() {
  return 1;
}

unsigned address(const void* pointer) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(pointer));
}
unsigned io_address() {
  return address(io.data());
}
unsigned out_address() {
  return address(out);
}
unsigned table_address() {
  return address(table);
}
int reserve(unsigned size) {
  return done(reserve_io(size));
}

EMSCRIPTEN_BINDINGS(memory) {
  emscripten::function("abi", &abi);
  emscripten::function("io_address", &io_address);
  emscripten::function("out_address", &out_address);
  emscripten::function("table_address", &table_address);
  emscripten::function("reserve", &reserve);
}

// --- Hashes and signatures.

Handles<Sha256> hashes;
Handles<TrustedKey> trusted_keys;

int sha256_once(unsigned size) {
  return done(sha256(Arguments().bytes(size)));
}
int sha256_new() {
  return hashes.add({});
}
int sha256_update(unsigned handle, unsigned size) {
  return hashes.with(handle, [=](Sha256& hash) {
    hash.update(Arguments().bytes(size));
    return 0;
  });
}
int sha256_finish(unsigned handle) {
  return hashes.with(handle, [](Sha256& hash) { return done(hash.finish()); });
}
int sha256_free(unsigned handle) {
  return hashes.remove(handle);
}

int hmac(unsigned key_size, unsigned message_size) {
  Arguments in;
  const ByteView key = in.bytes(key_size);
  return done(hmac_sha256(key, in.bytes(message_size)));
}
int verify_hmac(unsigned key_size, unsigned tag_size, unsigned message_size) {
  Arguments in;
  const ByteView key = in.bytes(key_size);
  const ByteView tag = in.bytes(tag_size);
  return verify_hmac_sha256(key, in.bytes(message_size), tag);
}

int verify(unsigned message_size) {
  Arguments in;
  const auto key = in.fixed<ed25519_key_size>();
  const auto signature = in.fixed<signature_size>();
  return verify_ed25519(key, in.bytes(message_size), signature);
}
int is_acceptable_key() {
  return is_acceptable_ed25519_key(Arguments().fixed<ed25519_key_size>());
}
int trusted_key_new() {
  return trusted_keys.add(TrustedKey(Arguments().fixed<ed25519_key_size>()));
}
int trusted_key_verify(unsigned handle, unsigned message_size) {
  return trusted_keys.with(handle, [=](const TrustedKey& key) {
    Arguments in;
    const auto signature = in.fixed<signature_size>();
    return key.verify(in.bytes(message_size), signature);
  });
}
int trusted_key_free(unsigned handle) {
  return trusted_keys.remove(handle);
}

EMSCRIPTEN_BINDINGS(cryptography) {
  emscripten::function("sha256", &sha256_once);
  emscripten::function("sha256_new", &sha256_new);
  emscripten::function("sha256_update", &sha256_update);
  emscripten::function("sha256_finish", &sha256_finish);
  emscripten::function("sha256_free", &sha256_free);
  emscripten::function("hmac_sha256", &hmac);
  emscripten::function("verify_hmac_sha256", &verify_hmac);
  emscripten::function("verify_ed25519", &verify);
  emscripten::function("is_acceptable_ed25519_key", &is_acceptable_key);
  emscripten::function("trusted_key_new", &trusted_key_new);
  emscripten::function("trusted_key_verify", &trusted_key_verify);
  emscripten::function("trusted_key_free", &trusted_key_free);
}

// --- Signing inputs: the hash or key, then the texts, in the order of js/core-messages.ts.

RequestFields request_fields(unsigned label, unsigned version, unsigned session, unsigned type,
                             unsigned id, double timestamp_ms) {
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
int put_request(double timestamp_ms, unsigned label, unsigned version, unsigned session,
                unsigned type, unsigned id) {
  return done(write_request(request_fields(label, version, session, type, id, timestamp_ms), out));
}
// Says in table where the whole id lies in out.
int put_begun_request(double timestamp_ms, unsigned label, unsigned version, unsigned session,
                      unsigned type, unsigned id) {
  const RequestFields fields = request_fields(label, version, session, type, id, timestamp_ms);
  const Result<BegunRequest> begun = begin_request(fields, out);
  if (!begun) return done(begun.error());
  Table().number(bytes_of(begun->request_id).data() - out).number(begun->request_id.size());
  return done(begun->signing_input);
}
int put_response(double timestamp_ms, unsigned label, unsigned version, unsigned id,
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
int put_event(double timestamp_ms, double sequence, unsigned label, unsigned version,
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
int put_enroll(unsigned algorithm, unsigned key, unsigned label, unsigned challenge,
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
int put_rotate(unsigned algorithm, unsigned key, unsigned label, unsigned session, unsigned id) {
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
void tabulate(const RequestFields& f) {
  Table()
      .number(f.timestamp_ms)
      .slice(f.payload_hash)
      .slice(f.label)
      .slice(f.protocol_version)
      .slice(f.device_session_id)
      .slice(f.message_type)
      .slice(f.request_id);
}
void tabulate(const ResponseFields& f) {
  Table()
      .number(f.timestamp_ms)
      .slice(f.payload_hash)
      .slice(f.label)
      .slice(f.protocol_version)
      .slice(f.request_id)
      .slice(f.result_code);
}
void tabulate(const EventFields& f) {
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
void tabulate(const EnrollFields& f) {
  Table()
      .number(f.algorithm)
      .slice(f.public_key)
      .slice(f.label)
      .slice(f.challenge_id)
      .slice(f.email);
}
void tabulate(const RotateFields& f) {
  Table()
      .number(f.algorithm)
      .slice(f.public_key)
      .slice(f.label)
      .slice(f.device_session_id)
      .slice(f.request_id);
}
template <class Fields>
int tabulated(Kind kind, const Result<Fields>& parsed) {
  if (!parsed) return done(parsed.error());
  tabulate(*parsed);
  return static_cast<int>(kind);
}
int parse_signing_input(unsigned size) {
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

EMSCRIPTEN_BINDINGS(signing_inputs) {
  emscripten::function("write_request", &put_request);
  emscripten::function("begin_request", &put_begun_request);
  emscripten::function("write_response", &put_response);
  emscripten::function("write_event", &put_event);
  emscripten::function("write_enroll", &put_enroll);
  emscripten::function("write_rotate", &put_rotate);
  emscripten::function("parse_signing_input", &parse_signing_input);
}

// --- Frames, requests, answers.

int put_envelope(unsigned signing_input_size, unsigned key_id) {
  Arguments in;
  const auto signature = in.fixed<signature_size>();
  const ByteView signing_input = in.bytes(signing_input_size);
  return done(write_frame(
      {.signing_input = signing_input, .key_id = in.text(key_id), .signature = signature}, out));
}
// Gives the size of the envelope.
int take_frame(unsigned size) {
  const Result<Frame> frame = parse_frame(Arguments().bytes(size));
  if (!frame) return done(frame.error());
  Table().slice(frame->signing_input).slice(frame->key_id).slice(frame->signature);
  return static_cast<int>(envelope_size(*frame));
}
// Gives the size of the envelope.
int take_request(unsigned frame_size, unsigned label, bool compatible) {
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
      .slice(request->idempotency_key);
  return static_cast<int>(envelope_size(request->frame));
}

// The keys that the next open_envelope may trust.
std::vector<ServerKey> server_keys;

int trust_key(unsigned offset, unsigned id, double not_before_ms, double not_after_ms,
              bool has_end) {
  Arguments in(offset);
  const auto key = in.fixed<ed25519_key_size>();
  server_keys.push_back(
      {.id = in.text(id),
       .key = TrustedKey(key),
       .not_before_ms = time_of(not_before_ms),
       .not_after_ms = has_end ? std::optional(time_of(not_after_ms)) : std::nullopt});
  return 0;
}
int take_answer(unsigned envelope_bytes, unsigned label, unsigned id, bool any_key,
                double time_floor_ms, bool has_window, double now_ms, double past_ms,
                double future_ms) {
  Arguments in;
  const auto payload_hash = in.fixed<hash_size>();
  const ByteView envelope = in.bytes(envelope_bytes);
  ResponseRules rules{
      .label = in.text(label),
      .trust = {.keys = server_keys, .time_floor_ms = time_of(time_floor_ms), .any_key = any_key},
      .request_id = in.text(id)};
  if (has_window) rules.window = Window{time_of(now_ms), time_of(past_ms), time_of(future_ms)};
  const Result<OpenedResponse> opened = open_envelope(envelope, payload_hash, rules);
  server_keys.clear();
  if (!opened) return done(opened.error());
  Table().number(opened->timestamp_ms).slice(opened->result_code);
  return 0;
}

int replay_key_of(unsigned label, unsigned session, unsigned id) {
  Arguments in;
  const std::string_view label_text = in.text(label);
  const std::string_view session_text = in.text(session);
  const Result<Hash> key = replay_key(label_text, session_text, in.text(id));
  return key ? done(*key) : done(key.error());
}

EMSCRIPTEN_BINDINGS(frames) {
  emscripten::function("write_envelope", &put_envelope);
  emscripten::function("parse_frame", &take_frame);
  emscripten::function("open_request", &take_request);
  emscripten::function("trust_key", &trust_key);
  emscripten::function("open_envelope", &take_answer);
  emscripten::function("replay_key", &replay_key_of);
}

// --- The server's clock.

Handles<ServerClock> clocks;

int clock_new() {
  return clocks.add({});
}
int clock_add_round_trip(unsigned handle, double sent_ms, double received_ms, double server_ms,
                         bool replace) {
  return clocks.with(handle, [=](ServerClock& clock) {
    return clock.add_round_trip({sent_ms, received_ms, server_ms}, replace);
  });
}
int clock_add_event(unsigned handle, double received_ms, double server_ms) {
  return clocks.with(handle,
                     [=](ServerClock& clock) { return clock.add_event(received_ms, server_ms); });
}
int clock_start_stored(unsigned handle, double monotonic_ms, double server_ms, double error_ms) {
  return clocks.with(handle, [=](ServerClock& clock) {
    return clock.start_stored(monotonic_ms, server_ms, error_ms);
  });
}
int clock_note_wall(unsigned handle, double monotonic_ms, double wall_ms) {
  return clocks.with(handle,
                     [=](ServerClock& clock) { return clock.note_wall(monotonic_ms, wall_ms); });
}
int clock_estimate(unsigned handle, double monotonic_ms) {
  return clocks.with(handle, [=](const ServerClock& clock) {
    const ClockEstimate estimate = clock.estimate(monotonic_ms);
    Table().number(estimate.offset_ms).number(estimate.error_ms).number(estimate.age_ms);
    return static_cast<int>(estimate.source);
  });
}
int clock_stamp(unsigned handle, double monotonic_ms) {
  return clocks.with(handle, [=](ServerClock& clock) {
    const Result<std::uint64_t> stamp = clock.stamp(monotonic_ms);
    if (!stamp) return done(stamp.error());
    Table().number(*stamp);
    return 0;
  });
}
int clock_reset(unsigned handle) {
  return clocks.with(handle, [](ServerClock& clock) {
    clock.reset();
    return 0;
  });
}
int clock_free(unsigned handle) {
  return clocks.remove(handle);
}

EMSCRIPTEN_BINDINGS(clock) {
  emscripten::function("clock_new", &clock_new);
  emscripten::function("clock_add_round_trip", &clock_add_round_trip);
  emscripten::function("clock_add_event", &clock_add_event);
  emscripten::function("clock_start_stored", &clock_start_stored);
  emscripten::function("clock_note_wall", &clock_note_wall);
  emscripten::function("clock_estimate", &clock_estimate);
  emscripten::function("clock_stamp", &clock_stamp);
  emscripten::function("clock_reset", &clock_reset);
  emscripten::function("clock_free", &clock_free);
}

// --- The replay guard.

Handles<ReplayGuard> guards;

int guard_new(unsigned capacity, unsigned session_quota, double floor_ms, unsigned seed_high,
              unsigned seed_low) {
  ReplayOptions options{.capacity = capacity,
                        .floor_ms = time_of(floor_ms),
                        .seed = std::uint64_t{seed_high} << 32 | seed_low};
  if (session_quota > 0) options.session_quota = session_quota;
  Result<ReplayGuard> guard = ReplayGuard::create(options);
  return guard ? guards.add(*std::move(guard)) : done(guard.error());
}
int guard_reserve(unsigned handle, double timestamp_ms, double expires_ms, double now_ms,
                  unsigned session_size) {
  return guards.with(handle, [=](ReplayGuard& guard) {
    Arguments in;
    const auto key = in.fixed<hash_size>();
    const ByteView session = in.bytes(session_size);
    return static_cast<int>(
        guard.reserve(key, time_of(timestamp_ms), time_of(expires_ms), time_of(now_ms), session));
  });
}
int guard_state(unsigned handle) {
  return guards.with(handle, [](const ReplayGuard& guard) {
    Table().number(guard.size()).number(guard.floor_ms());
    return 0;
  });
}
int guard_free(unsigned handle) {
  return guards.remove(handle);
}

EMSCRIPTEN_BINDINGS(replay_guard) {
  emscripten::function("guard_new", &guard_new);
  emscripten::function("guard_reserve", &guard_reserve);
  emscripten::function("guard_state", &guard_state);
  emscripten::function("guard_free", &guard_free);
}

}  // namespace

}  // namespace countersign::wasm
