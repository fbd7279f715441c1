// SPDX-License-Identifier: MIT
#include "countersign/json/number.hpp"

#include <algorithm>
#include <charconv>

namespace countersign::json {

namespace {

// Digits and point of a number 0.DIGITS * 10^point.
struct Decimal {
  std::string_view digits;
  int point;
};

// What to_chars writes in scientific form: D[.DDD]e±XX.
Decimal read_scientific(char* begin, char* end) {
  char* const exponent = std::find(begin, end, 'e');
  int value = 0;
  const char* const from = exponent + (exponent[1] == '+' ? 2 : 1);
  std::from_chars(from, end, value);
  if (exponent - begin > 1) begin = std::copy_backward(begin, begin + 1, begin + 2);
  return {{begin, static_cast<std::size_t>(exponent - begin)}, value + 1};
}

// Whether a number too large or too small for a double is too small: by the place of its first
// digit.
bool is_tiny(std::string_view text) {
  const std::size_t mark = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, mark);
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  const bool is_negative = mark + 1 < text.size() && text[mark + 1] == '-';
  // The exponent itself may not fit any integer: its sign decides then.
  long long exponent = 0;
  if (mark < text.size()) {
    const std::size_t from = mark + (text[mark + 1] == '+' ? 2 : 1);
    const auto [end, error] =
        std::from_chars(text.data() + from, text.data() + text.size(), exponent);
    if (error != std::errc()) return is_negative;
  }
  const auto place = static_cast<long long>(point) - static_cast<long long>(first);
  if (exponent > 1'000'000'000'000 || exponent < -1'000'000'000'000) return is_negative;
  return place + exponent < 0;
}

}  // namespace

void append_number(std::string& out, double number) {
  if (number == 0) {
    out += '0';
    return;
  }
  char buffer[32];
  if (number < 0) out += '-';
  const auto [end, error] = std::to_chars(
      buffer, buffer + sizeof buffer, number < 0 ? -number : number, std::chars_format::scientific);
  const auto [digits, point] = read_scientific(buffer, end);
  const auto count = static_cast<int>(digits.size());
  const auto zeros = [&](int wanted) { out.append(static_cast<std::size_t>(wanted), '0'); };
  // ECMA-262, Number::toString, steps 6 to 10: n is point, k is count.
  if (count <= point && point <= 21) {
    out += digits;
    return zeros(point - count);
  }
  if (0 < point && point <= 21) {
    out += digits.substr(0, static_cast<std::size_t>(point));
    out += '.';
    out += digits.substr(static_cast<std::size_t>(point));
    return;
  }
  if (-6 < point && point <= 0) {
    out += "0.";
    zeros(-point);
    out += digits;
    return;
  }
  out += digits.substr(0, 1);
  if (count > 1) {
    out += '.';
    out += digits.substr(1);
  }
  out += point > 0 ? "e+" : "e-";
  out += std::to_string(point > 0 ? point - 1 : 1 - point);
}

std::optional<double> read_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc()) return number;
  if (error == std::errc::result_out_of_range && is_tiny(text)) return 0;
  return std::nullopt;
}

}  // namespace countersign::json
