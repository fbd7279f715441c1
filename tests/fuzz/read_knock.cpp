// SPDX-License-Identifier: MIT
// Knock packets and datagrams of any bytes: what is read is written back the same, the rest is
// refused. A packet that is tagged again verifies, and under another key or later it does not.
#include "countersign/knock.hpp"
#include "support.hpp"

namespace cs = countersign;
namespace knock = countersign::knock;
using fuzz::check;

namespace {

constexpr std::uint8_t key[32] = {0x10, 0x11, 0x12};

void check_tagged(const knock::Fields& fields, cs::ByteView packet) {
  const knock::Rules rules{.now_s = fields.timestamp_s};
  // Nobody guesses a tag: what verifies here was tagged here.
  std::uint8_t buffer[knock::max_body_size];
  const cs::Hash tag = cs::hmac_sha256(key, *knock::digest(fields));
  const auto written = knock::write_packet(fields, tag, buffer);
  check(written.ok() && written->size() == packet.size());
  const auto verified = knock::verify(fields.version, *written, key, rules);
  check(verified.ok() && verified->challenge == fields.challenge &&
        cs::is_equal(verified->payload, fields.payload));

  const std::uint8_t other[32] = {};
  check(!knock::verify(fields.version, *written, other, rules).ok());
  const std::uint32_t away_s =
      fields.timestamp_s < 1000 ? fields.timestamp_s + 301 : fields.timestamp_s - 301;
  const auto late = knock::verify(fields.version, *written, key, {.now_s = away_s});
  check(!late.ok() && late.error() == cs::ErrorCode::stale);
}

void check_packet(knock::Version version, cs::ByteView bytes) {
  const auto packet = knock::read_packet(version, bytes);
  if (!packet) {
    check(!knock::verify(version, bytes, key, {.now_s = 0}).ok());
    return;
  }
  check(knock::digest(packet->fields).ok());
  std::uint8_t buffer[knock::max_body_size];
  const auto written = knock::write_packet(packet->fields, packet->tag, buffer);
  check(written.ok() && written->size() == bytes.size());
  // The fill behind a payload may be anything; written, it is zero.
  if (knock::is_hybrid(version)) check(cs::is_equal(*written, bytes));
  check_tagged(packet->fields, bytes);
  const auto reply = knock::read_reply(packet->fields.payload);
  check(reply.ok() == (packet->fields.payload.size() >= 3));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cs::ByteView bytes(data, size);
  for (const auto version :
       {knock::Version::v1, knock::Version::v2, knock::Version::v3, knock::Version::v4}) {
    check_packet(version, bytes);
  }
  const knock::Version guess = knock::version_of(bytes);
  check(guess >= knock::Version::v1 && guess <= knock::Version::v4);
  if (size > knock::max_payload_size) {
    const knock::Fields large{guess, 0, 0, 0, 0, bytes};
    std::uint8_t buffer[knock::max_body_size];
    check(!knock::digest(large).ok() && !knock::write_packet(large, cs::Hash{}, buffer).ok());
  }
  if (const auto datagram = knock::read_datagram(bytes)) {
    std::uint8_t header[knock::header_size];
    const auto written = knock::write_header(datagram->header, header);
    check(written.ok() && cs::is_equal(*written, datagram->additional_data));
    knock::Header plain = datagram->header;
    plain.version = knock::Version::v2;
    check(!knock::write_header(plain, header).ok());
  }
  return 0;
}
