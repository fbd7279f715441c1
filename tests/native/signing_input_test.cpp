// SPDX-License-Identifier: MIT
// The rules that all five signing inputs share, each proved on each kind.
#include <catch2/catch.hpp>

#include "messages.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using test::Bytes;
using test::Message;

namespace {

Bytes written(const Message& message) {
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto bytes = test::write(message, buffer);
  return bytes ? test::copy(*bytes) : Bytes{};
}

/// For each kind, each text field that a caller may fill as he likes.
template <class Visit>
void for_each_text(Visit visit) {
  test::Random random(11);
  for (const cs::Kind kind : test::kinds) {
    const Message message = test::random_message(kind, random);
    for (std::size_t field = 0; field < message.texts.size(); ++field) {
      if (message.texts[field] != "es256" && message.texts[field] != "ed25519")
        visit(message, field);
    }
  }
}

}  // namespace

TEST_CASE("A1 reading gives back what was written, and a second encoder agrees",
          "[signing input]") {
  test::Random random(7);
  for (int round = 0; round < 20'000; ++round) {
    const Message message = test::random_message(test::kinds[round % 5], random);
    const Bytes bytes = written(message);
    if (bytes.empty() || bytes != test::join(test::parts_of(message))) FAIL("round " << round);
    const auto parsed = test::parse(bytes);
    if (!parsed || !(*parsed == message)) FAIL("round " << round);
  }
}

TEST_CASE("A1 whatever can be read is written the same: no message has two spellings",
          "[signing input]") {
  test::Random random(8);
  int readable = 0;
  for (int round = 0; round < 100'000; ++round) {
    Bytes bytes = written(test::random_message(test::kinds[round % 5], random));
    switch (random.below(4)) {
      case 0:
        bytes[random.index(bytes.size())] ^= static_cast<std::uint8_t>(1 << random.below(8));
        break;
      case 1:
        bytes[random.index(bytes.size())] = static_cast<std::uint8_t>(random.next());
        break;
      case 2:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(random.index(bytes.size())),
                     static_cast<std::uint8_t>(random.next()));
        break;
      default:
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(random.index(bytes.size())));
        break;
    }
    const auto parsed = test::parse(bytes);
    if (!parsed) continue;
    ++readable;
    if (written(*parsed) != bytes) FAIL("round " << round << ": " << test::hex(bytes));
  }
  CHECK(readable > 10'000);
}

TEST_CASE("A1 a byte moved from one field to the next makes another message", "[signing input]") {
  test::Random random(9);
  for (const cs::Kind kind : test::kinds) {
    Message one = test::random_message(kind, random);
    Message other = one;
    one.texts[0] = "v1a";
    one.texts[1] = one.texts[1] == "es256" || one.texts[1] == "ed25519" ? one.texts[1] : "bc";
    other.texts[0] = "v1";
    other.texts[1] = one.texts[1] == "bc" ? "abc" : one.texts[1];
    CHECK(written(one) != written(other));
  }
}

TEST_CASE("A2 each byte at each place of each text field: the same rule on both sides",
          "[signing input]") {
  for_each_text([](const Message& base, std::size_t field) {
    for (int byte = 0; byte < 256; ++byte) {
      const bool allowed = byte >= 0x20 && byte <= 0x7e;
      for (std::size_t place = 0; place < 3; ++place) {
        Message message = base;
        message.texts[field] = "ab";
        message.texts[field].insert(place, 1, static_cast<char>(byte));
        std::uint8_t buffer[cs::max_signing_input_size];
        const auto sent = test::write(message, buffer);
        const auto received = test::parse(test::join(test::parts_of(message)));
        const bool agreed = sent.ok() == allowed && received.ok() == allowed &&
                            (allowed || (sent.error() == ErrorCode::invalid_text &&
                                         received.error() == ErrorCode::bad_text));
        if (!agreed)
          FAIL("kind " << static_cast<int>(base.kind) << " field " << field << " byte " << byte);
      }
    }
  });
}

TEST_CASE("A5 ill-formed UTF-8 in any text field is refused on both sides", "[signing input]") {
  const std::string table[] = {
      "\x80",         "\xc0\xaf",         "\xe0\x80\xaf",         "\xed\xa0\x80",
      "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
      "\xe6\x97"};
  for_each_text([&](const Message& base, std::size_t field) {
    for (const std::string& row : table) {
      Message message = base;
      message.texts[field] = "a" + row;
      std::uint8_t buffer[cs::max_signing_input_size];
      CHECK(test::write(message, buffer).error() == ErrorCode::invalid_text);
      CHECK(test::parse(test::join(test::parts_of(message))).error() == ErrorCode::bad_text);
    }
  });
}

