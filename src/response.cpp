// SPDX-License-Identifier: MIT
#include "countersign/response.hpp"

#include "countersign/marker.hpp"

namespace countersign {

namespace {

bool is_valid(const ServerKey& key, std::uint64_t timestamp_ms, std::uint64_t time_floor_ms) {
  const std::uint64_t end_ms = key.not_after_ms.value_or(max_time_ms);
  return key.not_before_ms <= timestamp_ms && timestamp_ms <= end_ms && end_ms >= time_floor_ms;
}

/// check_origin makes the checks that need no payload: parse, signature, request id.
Result<ResponseFields> check_origin(const Frame& frame, const ResponseRules& rules) {
  const Result<ResponseFields> fields = parse_response(frame.signing_input);
  if (!fields) return fields.error();
  if (fields->label != rules.label) return ErrorCode::wrong_domain;
  if (fields->protocol_version != protocol_version) return ErrorCode::bad_version;
  const Status trusted = check_server_signature(frame, fields->timestamp_ms, rules.trust);
  if (!trusted) return trusted.error();
  if (fields->request_id != rules.request_id) return ErrorCode::wrong_request_id;
  return fields;
}

/// check_content makes the checks that are left: payload hash, freshness.
Result<OpenedResponse> check_content(const ResponseFields& fields, HashView payload_hash,
                                     ByteView payload, const ResponseRules& rules) {
  const Status intact = check_payload_hash(fields.payload_hash, payload_hash);
  if (!intact) return intact.error();
  if (rules.window) {
    const Status fresh = check_freshness(fields.timestamp_ms, *rules.window);
    if (!fresh) return fresh.error();
  }
  return OpenedResponse{
      .result_code = fields.result_code, .timestamp_ms = fields.timestamp_ms, .payload = payload};
}

}  // namespace

Result<ByteView> write_response(const ResponseFields& fields, Buffer buffer) {
  Writer writer(buffer);
  write_marker(writer, fields.label, Kind::response);
  writer.text(fields.protocol_version);
  writer.text(fields.request_id);
  writer.number(fields.timestamp_ms);
  writer.text(fields.result_code);
  writer.field(fields.payload_hash);
  return writer.finish();
}

Result<ResponseFields> parse_response(ByteView signing_input) {
  Reader reader(signing_input);
  return reader.finish(ResponseFields{.label = read_marker(reader, Kind::response),
                                      .protocol_version = reader.text(),
                                      .request_id = reader.text(),
                                      .timestamp_ms = reader.number(),
                                      .result_code = reader.text(),
                                      .payload_hash = reader.fixed_field<hash_size>()});
}

Status check_server_signature(const Frame& frame, std::uint64_t timestamp_ms,
                              const ServerTrust& trust) {
  ErrorCode refusal = trust.any_key ? ErrorCode::bad_signature : ErrorCode::unknown_key;
  for (const ServerKey& candidate : trust.keys) {
    if (!trust.any_key && candidate.id != frame.key_id) continue;
    if (candidate.key.verify(frame.signing_input, frame.signature)) {
      if (is_valid(candidate, timestamp_ms, trust.time_floor_ms)) return {};
      refusal = ErrorCode::key_not_valid;
    } else if (refusal == ErrorCode::unknown_key) {
      refusal = ErrorCode::bad_signature;
    }
  }
  return refusal;
}

Result<OpenedResponse> open_response(ByteView bytes, const ResponseRules& rules) {
  const Result<Frame> frame = parse_frame(bytes);
  if (!frame) return frame.error();
  const Result<ResponseFields> fields = check_origin(*frame, rules);
  if (!fields) return fields.error();
  return check_content(*fields, sha256(frame->payload), frame->payload, rules);
}

Result<OpenedResponse> open_envelope(ByteView envelope, HashView payload_hash,
                                     const ResponseRules& rules) {
  const Result<Frame> frame = parse_frame(envelope);
  if (!frame) return frame.error();
  if (!frame->payload.empty()) return ErrorCode::trailing_bytes;
  const Result<ResponseFields> fields = check_origin(*frame, rules);
  if (!fields) return fields.error();
  return check_content(*fields, payload_hash, {}, rules);
}

}  // namespace countersign
