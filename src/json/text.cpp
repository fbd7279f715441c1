// SPDX-License-Identifier: MIT
#include "countersign/json/text.hpp"

#include <algorithm>
#include <array>

namespace countersign::json {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view replacement = "\xef\xbf\xbd";

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

// Supplementary characters are surrogates in UTF-16, below U+E000..U+FFFF; their leads are above in
// UTF-8.
unsigned utf16_rank(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte == 0xee || byte == 0xef ? byte + 0x10U : byte;
}

char short_escape(char c) {
  switch (c) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return '\0';
  }
}

char unescape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

std::uint32_t hex4(std::string_view digits) {
  std::uint32_t value = 0;
  for (const char c : digits.substr(0, 4)) {
    const auto digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  return value;
}

// ECMAScript's white space and line ends: what trim() cuts.
constexpr std::array<std::string_view, 25> spaces = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
    "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89",
    "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    "\xef\xbb\xbf"};

std::string_view trim(std::string_view text) {
  const auto cut = [&](auto is_at, auto remove) {
    for (bool found = true; found;) {
      found = false;
      for (const std::string_view space : spaces) {
        if (!is_at(space)) continue;
        remove(space.size());
        found = true;
      }
    }
  };
  cut([&](std::string_view space) { return text.starts_with(space); },
      [&](std::size_t size) { text.remove_prefix(size); });
  cut([&](std::string_view space) { return text.ends_with(space); },
      [&](std::size_t size) { text.remove_suffix(size); });
  return text;
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  const std::uint8_t lead = byte_at(text, 0);
  if (lead < 0x80) return {1, true};
  // Unicode, table 3-7: four leads narrow the range of the byte after them.
  if (lead < 0xc2 || lead > 0xf4) return {1, false};
  std::uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  std::uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  const std::size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (std::size_t at = 1; at < size; ++at) {
    if (at == text.size() || byte_at(text, at) < low || byte_at(text, at) > high) {
      return {at, false};
    }
    low = 0x80;
    high = 0xbf;
  }
  return {size, true};
}

bool is_less_utf16(std::string_view left, std::string_view right) {
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                      [](char a, char b) { return utf16_rank(a) < utf16_rank(b); });
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  const auto tail = [&](unsigned shift) { put(0x80 | (code_point >> shift & 0x3f)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    return tail(0);
  }
  if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    tail(6);
    return tail(0);
  }
  put(0xf0 | code_point >> 18);
  tail(12);
  tail(6);
  tail(0);
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (const char escape = short_escape(c)) {
      out += '\\';
      out += escape;
    } else if (static_cast<std::uint8_t>(c) < 0x20) {
      out += "\\u00";
      out += hex_digits[static_cast<std::uint8_t>(c) >> 4];
      out += hex_digits[static_cast<std::uint8_t>(c) & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_unescaped(std::string& out, std::string_view quoted) {
  std::string_view rest = quoted.substr(1, quoted.size() - 2);
  while (!rest.empty()) {
    const std::size_t plain = std::min(rest.find('\\'), rest.size());
    out += rest.substr(0, plain);
    rest.remove_prefix(plain);
    if (rest.empty()) return;
    if (rest[1] != 'u') {
      out += unescape(rest[1]);
      rest.remove_prefix(2);
      continue;
    }
    std::uint32_t unit = hex4(rest.substr(2));
    rest.remove_prefix(6);
    if (unit >= 0xd800 && unit < 0xdc00) {
      unit = 0x10000 + ((unit - 0xd800) << 10) + (hex4(rest.substr(2)) - 0xdc00);
      rest.remove_prefix(6);
    }
    append_utf8(out, unit);
  }
}

std::optional<Hash> read_tag(std::string_view text) {
  Hash tag{};
  if (text.size() != 2 * tag.size()) return std::nullopt;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t digit = hex_digits.find(text[at]);
    if (digit == std::string_view::npos) return std::nullopt;
    tag[at / 2] = static_cast<std::uint8_t>(static_cast<std::size_t>(tag[at / 2]) << 4 | digit);
  }
  return tag;
}

std::string decode_and_trim(ByteView bytes) {
  std::string text;
  // The text may be a key: growing would leave pieces of it behind.
  text.reserve(bytes.size() * replacement.size());
  for (std::string_view rest = text_of(bytes); !rest.empty();) {
    const Utf8Step step = utf8_step(rest);
    text += step.is_character ? rest.substr(0, step.size) : replacement;
    rest.remove_prefix(step.size);
  }
  const std::string_view trimmed = trim(text);
  text.erase(0, static_cast<std::size_t>(trimmed.data() - text.data()));
  text.resize(trimmed.size());
  return text;
}

}  // namespace countersign::json
