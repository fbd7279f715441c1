// SPDX-License-Identifier: MIT
#include "countersign/request.hpp"

#include <algorithm>

#include "countersign/marker.hpp"

namespace countersign {

namespace {

bool is_base64url(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

/// split_head gives the idempotency key of `R ["~" idempotency_key]`; R's 22 characters are never
/// decoded, so any will do.
Result<std::string_view> split_head(std::string_view head) {
  if (head.size() < digest_text_size || !is_base64url(head.substr(0, digest_text_size))) {
    return ErrorCode::invalid_argument;
  }
  const std::string_view tail = head.substr(digest_text_size);
  if (tail.empty()) return std::string_view{};
  if (tail.front() != '~') return ErrorCode::invalid_argument;
  const std::string_view key = tail.substr(1);
  if (key.empty() || key.size() > max_idempotency_key_size || !is_base64url(key)) {
    return ErrorCode::invalid_idempotency_key;
  }
  return key;
}

/// write_start puts all that comes before the request id.
void write_start(Writer& writer, const RequestFields& fields) {
  write_marker(writer, fields.label, Kind::request);
  writer.text(fields.protocol_version);
  writer.text(fields.device_session_id);
  writer.text(fields.message_type);
  writer.number(fields.timestamp_ms);
}

}  // namespace

Result<ByteView> write_request(const RequestFields& fields, Buffer buffer) {
  Writer writer(buffer);
  write_start(writer, fields);
  writer.text(fields.request_id);
  writer.field(fields.payload_hash);
  return writer.finish();
}

Result<RequestFields> parse_request(ByteView signing_input) {
  Reader reader(signing_input);
  return reader.finish(RequestFields{.label = read_marker(reader, Kind::request),
                                     .protocol_version = reader.text(),
                                     .device_session_id = reader.text(),
                                     .message_type = reader.text(),
                                     .timestamp_ms = reader.number(),
                                     .request_id = reader.text(),
                                     .payload_hash = reader.fixed_field<hash_size>()});
}

Result<RequestId> split_request_id(std::string_view request_id) {
  const std::size_t dot = std::min(request_id.find('.'), request_id.size());
  const std::string_view head = request_id.substr(0, dot);
  const std::string_view binding = request_id.substr(std::min(dot + 1, request_id.size()));
  const Result<std::string_view> key = split_head(head);
  if (!key || binding.size() != digest_text_size || !is_base64url(binding)) {
    return ErrorCode::bad_request_id;
  }
  return RequestId{.head = head, .idempotency_key = *key, .binding = binding};
}

Result<RequestId> check_request_id(const RequestFields& fields) {
  const Result<RequestId> id = split_request_id(fields.request_id);
  if (!id) return id.error();
  RequestFields unbound = fields;
  unbound.request_id = id->head;
  std::uint8_t buffer[max_signing_input_size];
  const Result<ByteView> input = write_request(unbound, buffer);
  if (!input) return ErrorCode::bad_request_id;
  const DigestText digest = digest_text(sha256(*input));
  const std::string_view binding(digest.data(), digest.size());
  if (id->binding != binding) return ErrorCode::bad_request_id;
  return *id;
}

Result<BegunRequest> begin_request(const RequestFields& fields, Buffer buffer) {
  const Result<std::string_view> key = split_head(fields.request_id);
  if (!key) return key.error();
  Writer writer(buffer);
  write_start(writer, fields);
  // Both inputs begin alike: a copy of the writer makes the one that T is the hash of, and then
  // this one goes on over it.
  Writer unbound = writer;
  unbound.text(fields.request_id);
  unbound.field(fields.payload_hash);
  const Result<ByteView> input = unbound.finish();
  if (!input) return input.error();
  const DigestText binding = digest_text(sha256(*input));

  const std::size_t id_size = fields.request_id.size() + 1 + binding.size();
  writer.uvarint(id_size);
  const std::size_t id_at = writer.position();
  writer.bytes(bytes_of(fields.request_id));
  writer.bytes(bytes_of("."));
  writer.bytes(bytes_of({binding.data(), binding.size()}));
  writer.field(fields.payload_hash);
  const Result<ByteView> signing_input = writer.finish();
  if (!signing_input) return signing_input.error();
  return BegunRequest{.request_id = text_of(signing_input->subspan(id_at, id_size)),
                      .signing_input = *signing_input};
}

Result<WindowSide> window_side(std::uint64_t timestamp_ms, const Window& window) {
  // Every term is at most 2^53-1, so no sum below overflows.
  if (std::max({timestamp_ms, window.now_ms, window.past_ms, window.future_ms}) > max_time_ms) {
    return ErrorCode::invalid_time;
  }
  if (timestamp_ms + window.past_ms < window.now_ms) return WindowSide::past;
  if (timestamp_ms > window.now_ms + window.future_ms) return WindowSide::future;
  return WindowSide::inside;
}

Status check_freshness(std::uint64_t timestamp_ms, const Window& window) {
  const Result<WindowSide> side = window_side(timestamp_ms, window);
  if (!side) return side.error();
  if (*side != WindowSide::inside) return ErrorCode::stale;
  return {};
}

Result<OpenedRequest> open_request(ByteView bytes, const RequestRules& rules) {
  const Result<Frame> frame = parse_frame(bytes);
  if (!frame) return frame.error();
  if (!frame->key_id.empty()) return ErrorCode::bad_field_size;
  const Result<RequestFields> fields = parse_request(frame->signing_input);
  if (!fields) return fields.error();
  if (fields->label != rules.label) return ErrorCode::wrong_domain;
  OpenedRequest opened{.frame = *frame, .fields = *fields, .idempotency_key = {}};
  if (rules.compatible) return opened;
  const Result<RequestId> id = check_request_id(*fields);
  if (!id) return id.error();
  opened.idempotency_key = id->idempotency_key;
  return opened;
}

Status check_version(const RequestFields& fields) {
  if (fields.protocol_version != protocol_version) return ErrorCode::unsupported_version;
  return {};
}

Status check_payload_hash(HashView signed_hash, HashView payload_hash) {
  if (!is_equal(signed_hash, payload_hash)) return ErrorCode::payload_mismatch;
  return {};
}

Result<Hash> replay_key(std::string_view label, std::string_view device_session_id,
                        std::string_view request_id) {
  std::uint8_t buffer[max_signing_input_size];
  Writer writer(buffer);
  if (!is_label(label)) writer.fail(ErrorCode::invalid_label);
  writer.text(label);
  writer.text(device_session_id);
  writer.text(request_id);
  const Result<ByteView> name = writer.finish();
  if (!name) return name.error();
  return sha256(*name);
}

}  // namespace countersign