TEST_CASE("A6 text fields are 1 to 128 bytes on both sides", "[signing input]") {
  for_each_text([](const Message& base, std::size_t field) {
    for (const std::size_t size : {0u, 1u, 127u, 128u, 129u, 200u}) {
      Message message = base;
      message.texts[field] = std::string(size, 'x');
      std::uint8_t buffer[cs::max_signing_input_size];
      CHECK(test::write(message, buffer).ok() == (size >= 1 && size <= 128));
      CHECK(test::parse(test::join(test::parts_of(message))).ok() == (size >= 1 && size <= 128));
    }
  });
}

TEST_CASE("A6 a forged length of any field is refused", "[signing input]") {
  test::Random random(12);
  const char* lengths[] = {"00",         "8000",       "ff00",
                           "7f",         "808004",     "8080808008",
                           "ffffffff0f", "8080808010", "ffffffffffffffffff01",
                           "80"};
  for (const cs::Kind kind : test::kinds) {
    const auto parts = test::parts_of(test::random_message(kind, random));
    for (std::size_t field = 0; field < parts.size(); ++field) {
      if (!parts[field].field) continue;
      for (const char* length : lengths) {
        const Bytes forged = test::unhex(length);
        if (forged == test::length_of(parts[field].bytes.size())) continue;
        CAPTURE(static_cast<int>(kind), field, length);
        const auto parsed = test::parse(test::join(parts, field, forged));
        REQUIRE_FALSE(parsed.ok());
        CHECK(cs::error_info(parsed.error()).stage == cs::Stage::parse);
      }
    }
  }
}

TEST_CASE("A14 hashes and keys have their one size", "[signing input]") {
  test::Random random(13);
  for (const cs::Kind kind : test::kinds) {
    Message message = test::random_message(kind, random);
    const std::size_t right = message.fixed.size();
    for (std::size_t size = 0; size < 70; ++size) {
      message.fixed.resize(size);
      const auto parsed = test::parse(test::join(test::parts_of(message)));
      CHECK(parsed.ok() == (size == right));
      if (!parsed) CHECK(parsed.error() == ErrorCode::bad_field_size);
      std::uint8_t buffer[cs::max_signing_input_size];
      if (!test::has_version(kind)) CHECK(test::write(message, buffer).ok() == (size == right));
    }
  }
}

TEST_CASE("A16 no message is read as one of another kind", "[signing input]") {
  test::Random random(14);
  for (const cs::Kind made : test::kinds) {
    for (int round = 0; round < 50; ++round) {
      const Bytes bytes = written(test::random_message(made, random));
      for (const cs::Kind read : test::kinds) {
        const auto parsed = test::parse_as(read, bytes);
        CHECK(parsed.ok() == (made == read));
        if (!parsed) CHECK(parsed.error() == ErrorCode::wrong_domain);
      }
    }
  }
}

TEST_CASE("A18 bytes after the last field, or a field too few, are refused", "[signing input]") {
  test::Random random(15);
  for (const cs::Kind kind : test::kinds) {
    const Message message = test::random_message(kind, random);
    auto parts = test::parts_of(message);
    Bytes longer = test::join(parts);
    for (const int extra : {0x00, 0x01, 0xff}) {
      longer.push_back(static_cast<std::uint8_t>(extra));
      CHECK(test::parse(longer).error() == ErrorCode::trailing_bytes);
    }
    parts.pop_back();
    CHECK(test::parse(test::join(parts)).error() == ErrorCode::truncated);
  }
}

TEST_CASE("C2 times and sequence numbers above 2^53-1 are refused on both sides",
          "[signing input]") {
  test::Random random(16);
  for (const cs::Kind kind : test::kinds) {
    const Message base = test::random_message(kind, random);
    for (std::size_t number = 0; number < base.numbers.size(); ++number) {
      for (const std::uint64_t value : {cs::max_time_ms + 1, ~std::uint64_t{0}}) {
        Message message = base;
        message.numbers[number] = value;
        std::uint8_t buffer[cs::max_signing_input_size];
        CHECK(test::write(message, buffer).error() == ErrorCode::invalid_time);
        CHECK(test::parse(test::join(test::parts_of(message))).error() == ErrorCode::bad_timestamp);
      }
    }
  }
}

TEST_CASE("a label that is not one is refused on both sides", "[signing input]") {
  test::Random random(17);
  for (const cs::Kind kind : test::kinds) {
    Message message = test::random_message(kind, random);
    for (const char* label : {"", "A", "1", "a_b", "é", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}) {
      message.label = label;
      std::uint8_t buffer[cs::max_signing_input_size];
      CHECK(test::write(message, buffer).error() == ErrorCode::invalid_label);
      CHECK(test::parse(test::join(test::parts_of(message))).error() == ErrorCode::wrong_domain);
    }
  }
}

TEST_CASE("a buffer too small by any number of bytes is said, never overrun", "[signing input]") {
  test::Random random(18);
  for (const cs::Kind kind : test::kinds) {
    const Message message = test::random_message(kind, random);
    const std::size_t whole = written(message).size();
    for (std::size_t size = 0; size < whole; ++size) {
      Bytes buffer(size);
      CHECK(test::write(message, buffer).error() == ErrorCode::buffer_too_small);
    }
  }
}
