// SPDX-License-Identifier: MIT
#include "countersign/knock.hpp"

#include <catch2/catch.hpp>

#include "countersign/rsa.hpp"
#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
namespace knock = countersign::knock;
using nlohmann::json;
using test::Bytes;

namespace {

const json& vectors() {
  static const json all = test::vectors("knock.json");
  return all;
}

Bytes bytes_of(const json& from, const char* name) {
  return test::unhex(from.at(name).get<std::string>());
}

Bytes der_of(const std::string& pem) {
  Bytes der;
  unsigned bits = 0;
  unsigned count = 0;
  const std::string text = pem.substr(pem.find('\n'), pem.rfind("-----END") - pem.find('\n'));
  const std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (const char c : text) {
    const std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos) continue;
    bits = bits << 6 | static_cast<unsigned>(digit);
    count += 6;
    if (count >= 8) der.push_back(static_cast<std::uint8_t>(bits >> (count -= 8)));
  }
  return der;
}

knock::Version version_of(const json& vector) {
  const auto number = vector.contains("version") ? vector.at("version").get<int>()
                                                 : vector.at("wire_version").get<int>() >> 16;
  return static_cast<knock::Version>(number);
}

knock::Fields fields_of(const json& vector, cs::ByteView payload) {
  return {.version = version_of(vector),
          .timestamp_s = vector.at("timestamp"),
          .user_id = vector.at("user_id"),
          .action_id = vector.at("action_id"),
          .challenge = vector.at("challenge"),
          .payload = payload};
}

Bytes packet_of(const json& vector) {
  return bytes_of(vector, vector.contains("packet_hex") ? "packet_hex" : "body_hex");
}

std::vector<json> accepted() {
  std::vector<json> all;
  for (const char* family : {"v1", "v2_v4"}) {
    for (const json& vector : vectors().at(family).at("vectors")) {
      if (vector.at("expect") == "accept") all.push_back(vector);
    }
  }
  return all;
}

cs::HashView tag_of(const Bytes& bytes) {
  return cs::ByteView(bytes).first<32>();
}

const Bytes& key() {
  static const Bytes bytes = bytes_of(vectors().at("v1"), "hmac_key_hex");
  return bytes;
}

constexpr std::uint32_t clock_s = 1'700'000'000;

}  // namespace

TEST_CASE("L4 digests, tags and packets are those of the vectors, versions 1 to 4", "[knock]") {
  const std::vector<json> all = accepted();
  REQUIRE(all.size() == 18);
  for (const json& vector : all) {
    CAPTURE(vector.at("name").get<std::string>());
    const Bytes payload = bytes_of(vector, "payload_hex");
    const knock::Fields fields = fields_of(vector, payload);
    const auto digest = knock::digest(fields);
    REQUIRE(digest);
    CHECK(test::hex(*digest) == vector.at("sha256_hex"));
    const cs::Hash tag = cs::hmac_sha256(key(), *digest);
    CHECK(test::hex(tag) == vector.at("hmac_hex"));
    Bytes buffer(knock::max_body_size);
    const auto packet = knock::write_packet(fields, tag, buffer);
    REQUIRE(packet);
    CHECK(test::hex(*packet) == test::hex(packet_of(vector)));
    CHECK(knock::version_of(*packet) == fields.version);
    const auto read = knock::read_packet(fields.version, *packet);
    REQUIRE(read);
    CHECK(read->fields.challenge == fields.challenge);
    CHECK(test::hex(read->fields.payload) == test::hex(payload));
    const knock::Rules rules{.now_s = fields.timestamp_s};
    CHECK(knock::verify(fields.version, *packet, key(), rules));
  }
}

TEST_CASE("L4 RSA blocks and datagrams are those of the vectors, given their padding", "[knock]") {
  const Bytes der = der_of(vectors().at("v1").at("server_public_key_pem"));
  const auto rsa = cs::read_rsa_public_key(der);
  REQUIRE(rsa);
  CHECK(rsa->size() == 256);
  for (const json& vector : accepted()) {
    CAPTURE(vector.at("name").get<std::string>());
    const Bytes padding = bytes_of(vector, "rsa_padding_string_hex");
    const bool hybrid = knock::is_hybrid(version_of(vector));
    const Bytes message = hybrid ? bytes_of(vector, "content_key_hex") : packet_of(vector);
    Bytes buffer(256);
    const auto block = cs::rsa_encrypt(*rsa, message, padding, buffer);
    REQUIRE(block);
    if (!hybrid) {
      const char* name = vector.contains("ciphertext_hex") ? "ciphertext_hex" : "datagram_hex";
      CHECK(test::hex(*block) == vector.at(name));
      continue;
    }
    CHECK(test::hex(*block) == vector.at("wrapped_key_hex"));
    const Bytes datagram = bytes_of(vector, "datagram_hex");
    const auto taken = knock::read_datagram(datagram);
    REQUIRE(taken);
    CHECK(taken->header.version == version_of(vector));
    CHECK(test::hex(taken->wrapped_key) == vector.at("wrapped_key_hex"));
    CHECK(test::hex(taken->additional_data) == vector.at("aad_header_hex"));
    CHECK(taken->sealed.size() == packet_of(vector).size() + knock::seal_size);
    Bytes header(knock::header_size);
    CHECK(test::hex(*knock::write_header(taken->header, header)) == vector.at("aad_header_hex"));
  }
}

