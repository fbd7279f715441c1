// SPDX-License-Identifier: MIT
#include "countersign/bytes.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "support.hpp"

namespace cs = countersign;
using cs::ErrorCode;

namespace {

std::string utf8(std::uint32_t point) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (point >> shift & 0x3f)); };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {static_cast<char>(0xc0 | point >> 6), tail(0)};
  if (point < 0x10000) return {static_cast<char>(0xe0 | point >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | point >> 18), tail(12), tail(6), tail(0)};
}

ErrorCode error_of_field(const std::string& hex) {
  const test::Bytes bytes = test::unhex(hex);
  cs::Reader reader(bytes);
  reader.field();
  return reader.finish(0).error();
}

}  // namespace

TEST_CASE("A2 of all single bytes, text takes 0x20 to 0x7e", "[bytes]") {
  for (int byte = 0; byte < 256; ++byte) {
    CAPTURE(byte);
    CHECK(cs::is_text(std::string(1, static_cast<char>(byte))) == (byte >= 0x20 && byte <= 0x7e));
  }
}

TEST_CASE("A5 every code point is text, controls and surrogates apart", "[bytes]") {
  for (std::uint32_t point = 0; point < 0x120000; ++point) {
    const bool control = point < 0x20 || point == 0x7f;
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (cs::is_text(utf8(point)) != (!control && !surrogate && point <= 0x10ffff)) FAIL(point);
  }
}

TEST_CASE("A5 ill-formed UTF-8 is not text", "[bytes]") {
  const std::string table[] = {
      "80",       "bf",       "c0",         "c080",       "c0af",
      "c1bf",     "c2",       "c2c2",       "c241",       "df",  // tails, overlong, cut
      "e0",       "e080",     "e08080",     "e09fbf",     "e0a0",
      "e18041",   "edA080",   "edbfbf",     "ef",  // three bytes
      "f0",       "f08080",   "f0808080",   "f08fbfbf",   "f09080",
      "f0908041", "f4908080",  // four bytes
      "f5808080", "f7bfbfbf", "f888808080", "fbbfbfbfbf", "fc8480808080",
      "fe",       "ff",                       // never leads
      "c3a9a9",   "e697a5a5", "f09f988080"};  // one tail too many
  for (const std::string& row : table) {
    CAPTURE(row);
    for (const std::string before : {"", "61", "c3a9"}) {
      const test::Bytes bytes = test::unhex(before + row);
      CHECK_FALSE(cs::is_text(cs::text_of(bytes)));
      const test::Bytes followed = test::unhex(before + row + "7a");
      CHECK_FALSE(cs::is_text(cs::text_of(followed)));
    }
  }
}

TEST_CASE("A3 text is not normalised: both spellings of é are text, and differ", "[bytes]") {
  CHECK((cs::is_text("\xc3\xa9") && cs::is_text("e\xcc\x81")));
  CHECK_FALSE(cs::is_equal(cs::bytes_of("\xc3\xa9"), cs::bytes_of("e\xcc\x81")));
}

TEST_CASE("A6 text is 1 to 128 bytes", "[bytes]") {
  CHECK_FALSE(cs::is_text(""));
  CHECK(cs::is_text(std::string(128, 'a')));
  CHECK_FALSE(cs::is_text(std::string(129, 'a')));
  CHECK(cs::is_text(std::string(124, 'a') + "😀"));
  CHECK_FALSE(cs::is_text(std::string(125, 'a') + "😀"));
}

