// SPDX-License-Identifier: MIT
#include "countersign/bytes.hpp"

#include <algorithm>

namespace countersign {

bool is_text(std::string_view text) {
  const ByteView bytes = bytes_of(text);
  if (bytes.empty() || bytes.size() > max_text_size) return false;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint8_t lead = bytes[at++];
    if (lead < 0x80) {
      if (lead < 0x20 || lead == 0x7f) return false;
      continue;
    }
    // Unicode, table 3-7: four leads narrow the range of the byte after them.
    if (lead < 0xc2 || lead > 0xf4) return false;
    std::uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    std::uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3; more > 0; --more, ++at) {
      if (at == bytes.size() || bytes[at] < low || bytes[at] > high) return false;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_equal(ByteView left, ByteView right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

void wipe(Buffer secret) {
  std::fill(secret.begin(), secret.end(), std::uint8_t{0});
  // As far as the optimiser knows, this reads the zeros.
  __asm__ volatile("" : : "r"(secret.data()) : "memory");
}

ByteView Reader::bytes(std::size_t size) {
  if (size > rest().size()) fail(ErrorCode::truncated);
  if (error_) return {};
  const ByteView taken = rest().first(size);
  position_ += size;
  return taken;
}

std::size_t Reader::uvarint() {
  std::uint32_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const ByteView next = bytes(1);
    if (next.empty()) return 0;
    const std::uint8_t byte = next.front();
    const bool too_big = shift == 28 && byte > 0x0f;
    const bool padded = shift > 0 && byte == 0;
    if (too_big || padded) {
      fail(ErrorCode::bad_length);
      return 0;
    }
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

ByteView Reader::field() {
  return bytes(uvarint());
}

std::string_view Reader::text() {
  const std::string_view value = text_of(field());
  if (is_text(value)) return value;
  fail(ErrorCode::bad_text);
  return {};
}

std::uint64_t Reader::number() {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes(8)) value = value << 8 | byte;
  if (value > max_time_ms) fail(ErrorCode::bad_timestamp);
  return value;
}

void Reader::fail(ErrorCode error) {
  if (!error_) error_ = error;
}

void Writer::bytes(ByteView bytes) {
  if (bytes.size() > all_.size() - position_) fail(ErrorCode::buffer_too_small);
  if (error_) return;
  std::copy(bytes.begin(), bytes.end(), all_.subspan(position_).begin());
  position_ += bytes.size();
}

void Writer::uvarint(std::size_t value) {
  std::uint8_t encoded[10];
  std::size_t size = 0;
  for (; value > 0x7f; value >>= 7) encoded[size++] = static_cast<std::uint8_t>(value | 0x80);
  encoded[size++] = static_cast<std::uint8_t>(value);
  bytes({encoded, size});
}

void Writer::field(ByteView value) {
  uvarint(value.size());
  bytes(value);
}

void Writer::text(std::string_view value) {
  if (!is_text(value)) fail(ErrorCode::invalid_text);
  field(bytes_of(value));
}

void Writer::number(std::uint64_t value) {
  if (value > max_time_ms) fail(ErrorCode::invalid_time);
  std::uint8_t encoded[8];
  for (std::uint8_t* byte = std::end(encoded); byte != encoded; value >>= 8) {
    *--byte = static_cast<std::uint8_t>(value);
  }
  bytes(encoded);
}

void Writer::fail(ErrorCode error) {
  if (!error_) error_ = error;
}

Result<ByteView> Writer::finish() const {
  if (error_) return *error_;
  return ByteView(all_.first(position_));
}

}  // namespace countersign
