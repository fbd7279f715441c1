// SPDX-License-Identifier: MIT
#include "countersign/marker.hpp"

namespace countersign {

namespace {

Result<Marker> split_marker(std::string_view text) {
  for (const Kind kind : {Kind::request, Kind::response, Kind::event, Kind::enroll, Kind::rotate}) {
    const std::string_view suffix = marker_suffix(kind);
    if (!text.ends_with(suffix)) continue;
    const std::string_view label = text.substr(0, text.size() - suffix.size());
    if (is_label(label)) return Marker{label, kind};
  }
  return ErrorCode::wrong_domain;
}

}  // namespace

Result<Marker> parse_marker(ByteView signing_input) {
  Reader reader(signing_input);
  const Result<Marker> marker = split_marker(reader.text());
  if (!marker) reader.fail(marker.error());
  reader.bytes(reader.rest().size());
  return reader.finish(marker ? *marker : Marker{});
}

std::string_view read_marker(Reader& reader, Kind kind) {
  const Result<Marker> marker = split_marker(reader.text());
  if (marker && marker->kind == kind) return marker->label;
  reader.fail(ErrorCode::wrong_domain);
  return {};
}

void write_marker(Writer& writer, std::string_view label, Kind kind) {
  const std::string_view suffix = marker_suffix(kind);
  if (!is_label(label)) writer.fail(ErrorCode::invalid_label);
  writer.uvarint(label.size() + suffix.size());
  writer.bytes(bytes_of(label));
  writer.bytes(bytes_of(suffix));
}

}  // namespace countersign
