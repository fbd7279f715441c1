// SPDX-License-Identifier: MIT
// Natural numbers large enough for the exact value of every double: reading and printing one is
// integer arithmetic, which no locale, library or processor rounds differently.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace countersign::json {

/// Natural is a number below 2^4096. Both conversions stay below 2^3700: the largest that they make
/// is 10^1093, for 769 digits at the place -324, and less than 64 bits come on top.
class Natural {
 public:
  explicit Natural(std::uint64_t value = 0) {
    for (; value > 0; value >>= 32) push(value);
  }
  // Most numbers have few limbs, so only these are copied.
  Natural(const Natural& other) { *this = other; }
  Natural& operator=(const Natural& other);
  ~Natural() = default;

  bool is_zero() const { return size_ == 0; }
  /// bits is the number of binary digits.
  int bits() const;

  /// multiply_add makes this `this * factor + summand`.
  void multiply_add(std::uint32_t factor, std::uint32_t summand = 0);
  /// multiply_power multiplies by 10^exponent.
  void multiply_power(int exponent);
  void shift_left(int count);
  void add(const Natural& other);

  std::strong_ordering operator<=>(const Natural& other) const;
  bool operator==(const Natural& other) const { return (*this <=> other) == 0; }

  /// room is how far a divisor is shifted, and what is divided with it, before take_quotient: its
  /// first limb has 28 bits then, so that what is up to 16 times as large has as many limbs.
  int room() const { return (28 - bits() % 32 + 32) % 32; }
  /// take_quotient divides by a shifted divisor, gives the quotient, which is below 16, and leaves
  /// the remainder.
  std::uint32_t take_quotient(const Natural& divisor);

 private:
  void push(std::uint64_t limb) { limbs_[size_++] = static_cast<std::uint32_t>(limb); }
  // Takes away other * factor, which is not larger than this.
  void subtract(const Natural& other, std::uint32_t factor);

  std::array<std::uint32_t, 128> limbs_;
  std::size_t size_ = 0;
};

}  // namespace countersign::json
