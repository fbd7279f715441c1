// SPDX-License-Identifier: MIT
// Canonical JSON (R175), and parts of a document written the same way.
#pragma once

#include <functional>

#include "countersign/json/document.hpp"

namespace countersign::json {

/// Keep says whether a member of an object is written.
using Keep = std::function<bool(std::size_t object, const Member& member)>;

/// write_canonical writes a node as RFC 8785 says: members sorted by UTF-16 unit, numbers and
/// strings as ECMAScript has them, no space; where keep is given, only the members it keeps.
std::string write_canonical(const Document& document, std::size_t node = Document::root,
                            const Keep& keep = {});

/// canonical_json reads a text and writes it canonically; fails with bad_json.
Result<std::string> canonical_json(std::string_view text, const Limits& limits = {});

}  // namespace countersign::json
