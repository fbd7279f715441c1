// SPDX-License-Identifier: MIT
// Numbers, read (R174) and printed as ECMAScript prints them (R175), by integer arithmetic alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace countersign::json {

/// append_number puts a finite number as ECMAScript's Number::toString prints it: the shortest
/// digits that read back as the same double.
void append_number(std::string& out, double number);

/// read_number gives the double nearest to a JSON number; nothing where it would be infinite. The
/// text is one: the reader has checked its form (R174).
[[nodiscard]] std::optional<double> read_number(std::string_view text);

/// is_finite says whether a JSON number has a double. It is cheap where the answer is clear.
[[nodiscard]] bool is_finite(std::string_view text);

}  // namespace countersign::json
