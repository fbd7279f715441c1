// SPDX-License-Identifier: MIT
#include "countersign/json/number.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "natural.hpp"

namespace countersign::json {

namespace {

constexpr int fraction_bits = 52;
/// Every whole number below this is a double.
constexpr double exact_below = 0x1p53;
constexpr std::int64_t exact_digits = 15;
constexpr int bias = 1023;
constexpr int least_exponent = -1022;
constexpr std::uint64_t infinite = std::uint64_t{0x7ff} << fraction_bits;
constexpr std::uint64_t implicit_bit = std::uint64_t{1} << fraction_bits;
/// No double, and no place halfway between two, has more digits.
constexpr std::size_t most_digits = 768;
/// The place of the first digit of the largest double, and one below that of the half of the
/// smallest.
constexpr std::int64_t largest_place = 309;
constexpr std::int64_t tiny_place = -324;

/// The bits of a double, and back: Emscripten 3.1.6 has no std::bit_cast.
template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof from);
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Decimal is a number 0.DIGITS * 10^place, without zeros at either end of its digits. Of more than
/// most_digits only the first are kept, and a 1 behind them that says so.
struct Decimal {
  std::array<char, most_digits + 1> kept;
  std::size_t size = 0;
  std::int64_t place = 0;

  void push(char digit) { kept[size++] = digit; }
  std::string_view digits() const { return {kept.data(), size}; }
};

/// The exponent of a number; where it is far beyond a double's, any number as far away.
std::int64_t exponent_of(std::string_view text) {
  const std::size_t mark = text.find_first_of("eE");
  if (mark == std::string_view::npos) return 0;
  constexpr std::int64_t far = 1'000'000'000'000;
  std::int64_t value = 0;
  for (const char c : text.substr(mark)) {
    if (is_digit(c) && value < far) value = value * 10 + (c - '0');
  }
  return text[mark + 1] == '-' ? -value : value;
}

Decimal decimal_of(std::string_view text) {
  Decimal number;
  std::int64_t place = 0;
  bool has_point = false;
  bool has_more = false;
  for (const char c : text) {
    if (c == 'e' || c == 'E') break;
    if (c == '.') has_point = true;
    if (!is_digit(c)) continue;
    const bool is_leading = c == '0' && number.size == 0;
    // A digit before the point makes the number ten times larger, a zero after it smaller.
    if (!has_point && !is_leading) ++place;
    if (has_point && is_leading) --place;
    if (is_leading) continue;
    if (number.size < most_digits) {
      number.push(c);
    } else {
      has_more = has_more || c != '0';
    }
  }
  if (has_more) number.push('1');
  while (number.size > 0 && number.digits().back() == '0') --number.size;
  number.place = place + exponent_of(text);
  return number;
}

/// rounded gives the double next to `lead * 2^(exponent - 56)`, as its bits. The lead has 57 bits,
/// the first of them set; is_more says that the number is a little larger.
std::uint64_t rounded(std::uint64_t lead, int exponent, bool is_more) {
  if (exponent > bias) return infinite;
  if (exponent < least_exponent - fraction_bits - 1) return 0;
  const bool is_normal = exponent >= least_exponent;
  const int dropped = 4 + (is_normal ? 0 : least_exponent - exponent);
  const std::uint64_t half = std::uint64_t{1} << (dropped - 1);
  const std::uint64_t rest = lead & (2 * half - 1);
  std::uint64_t bits = lead >> dropped;
  const bool is_up = rest > half || (rest == half && (is_more || bits % 2 == 1));
  if (is_up) ++bits;
  // What rounding carries over makes the exponent one larger, up to infinity, as it has to.
  return is_normal ? bits + (static_cast<std::uint64_t>(exponent + bias - 1) << fraction_bits)
                   : bits;
}

/// nearest gives the double next to a decimal that is neither zero nor far from all doubles.
std::uint64_t nearest(const Decimal& number) {
  if (number.place >= static_cast<std::int64_t>(number.size) && number.place <= exact_digits) {
    std::uint64_t whole = 0;
    for (const char c : number.digits()) whole = whole * 10 + static_cast<std::uint64_t>(c - '0');
    for (auto at = static_cast<std::int64_t>(number.size); at < number.place; ++at) whole *= 10;
    return same_bits<std::uint64_t>(static_cast<double>(whole));
  }
  Natural top;
  for (const char c : number.digits()) top.multiply_add(10, static_cast<std::uint32_t>(c - '0'));
  Natural bottom(1);
  const auto power = static_cast<int>(number.place) - static_cast<int>(number.size);
  (power < 0 ? bottom : top).multiply_power(power < 0 ? -power : power);
  // Then the number is top / bottom * 2^exponent, and the fraction is from 1 to 2.
  int exponent = top.bits() - bottom.bits();
  (exponent < 0 ? top : bottom).shift_left(exponent < 0 ? -exponent : exponent);
  if (top < bottom) {
    top.shift_left(1);
    --exponent;
  }
  const int room = bottom.room();
  top.shift_left(room);
  bottom.shift_left(room);
  std::uint64_t lead = top.take_quotient(bottom);
  for (int digit = 0; digit < 14; ++digit) {
    top.shift_left(4);
    lead = lead << 4 | top.take_quotient(bottom);
  }
  return rounded(lead, exponent, !top.is_zero());
}

/// Shortest makes the digits of a positive double (Steele and White; Dybvig): the number is
/// top / bottom, and every number less than half a gap away reads back as it.
class Shortest {
 public:
  explicit Shortest(std::uint64_t bits) {
    const auto biased = static_cast<int>(bits >> fraction_bits);
    const std::uint64_t fraction = bits & (implicit_bit - 1);
    const std::uint64_t whole = biased == 0 ? fraction : fraction | implicit_bit;
    const int exponent = std::max(biased, 1) - bias - fraction_bits;
    is_even_ = whole % 2 == 0;
    // The gap below a power of two is half the one above.
    is_uneven_ = fraction == 0 && biased > 1;
    top_ = Natural(whole);
    const int doubled = is_uneven_ ? 2 : 1;
    top_.shift_left(doubled + std::max(exponent, 0));
    bottom_.shift_left(doubled - std::min(exponent, 0));
    half_gap_.shift_left(std::max(exponent, 0));
    // The floor of the logarithm: 315653 / 2^20 is log10(2), closely enough for any double.
    const int log2 = exponent + static_cast<int>(std::bit_width(whole)) - 1;
    place_ = (log2 * 315'653 >> 20) + 1;
    if (place_ >= 0) bottom_.multiply_power(place_);
    if (place_ < 0) {
      top_.multiply_power(-place_);
      half_gap_.multiply_power(-place_);
    }
    const int room = bottom_.room();
    for (Natural* number : {&top_, &bottom_, &half_gap_}) number->shift_left(room);
  }

  Decimal digits() {
    Decimal number;
    number.place = place_ + 1;
    if (!is_high()) {
      --number.place;
      grow();
    }
    for (;;) {
      const std::uint32_t digit = top_.take_quotient(bottom_);
      const bool low = is_low();
      const bool high = is_high();
      const bool is_up = high && (!low || is_nearer_up(digit));
      number.push(static_cast<char>('0' + digit + (is_up ? 1 : 0)));
      if (low || high) return number;
      grow();
    }
  }

 private:
  void grow() {
    top_.multiply_add(10);
    half_gap_.multiply_add(10);
  }
  // Whether the digits so far, and whether the next larger ones, read back as the number.
  bool is_low() const { return is_even_ ? top_ <= half_gap_ : top_ < half_gap_; }
  bool is_high() const {
    Natural sum = top_;
    sum.add(half_gap_);
    if (is_uneven_) sum.add(half_gap_);
    return is_even_ ? sum >= bottom_ : sum > bottom_;
  }
  bool is_nearer_up(std::uint32_t digit) const {
    Natural twice = top_;
    twice.add(top_);
    return twice > bottom_ || (twice == bottom_ && digit % 2 == 1);
  }

  Natural top_;
  Natural bottom_{1};
  Natural half_gap_{1};
  int place_ = 0;
  bool is_even_ = false;
  bool is_uneven_ = false;
};

void append_whole(std::string& out, std::uint64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

void append_number(std::string& out, double number) {
  if (number == 0) {
    out += '0';
    return;
  }
  if (number < 0) out += '-';
  const double size = number < 0 ? -number : number;
  if (size < exact_below && size == static_cast<double>(static_cast<std::uint64_t>(size))) {
    return append_whole(out, static_cast<std::uint64_t>(size));
  }
  const auto bits = same_bits<std::uint64_t>(size);
  const Decimal shortest = Shortest(bits).digits();
  const std::string_view digits = shortest.digits();
  const auto point = static_cast<int>(shortest.place);
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
  out += digits.front();
  if (count > 1) {
    out += '.';
    out += digits.substr(1);
  }
  out += point > 0 ? "e+" : "e-";
  append_whole(out, static_cast<std::uint64_t>(point > 0 ? point - 1 : 1 - point));
}

std::optional<double> read_number(std::string_view text) {
  const Decimal number = decimal_of(text);
  if (number.size > 0 && number.place > largest_place) return std::nullopt;
  const bool is_zero = number.size == 0 || number.place < tiny_place;
  const std::uint64_t bits = is_zero ? 0 : nearest(number);
  if (bits == infinite) return std::nullopt;
  const auto read = same_bits<double>(bits);
  return text.front() == '-' ? -read : read;
}

bool is_finite(std::string_view text) {
  if (static_cast<std::int64_t>(text.size()) < largest_place &&
      text.find_first_of("eE") == std::string_view::npos)
    return true;
  const Decimal number = decimal_of(text);
  if (number.size == 0 || number.place < largest_place) return true;
  return number.place == largest_place && read_number(text);
}

}  // namespace countersign::json
