// SPDX-License-Identifier: MIT
// Numbers as ECMAScript reads and prints them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace countersign::json {

/// append_number puts a finite number as ECMAScript's Number::toString prints it: the shortest
/// digits that read back as the same double.
void append_number(std::string& out, double number);

/// read_number gives the double nearest to a JSON number; nothing where it would be infinite.
std::optional<double> read_number(std::string_view text);

}  // namespace countersign::json
