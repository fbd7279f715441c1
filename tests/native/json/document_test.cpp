// SPDX-License-Identifier: MIT
// Reading JSON: what is refused, and that no input costs more than memory in its own size.
#include "countersign/json/document.hpp"

#include <catch2/catch.hpp>

#include "countersign/json/canonical.hpp"
#include "countersign/json/text.hpp"
#include "support.hpp"

namespace cs = countersign;
namespace json = countersign::json;
using json::Document;

namespace {

std::string repeat(std::string_view piece, std::size_t count) {
  std::string all;
  for (std::size_t at = 0; at < count; ++at) all += piece;
  return all;
}

/// What a text is refused for, empty where it is not.
std::string fault_of(std::string_view text, const json::Limits& limits = {}) {
  json::Fault fault;
  const auto document = Document::read(text, limits, &fault);
  if (document) return "";
  CHECK(document.error() == cs::ErrorCode::bad_json);
  CHECK(fault.at <= text.size());
  return std::string(fault.what);
}

std::string canonical(std::string_view text) {
  const auto written = json::canonical_json(text);
  REQUIRE(written.ok());
  return *written;
}

}  // namespace

TEST_CASE("each fault of a text is named", "[json]") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "not a value"},
      {" ", "not a value"},
      {"\xef\xbb\xbf{}", "not a value"},
      {"nul", "not a value"},
      {"True", "not a value"},
      {"NaN", "not a value"},
      {"-", "a digit is missing"},
      {"1.", "a digit is missing"},
      {"1e", "a digit is missing"},
      {".5", "not a value"},
      {"+1", "not a value"},
      {"01", "a number begins with 0"},
      {"-01", "a number begins with 0"},
      {"1e400", "a number is beyond a double"},
      {"-1e400", "a number is beyond a double"},
      {"\"", "a string does not end"},
      {"\"\\", "an escape is none"},
      {"\"\\x\"", "an escape is none"},
      {"\"\\u12\"", "an escape is none"},
      {"\"\\u12g4\"", "an escape is none"},
      {"\"\n\"", "a control character in a string"},
      {"\"\\ud800\"", "a lone surrogate"},
      {"\"\\udc00\"", "a lone surrogate"},
      {"\"\\ud800\\ud800\"", "a lone surrogate"},
      {"\"\\ud800x\"", "a lone surrogate"},
      {"\"\xff\"", "not UTF-8"},
      {"\"\xc0\x80\"", "not UTF-8"},
      {"\"\xed\xa0\x80\"", "not UTF-8"},
      {"\"\xf4\x90\x80\x80\"", "not UTF-8"},
      {"\"\xe2\x82", "not UTF-8"},
      {"[", "not a value"},
      {"[1", "a comma or an end is missing"},
      {"[1,]", "not a value"},
      {"[,1]", "not a value"},
      {"[1}", "a comma or an end is missing"},
      {"[1 2]", "a comma or an end is missing"},
      {"{", "a name is missing"},
      {"{a:1}", "a name is missing"},
      {"{\"a\"}", "a colon is missing"},
      {"{\"a\":}", "not a value"},
      {"{\"a\":1,}", "a name is missing"},
      {"{\"a\":1]", "a comma or an end is missing"},
      {"{}{}", "something follows the value"},
      {"1 x", "something follows the value"},
      {"{\"a\":1,\"a\":2}", "a name stands twice"},
      {"{\"a\":1,\"\\u0061\":2}", "a name stands twice"},
      {"[{\"\xc3\xa9\":1,\"x\":0,\"\\u00E9\":2}]", "a name stands twice"},
      {"{\"__proto__\":1,\"__proto__\":1}", "a name stands twice"}};
  for (const auto& [text, what] : cases) {
    CAPTURE(text);
    CHECK(fault_of(text) == what);
  }
}

TEST_CASE("a NUL is nowhere allowed, the end of the text is no character", "[json]") {
  using namespace std::string_view_literals;
  for (const auto text : {"\0"sv, "1\0"sv, "\"\0\""sv, "[\0]"sv, "{\0}"sv, "\"\\\0\""sv}) {
    CHECK_FALSE(fault_of(text).empty());
  }
}

