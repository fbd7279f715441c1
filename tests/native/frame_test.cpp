// SPDX-License-Identifier: MIT
#include "countersign/frame.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"

namespace cs = countersign;
using cs::ErrorCode;
using test::Bytes;

namespace {

const std::array<std::uint8_t, 64> signature{};

cs::Result<cs::ByteView> write(const Bytes& input, const std::string& key_id, Bytes& buffer,
                               const Bytes& payload = {}) {
  return cs::write_frame(
      {.signing_input = input, .key_id = key_id, .signature = signature, .payload = payload},
      buffer);
}

}  // namespace

TEST_CASE("a frame gives back its parts, as views", "[frame]") {
  test::Random random(21);
  for (int round = 0; round < 2'000; ++round) {
    const Bytes input = random.bytes(random.index(600));
    const std::string key_id = random.below(2) == 0 ? "" : random.text();
    const Bytes payload = random.bytes(random.index(300));
    Bytes buffer(2'000);
    const auto written = write(input, key_id, buffer, payload);
    REQUIRE(written.ok());
    const auto frame = cs::parse_frame(*written);
    REQUIRE(frame.ok());
    CHECK(test::copy(frame->signing_input) == input);
    CHECK(frame->key_id == key_id);
    CHECK(test::copy(frame->payload) == payload);
    CHECK(cs::envelope_size(*frame) == written->size() - payload.size());
    if (!payload.empty())
      CHECK(frame->payload.data() == written->data() + cs::envelope_size(*frame));
  }
}

TEST_CASE("A6 an envelope is at most 1 KiB, a payload as large as it likes", "[frame]") {
  constexpr std::size_t rest = 3 + 2 + 1 + 65;
  Bytes buffer(200'000);
  const Bytes largest(cs::max_envelope_size - rest);
  const Bytes payload(100'000);
  const auto written = write(largest, "", buffer, payload);
  REQUIRE(written.ok());
  CHECK(cs::envelope_size(*cs::parse_frame(*written)) == cs::max_envelope_size);

  Bytes other(3'000);
  CHECK(write(Bytes(largest.size() + 1), "", other).error() == ErrorCode::envelope_too_large);
  const Bytes magic(std::begin(cs::frame_magic), std::end(cs::frame_magic));
  Bytes forged = magic;
  const Bytes input(largest.size() + 1);
  const Bytes length = test::unhex("ba07");  // 954, one more than there is room for
  REQUIRE(input.size() == 954);
  forged.insert(forged.end(), length.begin(), length.end());
  forged.insert(forged.end(), input.begin(), input.end());
  forged.insert(forged.end(), {0, 64});
  forged.resize(forged.size() + 64);
  CHECK(cs::parse_frame(forged).error() == ErrorCode::envelope_too_large);
}

TEST_CASE("A18 three bytes of magic, and no others", "[frame]") {
  Bytes buffer(200);
  const Bytes frame = test::copy(*write(Bytes(5), "", buffer));
  for (std::size_t at = 0; at < 3; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      Bytes other = frame;
      other[at] = static_cast<std::uint8_t>(byte);
      const auto parsed = cs::parse_frame(other);
      CHECK(parsed.ok() == (byte == frame[at]));
      if (!parsed) CHECK(parsed.error() == ErrorCode::bad_magic);
    }
  }
  CHECK(cs::parse_frame({}).error() == ErrorCode::truncated);
}

TEST_CASE("a key id is empty or text", "[frame]") {
  Bytes buffer(600);
  CHECK(write({}, std::string(128, 'k'), buffer).ok());
  CHECK(write({}, std::string(129, 'k'), buffer).error() == ErrorCode::invalid_text);
  CHECK(write({}, "a\n", buffer).error() == ErrorCode::invalid_text);
  Bytes frame = test::copy(*write({}, "ab", buffer));
  frame[5] = 0x07;
  CHECK(cs::parse_frame(frame).error() == ErrorCode::bad_text);
}

TEST_CASE("a signature is exactly 64 bytes", "[frame]") {
  for (int size = 0; size < 128; ++size) {
    Bytes frame = test::unhex("435301000000");
    frame[5] = static_cast<std::uint8_t>(size);
    frame.resize(frame.size() + static_cast<std::size_t>(size));
    const auto parsed = cs::parse_frame(frame);
    CHECK(parsed.ok() == (size == 64));
    if (!parsed) CHECK(parsed.error() == ErrorCode::bad_field_size);
  }
}
