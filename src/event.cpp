// SPDX-License-Identifier: MIT
#include "countersign/event.hpp"

#include "countersign/marker.hpp"

namespace countersign {

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

}  // namespace countersign
