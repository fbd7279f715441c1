// SPDX-License-Identifier: MIT
// Natural numbers large enough for the exact value of every double: reading and printing one is
// integer arithmetic, which no locale, library or processor rounds differently.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
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

  bool is_zero() const { return size_ == 0; }
  /// bits is the number of binary digits.
  int bits() const {
    if (is_zero()) return 0;
    return static_cast<int>(32 * size_) - std::countl_zero(limbs_[size_ - 1]);
  }

  /// multiply_add makes this `this * factor + summand`.
  void multiply_add(std::uint32_t factor, std::uint32_t summand = 0) {
    std::uint64_t carry = summand;
    for (std::size_t at = 0; at < size_; ++at) {
      carry += std::uint64_t{limbs_[at]} * factor;
      limbs_[at] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry > 0) push(carry);
  }

  /// multiply_power multiplies by 10^exponent.
  void multiply_power(int exponent) {
    for (; exponent >= 9; exponent -= 9) multiply_add(1'000'000'000);
    for (; exponent > 0; --exponent) multiply_add(10);
  }

  void shift_left(int count) {
    const auto whole = static_cast<std::size_t>(count / 32);
    if (whole > 0 && !is_zero()) {
      std::copy_backward(limbs_.begin(), limbs_.begin() + size_, limbs_.begin() + size_ + whole);
      std::fill_n(limbs_.begin(), whole, 0U);
      size_ += whole;
    }
    multiply_add(std::uint32_t{1} << count % 32);
  }

  void add(const Natural& other) {
    std::uint64_t carry = 0;
    for (std::size_t at = 0; at < size_ || at < other.size_; ++at) {
      carry +=
          std::uint64_t{at < size_ ? limbs_[at] : 0U} + (at < other.size_ ? other.limbs_[at] : 0U);
      if (at == size_) ++size_;
      limbs_[at] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry > 0) push(carry);
  }

  std::strong_ordering operator<=>(const Natural& other) const {
    if (size_ != other.size_) return size_ <=> other.size_;
    for (std::size_t at = size_; at-- > 0;) {
      if (limbs_[at] != other.limbs_[at]) return limbs_[at] <=> other.limbs_[at];
    }
    return std::strong_ordering::equal;
  }

  bool operator==(const Natural& other) const { return (*this <=> other) == 0; }

  /// room is how far a divisor is shifted, and what is divided with it, before take_quotient:
  /// its first limb has 28 bits then, so that what is up to 16 times as large has as many limbs.
  int room() const { return (28 - bits() % 32 + 32) % 32; }

  /// take_quotient divides by a shifted divisor, gives the quotient, which is below 16, and leaves
  /// the remainder.
  std::uint32_t take_quotient(const Natural& divisor) {
    if (size_ < divisor.size_) return 0;
    // At most one too small, as the divisor's first limb has 28 bits.
    std::uint32_t quotient = limbs_[size_ - 1] / (divisor.limbs_[size_ - 1] + 1);
    subtract(divisor, quotient);
    while (*this >= divisor) {
      subtract(divisor, 1);
      ++quotient;
    }
    return quotient;
  }

 private:
  void push(std::uint64_t limb) { limbs_[size_++] = static_cast<std::uint32_t>(limb); }

  // Takes away other * factor, which is not larger than this.
  void subtract(const Natural& other, std::uint32_t factor) {
    std::uint64_t borrow = 0;
    for (std::size_t at = 0; at < size_; ++at) {
      borrow += at < other.size_ ? std::uint64_t{other.limbs_[at]} * factor : 0;
      const auto low = static_cast<std::uint32_t>(borrow);
      borrow = (borrow >> 32) + (limbs_[at] < low ? 1 : 0);
      limbs_[at] -= low;
    }
    while (size_ > 0 && limbs_[size_ - 1] == 0) --size_;
  }

  std::array<std::uint32_t, 128> limbs_;
  std::size_t size_ = 0;
};

}  // namespace countersign::json
