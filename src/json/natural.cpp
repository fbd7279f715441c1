// SPDX-License-Identifier: MIT
#include "natural.hpp"

#include <algorithm>
#include <bit>

namespace countersign::json {

Natural& Natural::operator=(const Natural& other) {
  if (this == &other) return *this;
  std::copy_n(other.limbs_.begin(), other.size_, limbs_.begin());
  size_ = other.size_;
  return *this;
}

int Natural::bits() const {
  if (is_zero()) return 0;
  return static_cast<int>(32 * size_) - std::countl_zero(limbs_[size_ - 1]);
}

void Natural::multiply_add(std::uint32_t factor, std::uint32_t summand) {
  std::uint64_t carry = summand;
  for (std::size_t at = 0; at < size_; ++at) {
    carry += std::uint64_t{limbs_[at]} * factor;
    limbs_[at] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry > 0) push(carry);
}

void Natural::multiply_power(int exponent) {
  for (; exponent >= 9; exponent -= 9) multiply_add(1'000'000'000);
  for (; exponent > 0; --exponent) multiply_add(10);
}

void Natural::shift_left(int count) {
  const auto whole = static_cast<std::size_t>(count / 32);
  if (whole > 0 && !is_zero()) {
    for (std::size_t at = size_; at-- > 0;) limbs_[at + whole] = limbs_[at];
    std::fill_n(limbs_.begin(), whole, 0U);
    size_ += whole;
  }
  if (count % 32 > 0) multiply_add(std::uint32_t{1} << count % 32);
}

void Natural::add(const Natural& other) {
  while (size_ < other.size_) push(0);
  std::uint64_t carry = 0;
  for (std::size_t at = 0; at < size_; ++at) {
    if (at >= other.size_ && carry == 0) return;
    carry += std::uint64_t{limbs_[at]} + (at < other.size_ ? other.limbs_[at] : 0U);
    limbs_[at] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry > 0) push(carry);
}

std::strong_ordering Natural::operator<=>(const Natural& other) const {
  if (size_ != other.size_) return size_ <=> other.size_;
  for (std::size_t at = size_; at-- > 0;) {
    if (limbs_[at] != other.limbs_[at]) return limbs_[at] <=> other.limbs_[at];
  }
  return std::strong_ordering::equal;
}

std::uint32_t Natural::take_quotient(const Natural& divisor) {
  if (size_ < divisor.size_) return 0;
  // At most one too small, as the divisor's first limb has 28 bits.
  std::uint32_t quotient = limbs_[size_ - 1] / (divisor.limbs_[size_ - 1] + 1);
  if (quotient > 0) subtract(divisor, quotient);
  while (*this >= divisor) {
    subtract(divisor, 1);
    ++quotient;
  }
  return quotient;
}

void Natural::subtract(const Natural& other, std::uint32_t factor) {
  std::uint64_t borrow = 0;
  for (std::size_t at = 0; at < size_; ++at) {
    borrow += at < other.size_ ? std::uint64_t{other.limbs_[at]} * factor : 0;
    const auto low = static_cast<std::uint32_t>(borrow);
    borrow = (borrow >> 32) + (limbs_[at] < low ? 1 : 0);
    limbs_[at] -= low;
  }
  while (size_ > 0 && limbs_[size_ - 1] == 0) --size_;
}

}  // namespace countersign::json