TEST_CASE("the same name may stand in different objects", "[json]") {
  CHECK(fault_of(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").empty());
}

TEST_CASE("A11 depth costs no stack: 100,000 levels are refused by the limit, or read without one",
          "[json]") {
  const std::size_t depth = 100'000;
  const json::Limits unlimited{.max_depth = depth + 1};
  for (const auto& [open, close] :
       {std::pair{"[", "]"}, std::pair{"{\"a\":", "}"}, std::pair{"[{\"a\":", "}]"}}) {
    const std::string opened = repeat(open, depth / (open[0] == '[' && open[1] == '{' ? 2 : 1));
    const std::string closed = repeat(close, opened.size() / std::string_view(open).size());
    const std::string text = opened + "1" + closed;
    CHECK(fault_of(text) == "nested too deeply");
    CHECK(fault_of(opened, unlimited) != "");
    const auto document = Document::read(text, unlimited);
    REQUIRE(document.ok());
    CHECK(json::write_canonical(*document) == text);
  }
  CHECK(fault_of(repeat("[", 64) + repeat("]", 64)).empty());
  CHECK(fault_of(repeat("[", 65) + repeat("]", 65)) == "nested too deeply");
}

TEST_CASE("A8 a hundred thousand members are looked through for duplicates in good time",
          "[json]") {
  std::string text = "{";
  for (int at = 0; at < 100'000; ++at) text += "\"" + std::to_string(at) + "\":0,";
  CHECK(fault_of(text + "\"x\":0}").empty());
  CHECK(fault_of(text + "\"5\\u0030\":0}") == "a name stands twice");
}

TEST_CASE("a text beyond the size that is allowed is not looked at", "[json]") {
  CHECK(fault_of("[1,2]", {.max_size = 4}) == "too large");
  CHECK(fault_of("[1,2]", {.max_size = 5}).empty());
}

TEST_CASE("nodes are slices of the text, in order, and members are found by their name", "[json]") {
  const std::string_view text = R"( {"a": [1, "x\u0041"], "\u0062": {"c": -0.50}} )";
  const auto document = Document::read(text);
  REQUIRE(document.ok());
  const std::size_t array = document->find(Document::root, "a");
  CHECK(document->raw(Document::root) == text.substr(1, text.size() - 2));
  CHECK(document->raw(array) == R"([1, "x\u0041"])");
  CHECK(document->text(array + 2) == "xA");
  const std::size_t object = document->find(Document::root, "b");
  CHECK(document->raw(document->find(object, "c")) == "-0.50");
  CHECK(document->number(document->find(object, "c")) == -0.5);
  CHECK(document->find(Document::root, "c") == Document::none);
  CHECK(document->find(array, "a") == Document::none);
  CHECK(document->next(Document::root) == document->nodes().size());
}

TEST_CASE("canonical JSON sorts by UTF-16 units, not by code points", "[json]") {
  // U+E000 and U+FB33 come after a surrogate pair in UTF-16, before it in UTF-8.
  CHECK(canonical(R"({"\ue000":1,"\ud83d\ude00":2,"\ufb33":3,"\u00e9":4,"z":5,"":6})") ==
        "{\"\":6,\"z\":5,\"\xc3\xa9\":4,\"\xf0\x9f\x98\x80\":2,\"\xee\x80\x80\":1,\"\xef\xac\xb3\":"
        "3}");
  CHECK(canonical(R"({"aa":1,"a":2,"B":3})") == R"({"B":3,"a":2,"aa":1})");
}

TEST_CASE("strings are written with the escapes of JSON.stringify and no others", "[json]") {
  CHECK(canonical(R"("\/\"\\\b\f\n\r\t\u0000\u001f\u007f\u2028 <>&'")") ==
        "\"/\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\xe2\x80\xa8 <>&'\"");
}

TEST_CASE("every byte in every place of a small text: refused, or written and read the same",
          "[json]") {
  const std::string text = R"({"a":[1.5e3,"\u00e9\ud83d\ude00",null],"b":{"c":true}})";
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[at] = static_cast<char>(byte);
      const auto written = json::canonical_json(changed);
      if (!written) continue;
      CHECK(canonical(*written) == *written);
    }
  }
}

TEST_CASE("what trim() cuts, and what is not UTF-8", "[json]") {
  const auto trimmed = [](std::string_view text) {
    return json::decode_and_trim(cs::bytes_of(text));
  };
  CHECK(trimmed("\xef\xbb\xbf \t\v\f\r\n\xc2\xa0\xe3\x80\x80 a b \xe2\x80\xa8\xe2\x80\xa9") ==
        "a b");
  CHECK(trimmed("\xe2\x80\x8b"
                "a\xc2\x85") ==
        "\xe2\x80\x8b"
        "a\xc2\x85");
  CHECK(trimmed(" \xef\xbb\xbf ").empty());
  CHECK(trimmed("\xff\xe2\x82z\xf0\x9f\x98") == "\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd");
}
