// SPDX-License-Identifier: MIT
// What is begun and signed opens to the same fields; with any one bit of it changed it does not.
// The input is a kind, a bit, and the fields one after another.
#include "countersign/event.hpp"
#include "countersign/judge.hpp"
#include "support.hpp"

namespace cs = countersign;
using fuzz::check;

namespace {

constexpr std::string_view label = "fuzz";

/// Parts is what the fields of a message are made of.
struct Parts {
  std::string owner;
  std::string type;
  std::string id;
  std::uint64_t time_ms;
  std::uint64_t sequence;
  std::string payload;
};

/// Sent is a message as it travels, and where it is changed on its way.
struct Sent {
  std::array<std::uint8_t, 4096> memory;
  std::size_t size = 0;

  cs::ByteView bytes() const { return cs::ByteView(memory).first(size); }
  void flip(std::uint64_t bit) {
    memory[bit / 8 % size] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
};

Sent send(cs::ByteView input, std::string_view key_id, const Parts& parts) {
  Sent sent{};
  const fuzz::SignatureBytes signature = fuzz::signer().sign(input);
  const auto frame = cs::write_frame({.signing_input = input,
                                      .key_id = key_id,
                                      .signature = signature,
                                      .payload = cs::bytes_of(parts.payload)},
                                     sent.memory);
  check(frame.ok());
  sent.size = frame->size();
  return sent;
}

/// Only what cannot be a field keeps a message from being begun.
void check_refusal(cs::ErrorCode error, const Parts& parts) {
  const bool are_texts = cs::is_text(parts.owner) && cs::is_text(parts.type);
  const bool is_time = std::max(parts.time_ms, parts.sequence) <= cs::max_time_ms;
  check(error == cs::ErrorCode::invalid_argument ||
        error == cs::ErrorCode::invalid_idempotency_key ||
        (error == cs::ErrorCode::invalid_text && !(are_texts && cs::is_text(parts.id))) ||
        (error == cs::ErrorCode::invalid_time && !is_time));
}

bool passes_request(cs::ByteView frame, const Parts& parts) {
  const auto opened = cs::open_request(frame, {.label = label});
  if (!opened) return false;
  const cs::ClientKey key{cs::Algorithm::ed25519, fuzz::signer().public_key()};
  const auto judged = cs::judge_request(*opened, cs::Session{cs::SessionStatus::active, key}, {},
                                        {{parts.time_ms}});
  return judged->next == cs::NextStep::reserve_or_limit && !judged->refusal &&
         cs::check_payload_hash(opened->fields.payload_hash, cs::sha256(opened->frame.payload))
             .ok();
}

void try_request(const Parts& parts, std::uint64_t bit) {
  const cs::Hash hash = cs::sha256(cs::bytes_of(parts.payload));
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto begun = cs::begin_request({.label = label,
                                        .device_session_id = parts.owner,
                                        .message_type = parts.type,
                                        .timestamp_ms = parts.time_ms,
                                        .request_id = parts.id,
                                        .payload_hash = hash},
                                       buffer);
  if (!begun) return check_refusal(begun.error(), parts);
  Sent sent = send(begun->signing_input, "", parts);
  check(passes_request(sent.bytes(), parts));
  const auto opened = cs::open_request(sent.bytes(), {.label = label});
  check(opened->fields.device_session_id == parts.owner &&
        opened->fields.message_type == parts.type && opened->fields.timestamp_ms == parts.time_ms &&
        opened->fields.request_id == begun->request_id &&
        begun->request_id.starts_with(parts.id + "."));
  sent.flip(bit);
  check(!passes_request(sent.bytes(), parts));
}

void try_response(const Parts& parts, std::uint64_t bit) {
  const cs::Hash hash = cs::sha256(cs::bytes_of(parts.payload));
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto input = cs::write_response({.label = label,
                                         .request_id = parts.owner,
                                         .timestamp_ms = parts.time_ms,
                                         .result_code = parts.type,
                                         .payload_hash = hash},
                                        buffer);
  if (!input) return check_refusal(input.error(), parts);
  Sent sent = send(*input, "k", parts);
  const cs::ServerKey key{"k", cs::TrustedKey(fuzz::signer().public_key())};
  const cs::ResponseRules rules{.label = label,
                                .trust = {.keys = {&key, 1}},
                                .request_id = parts.owner,
                                .window = cs::Window{parts.time_ms}};
  const auto opened = cs::open_response(sent.bytes(), rules);
  check(opened.ok() && opened->result_code == parts.type && opened->timestamp_ms == parts.time_ms &&
        cs::text_of(opened->payload) == parts.payload);
  sent.flip(bit);
  check(!cs::open_response(sent.bytes(), rules).ok());
}

void try_event(const Parts& parts, std::uint64_t bit) {
  const auto id = cs::event_id("stream", parts.sequence, parts.type);
  if (!id) return check_refusal(id.error(), parts);
  const cs::Hash hash = cs::sha256(cs::bytes_of(parts.payload));
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto input = cs::write_event({.label = label,
                                      .device_session_id = parts.owner,
                                      .event_type = parts.type,
                                      .sequence = parts.sequence,
                                      .timestamp_ms = parts.time_ms,
                                      .event_id = {id->data(), id->size()},
                                      .payload_hash = hash},
                                     buffer);
  if (!input) return check_refusal(input.error(), parts);
  Sent sent = send(*input, "k", parts);
  const cs::ServerKey key{"k", cs::TrustedKey(fuzz::signer().public_key())};
  const cs::EventRules rules{.label = label,
                             .trust = {.keys = {&key, 1}},
                             .device_session_id = parts.owner,
                             .stream = "stream"};
  const auto opened = cs::open_event(sent.bytes(), rules);
  check(opened.ok() && opened->event_type == parts.type && opened->sequence == parts.sequence &&
        opened->timestamp_ms == parts.time_ms && cs::text_of(opened->payload) == parts.payload);
  sent.flip(bit);
  check(!cs::open_event(sent.bytes(), rules).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Choices choices({data, size});
  const std::uint64_t kind = choices.number(1);
  const std::uint64_t bit = choices.number(2);
  Parts parts{.owner = choices.text(),
              .type = choices.text(),
              .id = choices.text(),
              .time_ms = choices.number(8),
              .sequence = choices.number(8),
              .payload = {}};
  parts.payload = cs::text_of(choices.bytes(2048));
  if (kind % 3 == 0) try_request(parts, bit);
  if (kind % 3 == 1) try_response(parts, bit);
  if (kind % 3 == 2) try_event(parts, bit);
  return 0;
}