TEST_CASE("A6 a length has one spelling, and none is believed", "[bytes]") {
  CHECK(error_of_field("") == ErrorCode::truncated);
  CHECK(error_of_field("80") == ErrorCode::truncated);
  CHECK(error_of_field("01") == ErrorCode::truncated);
  CHECK(error_of_field("808004") == ErrorCode::truncated);       // 2^16
  CHECK(error_of_field("8080808008") == ErrorCode::truncated);   // 2^31
  CHECK(error_of_field("ffffffff0f") == ErrorCode::truncated);   // 2^32 - 1
  CHECK(error_of_field("8080808010") == ErrorCode::bad_length);  // 2^32
  CHECK(error_of_field("ffffffff8f") == ErrorCode::bad_length);
  CHECK(error_of_field("ffffffffffffffffff01") == ErrorCode::bad_length);
  CHECK(error_of_field("8000") == ErrorCode::bad_length);
  CHECK(error_of_field("810061") == ErrorCode::bad_length);
  CHECK(error_of_field("80808000") == ErrorCode::bad_length);
}

TEST_CASE("uvarint reads back what it wrote, and nothing else reads as it", "[bytes]") {
  for (std::size_t bit = 0; bit < 32; ++bit) {
    for (const std::size_t value : {(std::size_t{1} << bit) - 1, std::size_t{1} << bit}) {
      std::uint8_t buffer[10];
      cs::Writer writer(buffer);
      writer.uvarint(value);
      cs::Reader reader(*writer.finish());
      const std::size_t read = reader.uvarint();
      CHECK(*reader.finish(read) == value);
    }
  }
}

TEST_CASE("C2 a time is 0 to 2^53-1, big-endian", "[bytes]") {
  const auto read = [](const std::string& hex) {
    const test::Bytes bytes = test::unhex(hex);
    cs::Reader reader(bytes);
    const std::uint64_t value = reader.number();
    return reader.finish(value);
  };
  CHECK(*read("0000000000000000") == 0);
  CHECK(*read("0000000000000102") == 258);
  CHECK(*read("001fffffffffffff") == cs::max_time_ms);
  CHECK(read("0020000000000000").error() == ErrorCode::bad_timestamp);
  CHECK(read("ffffffffffffffff").error() == ErrorCode::bad_timestamp);
  CHECK(read("00000000000000").error() == ErrorCode::truncated);
  for (const std::uint64_t value : {cs::max_time_ms + 1, ~std::uint64_t{0}}) {
    std::uint8_t buffer[8];
    cs::Writer writer(buffer);
    writer.number(value);
    CHECK(writer.finish().error() == ErrorCode::invalid_time);
  }
}

TEST_CASE("A12 a message is read to its last byte", "[bytes]") {
  const test::Bytes bytes = test::unhex("0161ff");
  cs::Reader reader(bytes);
  CHECK(reader.text() == "a");
  CHECK(reader.finish(0).error() == ErrorCode::trailing_bytes);
}

TEST_CASE("a fixed field has its one size", "[bytes]") {
  for (std::size_t size = 0; size < 70; ++size) {
    test::Bytes bytes(size + 1);
    bytes[0] = static_cast<std::uint8_t>(size);
    cs::Reader reader(bytes);
    reader.fixed_field<32>();
    CHECK(reader.finish(0).ok() == (size == 32));
  }
}

TEST_CASE("reader and writer keep their first error", "[bytes]") {
  const test::Bytes bytes = test::unhex("8000016101");
  cs::Reader reader(bytes);
  reader.uvarint();
  CHECK_FALSE(reader.ok());
  CHECK(reader.text().empty());
  CHECK(reader.finish(0).error() == ErrorCode::bad_length);

  std::uint8_t buffer[4];
  cs::Writer writer(buffer);
  writer.text("\n");
  writer.bytes(bytes);
  CHECK(writer.finish().error() == ErrorCode::invalid_text);
}

TEST_CASE("a writer never writes beyond its buffer", "[bytes]") {
  for (std::size_t size = 0; size <= 20; ++size) {
    test::Bytes buffer(size);  // ASan watches its end
    cs::Writer writer(buffer);
    writer.text("abc");
    writer.number(7);
    writer.field(cs::bytes_of("12345"));
    const auto written = writer.finish();
    CHECK(written.ok() == (size >= 18));
    if (!written) CHECK(written.error() == ErrorCode::buffer_too_small);
  }
}
