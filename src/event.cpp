// SPDX-License-Identifier: MIT
#include "countersign/event.hpp"

#include "countersign/marker.hpp"

namespace countersign {

namespace {

Status check_stream(const EventFields& fields, std::string_view stream) {
  const Result<DigestText> id = event_id(stream, fields.sequence, fields.event_type);
  if (!id) return id.error();
  if (fields.event_id != std::string_view(id->data(), id->size())) return ErrorCode::wrong_stream;
  return {};
}

/// check_origin makes the checks that need no payload: parse, signature, session, stream.
Result<EventFields> check_origin(const Frame& frame, const EventRules& rules) {
  const Result<EventFields> fields = parse_event(frame.signing_input);
  if (!fields) return fields.error();
  if (fields->label != rules.label) return ErrorCode::wrong_domain;
  if (fields->protocol_version != protocol_version) return ErrorCode::bad_version;
  const Status trusted = check_server_signature(frame, fields->timestamp_ms, rules.trust);
  if (!trusted) return trusted.error();
  if (fields->device_session_id != rules.device_session_id) return ErrorCode::wrong_session;
  const Status bound = check_stream(*fields, rules.stream);
  if (!bound) return bound.error();
  return fields;
}

/// check_content makes the checks that are left: payload hash, freshness, sequence.
Result<OpenedEvent> check_content(const EventFields& fields, HashView payload_hash,
                                  ByteView payload, const EventRules& rules) {
  const Status intact = check_payload_hash(fields.payload_hash, payload_hash);
  if (!intact) return intact.error();
  if (rules.window) {
    const Status fresh = check_freshness(fields.timestamp_ms, *rules.window);
    if (!fresh) return fresh.error();
  }
  if (rules.place) {
    const Status in_place =
        rules.place->check({event_kind(fields.event_type), fields.sequence, fields.timestamp_ms});
    if (!in_place) return in_place.error();
  }
  return OpenedEvent{.event_type = fields.event_type,
                     .sequence = fields.sequence,
                     .timestamp_ms = fields.timestamp_ms,
                     .event_id = fields.event_id,
                     .payload = payload};
}

}  // namespace

Result<ByteView> write_event(const EventFields& fields, Buffer buffer) {
  Writer writer(buffer);
  write_marker(writer, fields.label, Kind::event);
  writer.text(fields.protocol_version);
  writer.text(fields.device_session_id);
  writer.text(fields.event_type);
  writer.number(fields.sequence);
  writer.number(fields.timestamp_ms);
  writer.text(fields.event_id);
  writer.field(fields.payload_hash);
  return writer.finish();
}

Result<EventFields> parse_event(ByteView signing_input) {
  Reader reader(signing_input);
  return reader.finish(EventFields{.label = read_marker(reader, Kind::event),
                                   .protocol_version = reader.text(),
                                   .device_session_id = reader.text(),
                                   .event_type = reader.text(),
                                   .sequence = reader.number(),
                                   .timestamp_ms = reader.number(),
                                   .event_id = reader.text(),
                                   .payload_hash = reader.fixed_field<hash_size>()});
}

Result<DigestText> event_id(std::string_view stream, std::uint64_t sequence,
                            std::string_view event_type) {
  std::uint8_t buffer[max_signing_input_size];
  Writer writer(buffer);
  writer.text(stream);
  writer.number(sequence);
  writer.text(event_type);
  const Result<ByteView> place = writer.finish();
  if (!place) return place.error();
  return digest_text(sha256(*place));
}

Result<OpenedEvent> open_event(ByteView bytes, const EventRules& rules) {
  const Result<Frame> frame = parse_frame(bytes);
  if (!frame) return frame.error();
  const Result<EventFields> fields = check_origin(*frame, rules);
  if (!fields) return fields.error();
  return check_content(*fields, sha256(frame->payload), frame->payload, rules);
}

Result<OpenedEvent> open_event_envelope(ByteView envelope, HashView payload_hash,
                                        const EventRules& rules) {
  const Result<Frame> frame = parse_frame(envelope);
  if (!frame) return frame.error();
  if (!frame->payload.empty()) return ErrorCode::trailing_bytes;
  const Result<EventFields> fields = check_origin(*frame, rules);
  if (!fields) return fields.error();
  return check_content(*fields, payload_hash, {}, rules);
}

}  // namespace countersign