TEST_CASE("L4 what a vector says is refused is refused, for its reason", "[knock]") {
  int seen = 0;
  for (const json& vector : vectors().at("v1").at("vectors")) {
    if (vector.at("expect") == "accept") continue;
    const std::string reason = vector.at("reason");
    const std::string name = vector.at("name");
    CAPTURE(name);
    ++seen;
    const Bytes packet = packet_of(vector);
    const auto verdict = knock::verify(knock::Version::v1, packet, key(), {.now_s = clock_s});
    // Whether an action exists is for whoever runs it.
    if (reason == "action") {
      REQUIRE(verdict);
      CHECK(verdict->action_id == 77);
      continue;
    }
    REQUIRE_FALSE(verdict);
    if (reason == "hmac") CHECK(verdict.error() == cs::ErrorCode::bad_signature);
    if (reason == "timestamp") CHECK(verdict.error() == cs::ErrorCode::stale);
    if (reason == "payload_len") CHECK(verdict.error() == cs::ErrorCode::bad_length);
  }
  CHECK(seen == 5);
}

TEST_CASE("G6 the window is inclusive at both ends, over the whole of 32 bits", "[knock]") {
  const auto is_timely = [](std::uint32_t timestamp_s, std::uint32_t now_s) {
    return knock::check_time(timestamp_s, {.now_s = now_s}).ok();
  };
  CHECK(is_timely(clock_s - 300, clock_s));
  CHECK(is_timely(clock_s + 300, clock_s));
  CHECK_FALSE(is_timely(clock_s - 301, clock_s));
  CHECK_FALSE(is_timely(clock_s + 301, clock_s));
  CHECK_FALSE(is_timely(0xffffffff, 0));
  CHECK_FALSE(is_timely(0, 0xffffffff));
  CHECK(is_timely(0xffffffff, 0xffffffff - 300));
}

TEST_CASE("G4 payloads up to the limit fit, one byte more is refused", "[knock]") {
  for (const auto version :
       {knock::Version::v1, knock::Version::v2, knock::Version::v3, knock::Version::v4}) {
    const std::size_t limit = version == knock::Version::v2 ? 191 : 199;
    const Bytes payload(limit + 1, 7);
    knock::Fields fields{.version = version,
                         .timestamp_s = 1,
                         .user_id = 2,
                         .action_id = 3,
                         .challenge = 4,
                         .payload = cs::ByteView(payload).first(limit)};
    Bytes buffer(knock::max_body_size);
    CHECK(knock::digest(fields));
    CHECK(knock::write_packet(fields, tag_of(key()), buffer));
    fields.payload = payload;
    CHECK(knock::digest(fields).error() == cs::ErrorCode::payload_too_large);
    CHECK(knock::write_packet(fields, tag_of(key()), buffer).error() ==
          cs::ErrorCode::payload_too_large);
    fields.payload = {};
    CHECK(knock::write_packet(fields, tag_of(key()), cs::Buffer(buffer).first(46)).error() ==
          cs::ErrorCode::buffer_too_small);
  }
}

TEST_CASE("G3 every change of a packet is refused, but for the fill behind the payload",
          "[knock]") {
  for (const json& vector : accepted()) {
    const knock::Version version = version_of(vector);
    const Bytes packet = packet_of(vector);
    const knock::Rules rules{.now_s = vector.at("timestamp")};
    const std::size_t size = bytes_of(vector, "payload_hex").size();
    const std::size_t fill_at = (version == knock::Version::v1 ? 46 : 54) + size;
    for (std::size_t at = 0; at < packet.size(); ++at) {
      Bytes changed = packet;
      changed[at] ^= static_cast<std::uint8_t>(1 << at % 8);
      const bool fill = !knock::is_hybrid(version) && at >= fill_at;
      CAPTURE(vector.at("name").get<std::string>(), at);
      CHECK(knock::verify(version, changed, key(), rules).ok() == fill);
    }
    // Every prefix, and one byte more.
    for (std::size_t end = 0; end < packet.size(); ++end) {
      CHECK_FALSE(knock::verify(version, cs::ByteView(packet).first(end), key(), rules));
    }
    Bytes longer = packet;
    longer.push_back(0);
    CHECK_FALSE(knock::verify(version, longer, key(), rules));
  }
}

TEST_CASE("L4 a datagram that is not whole is refused", "[knock]") {
  for (const json& vector : accepted()) {
    if (!knock::is_hybrid(version_of(vector))) continue;
    const Bytes datagram = bytes_of(vector, "datagram_hex");
    for (std::size_t end = 0; end < datagram.size(); ++end) {
      CHECK_FALSE(knock::read_datagram(cs::ByteView(datagram).first(end)));
    }
    Bytes longer = datagram;
    longer.push_back(0);
    CHECK(knock::read_datagram(longer).error() == cs::ErrorCode::trailing_bytes);
    for (std::size_t at = 0; at < 11; ++at) {
      Bytes changed = datagram;
      changed[at] ^= 0x10;
      CHECK_FALSE(knock::read_datagram(changed));
    }
  }
}

TEST_CASE("L4 replies of the vectors are read", "[knock]") {
  int seen = 0;
  for (const json& vector : vectors().at("v1").at("replies")) {
    const Bytes bytes = packet_of(vector);
    const auto packet = knock::read_packet(knock::Version::v1, bytes);
    REQUIRE(packet);
    const auto reply = knock::read_reply(packet->fields.payload);
    REQUIRE(reply);
    if (vector.at("expect") != "accept") continue;
    ++seen;
    CHECK(reply->status == vector.at("status"));
    CHECK(reply->request_action == vector.at("request_action"));
    CHECK(reply->flags == vector.at("flags"));
    CHECK(test::hex(reply->text) == vector.at("text_hex"));
  }
  CHECK(seen >= 3);
  for (std::size_t size = 0; size < 3; ++size) {
    CHECK(knock::read_reply(Bytes(size, 1)).error() == cs::ErrorCode::truncated);
  }
}
