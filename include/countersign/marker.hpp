// SPDX-License-Identifier: MIT
// The first field of every signing input: label + "-request-v1" and its four siblings. It keeps
// messages of one kind and one application from ever being taken for another's (section 2).
#pragma once

#include "countersign/bytes.hpp"

namespace countersign {

/// Marker is the label and the kind that the first field of a signing input names.
struct Marker {
  std::string_view label;
  Kind kind;
};

/// parse_marker reads the first field and nothing after it; fails with wrong_domain, truncated,
/// bad_length or bad_text.
Result<Marker> parse_marker(ByteView signing_input COUNTERSIGN_LIFETIMEBOUND);

/// read_marker takes the first field, which has to be of kind, and gives its label; else reader
/// fails as parse_marker.
std::string_view read_marker(Reader& reader, Kind kind);

/// write_marker puts the first field; else writer fails with invalid_label or buffer_too_small.
void write_marker(Writer& writer, std::string_view label, Kind kind);

}  // namespace countersign
