// SPDX-License-Identifier: MIT
// Knock packets, datagrams and RSA keys of any bytes: what is read is written back the same, the
// rest is refused.
#include <cstdlib>
#include <cstring>

#include "countersign/knock.hpp"
#include "countersign/rsa.hpp"

namespace knock = countersign::knock;

static void check(bool holds) {
  if (!holds) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const countersign::ByteView bytes(data, size);
  for (const auto version :
       {knock::Version::v1, knock::Version::v2, knock::Version::v3, knock::Version::v4}) {
    const auto packet = knock::read_packet(version, bytes);
    if (!packet) continue;
    check(knock::digest(packet->fields).ok());
    std::uint8_t buffer[knock::max_body_size];
    const auto written = knock::write_packet(packet->fields, packet->tag, buffer);
    check(written.ok() && written->size() == size);
    // The fill behind a payload may be anything; written, it is zero.
    if (knock::is_hybrid(version)) check(countersign::is_equal(*written, bytes));
    (void)knock::read_reply(packet->fields.payload);
  }
  (void)knock::version_of(bytes);
  if (const auto datagram = knock::read_datagram(bytes)) {
    std::uint8_t header[knock::header_size];
    const auto written = knock::write_header(datagram->header, header);
    check(written.ok() && countersign::is_equal(*written, datagram->additional_data));
  }
  if (const auto key = countersign::read_rsa_public_key(bytes)) {
    check(key->size() >= 256 && key->size() <= 512);
    std::uint8_t block[512];
    const std::uint8_t padding[512] = {1};
    (void)countersign::rsa_encrypt(*key, {}, countersign::ByteView(padding).first(8), block);
  }
  if (const auto key = countersign::read_rsa_private_key(bytes)) {
    std::uint8_t message[32];
    const std::uint8_t block[512] = {};
    (void)countersign::rsa_decrypt(*key, countersign::ByteView(block).first(key->size()), message);
  }
  return 0;
}
