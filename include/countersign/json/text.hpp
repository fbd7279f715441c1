// SPDX-License-Identifier: MIT
// Text as JSON and JavaScript have it: UTF-8 checked byte by byte, the order of UTF-16 units,
// escapes.
#pragma once

#include <optional>
#include <string>

#include "countersign/sha256.hpp"

namespace countersign::json {

/// Utf8Step is what stands at the front of a text: a well-formed character of `size` bytes, or as
/// many bytes that begin none (1 to 3: the maximal part of a character, as WHATWG decoders count).
struct Utf8Step {
  std::size_t size;
  bool is_character;
};

/// utf8_step looks at the front of text, which is not empty.
Utf8Step utf8_step(std::string_view text);

/// is_less_utf16 orders two well-formed texts by their UTF-16 units, as JavaScript sorts strings.
[[nodiscard]] bool is_less_utf16(std::string_view left, std::string_view right);

/// append_utf8 puts a code point at the end of text.
void append_utf8(std::string& text, std::uint32_t code_point);

/// append_quoted puts text as JSON.stringify writes it: only `"`, `\` and U+0000..U+001F escaped.
void append_quoted(std::string& out, std::string_view text);

/// append_unescaped puts what a checked JSON string (its quotes included) stands for.
void append_unescaped(std::string& out, std::string_view quoted);

/// read_tag reads a tag of exactly 64 lower-case hexadecimal digits; nothing for any other text.
std::optional<Hash> read_tag(std::string_view text);

/// decode_and_trim reads bytes as a text file is read in JavaScript: what is not UTF-8 becomes
/// U+FFFD, and white space at both ends (a byte order mark too) is cut as `trim()` cuts it.
std::string decode_and_trim(ByteView bytes);

}  // namespace countersign::json
