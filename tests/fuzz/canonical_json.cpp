// SPDX-License-Identifier: MIT
// What is read is written canonically: once more it is the same text, with sorted names and the
// same values. White space around it and more depth change nothing.
#include <charconv>
#include <cmath>

#include "countersign/json/canonical.hpp"
#include "countersign/json/number.hpp"
#include "countersign/json/text.hpp"
#include "support.hpp"

namespace cs = countersign;
namespace json = countersign::json;
using fuzz::check;

namespace {

/// A text as UTF-16 units, by the definition: what is_less_utf16 has to order by.
std::u16string utf16(std::string_view text) {
  std::u16string units;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = json::utf8_step(text.substr(at)).size;
    std::uint32_t point = static_cast<std::uint8_t>(text[at]) & (size == 1 ? 0x7f : 0xff >> size);
    for (std::size_t more = 1; more < size; ++more) {
      point = point << 6 | (static_cast<std::uint8_t>(text[at + more]) & 0x3f);
    }
    if (point >= 0x10000) {
      units += static_cast<char16_t>(0xd7c0 + (point >> 10));
      units += static_cast<char16_t>(0xdc00 + (point & 0x3ff));
    } else {
      units += static_cast<char16_t>(point);
    }
    at += size;
  }
  return units;
}

void check_numbers(const json::Document& document) {
  for (std::size_t node = 0; node < document.nodes().size(); ++node) {
    if (document.kind(node) != json::Kind::number) continue;
    const double number = document.number(node);
    check(std::isfinite(number));
    // The standard library is a second reader. Of what is too small it says no number.
    double other = 0;
    const std::string_view raw = document.raw(node);
    const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), other);
    check(error == std::errc::result_out_of_range ? number == 0 : other == number);
    std::string text;
    json::append_number(text, number);
    check(json::read_number(text) == number);
  }
}

/// The names of each object stand in the order of their UTF-16 units, none twice.
void check_order(const json::Document& document) {
  for (std::size_t node = 0; node < document.nodes().size(); ++node) {
    if (document.kind(node) != json::Kind::object) continue;
    std::optional<std::u16string> last;
    for (std::size_t at = node + 1; at < document.next(node); at = document.next(at + 1)) {
      const std::u16string name = utf16(document.text(at));
      check(!last || *last < name);
      check(document.find(node, document.text(at)) == at + 1);
      last = name;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = cs::text_of({data, size});
  // Key files are text of any bytes.
  const std::string trimmed = json::decode_and_trim({data, size});
  check(json::decode_and_trim(cs::bytes_of(" \xef\xbb\xbf" + trimmed + "\xe2\x80\xa8\n")) ==
        trimmed);

  json::Fault fault;
  const auto read = json::Document::read(text, {}, &fault);
  if (!read) {
    check(!fault.what.empty() && fault.at <= size);
    // A limit of depth refuses, and nothing else depends on it.
    const bool is_deep = fault.what == "nested too deeply";
    check(is_deep || !json::canonical_json(text, {.max_depth = 1 << 20}).ok());
    return 0;
  }
  check_numbers(*read);
  const std::string canonical = json::write_canonical(*read);
  const auto again = json::Document::read(canonical);
  check(again.ok() && again->nodes().size() == read->nodes().size());
  check(json::write_canonical(*again) == canonical);
  check_order(*again);
  check(*json::canonical_json(" \n" + std::string(text) + "\t\r") == canonical);
  check(!json::canonical_json(text, {.max_size = size - 1}).ok());
  return 0;
}
