// SPDX-License-Identifier: MIT
// Reader and Writer: the only code of this library that indexes memory, and the encoding of
// section 1.
//
// Both keep their first error and do nothing after it, so that a message is read and written as one
// straight list of its fields and asked once, at the end, whether all went well.
#pragma once

#include <concepts>
#include <optional>
#include <string>

#include "countersign/protocol.hpp"
#include "countersign/result.hpp"

namespace countersign {

/// is_text says whether text is 1 to 128 bytes of well-formed UTF-8 without U+0000..U+001F and
/// U+007F (section 1).
[[nodiscard]] bool is_text(std::string_view text);

/// bytes_of looks at text as bytes.
ByteView bytes_of(std::string_view text COUNTERSIGN_LIFETIMEBOUND);
/// The same of a string that owns its text: clang sees through this one alone that it is gone.
template <std::same_as<std::string> Text>
ByteView bytes_of(const Text& text COUNTERSIGN_LIFETIMEBOUND) {
  return bytes_of(std::string_view(text));
}
/// text_of looks at bytes as text; whether they are text is is_text's to say.
std::string_view text_of(ByteView bytes COUNTERSIGN_LIFETIMEBOUND);

/// is_equal compares byte for byte, in time that depends on the bytes: for public data only.
[[nodiscard]] bool is_equal(ByteView left, ByteView right);

/// wipe makes a secret that is no longer needed zeros; no optimiser may leave it out.
void wipe(Buffer secret);

/// Reader takes the fields of a message from the front of its bytes; all it returns are views into
/// them.
class Reader {
 public:
  explicit Reader(ByteView bytes COUNTERSIGN_LIFETIMEBOUND) : all_(bytes) {}

  /// bytes takes size bytes; fails with truncated.
  ByteView bytes(std::size_t size);
  /// uvarint takes an unsigned LEB128 number in its shortest form, below 2^32; fails with truncated
  /// or bad_length.
  std::size_t uvarint();
  /// field takes a length and as many bytes; fails with truncated or bad_length.
  ByteView field();
  /// text takes a text field; fails with truncated, bad_length or bad_text.
  std::string_view text();
  /// number takes 8 bytes, big-endian, 0 to 2^53-1; fails with truncated or bad_timestamp.
  std::uint64_t number();

  /// fixed_field takes a field of exactly Size bytes; fails with truncated, bad_length or
  /// bad_field_size.
  template <std::size_t Size>
  std::span<const std::uint8_t, Size> fixed_field() {
    static_assert(Size <= sizeof nothing_);
    const ByteView value = field();
    if (value.size() == Size) return value.template first<Size>();
    fail(ErrorCode::bad_field_size);
    return ByteView(nothing_).template first<Size>();
  }

  /// fail makes this reader fail with error, unless it has failed before.
  void fail(ErrorCode error);

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  std::size_t position() const { return position_; }
  /// rest is what has not been taken yet.
  ByteView rest() const { return all_.subspan(position_); }

  /// finish gives value if every field was there and nothing follows; fails with the first error or
  /// trailing_bytes.
  template <class T>
  Result<T> finish(T value) {
    if (position_ != all_.size()) fail(ErrorCode::trailing_bytes);
    if (error_) return *error_;
    return value;
  }

 private:
  static constexpr std::uint8_t nothing_[signature_size] = {};

  ByteView all_;
  std::size_t position_ = 0;
  std::optional<ErrorCode> error_;
};

/// Writer puts the fields of a message one after another into a buffer of the caller's.
class Writer {
 public:
  explicit Writer(Buffer buffer COUNTERSIGN_LIFETIMEBOUND) : all_(buffer) {}

  /// bytes puts bytes as they are; fails with buffer_too_small.
  void bytes(ByteView bytes);
  /// uvarint puts unsigned LEB128 in its shortest form; fails with buffer_too_small.
  void uvarint(std::size_t value);
  /// field puts a length and the bytes; fails with buffer_too_small.
  void field(ByteView bytes);
  /// text puts a text field; fails with invalid_text or buffer_too_small.
  void text(std::string_view text);
  /// number puts 8 bytes, big-endian; fails with invalid_time above 2^53-1, or buffer_too_small.
  void number(std::uint64_t value);

  /// fail makes this writer fail with error, unless it has failed before.
  void fail(ErrorCode error);

  std::size_t position() const { return position_; }

  /// finish gives what was written, a view into the buffer; fails with the first error.
  Result<ByteView> finish() const;

 private:
  Buffer all_;
  std::size_t position_ = 0;
  std::optional<ErrorCode> error_;
};

}  // namespace countersign
