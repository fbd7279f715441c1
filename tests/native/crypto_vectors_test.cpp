// SPDX-License-Identifier: MIT
// Wycheproof, speccheck, RFC 8032 and NIST: the verdicts on which this core's cryptography is
// judged.
#include <catch2/catch.hpp>

#include "countersign/ed25519.hpp"
#include "countersign/sha256.hpp"
#include "support.hpp"
#include "vectors.hpp"

namespace cs = countersign;
using nlohmann::json;
using test::Bytes;
using test::unhex;

namespace {

bool verifies(const Bytes& key, const Bytes& message, const Bytes& signature) {
  // A signature of another size never reaches the core: a frame's field is exactly 64 bytes.
  if (signature.size() != cs::signature_size) return false;
  const auto key32 = test::fixed<32>(key);
  const auto signature64 = test::fixed<64>(signature);
  const bool verdict = cs::verify_ed25519(key32, message, signature64);
  CHECK(cs::TrustedKey(key32).verify(message, signature64) == verdict);
  return verdict;
}

}  // namespace

TEST_CASE("B6 Wycheproof Ed25519", "[vectors]") {
  std::size_t seen = 0;
  const json all = test::vectors("wycheproof/ed25519_test.json");
  for (const json& group : all.at("testGroups")) {
    const Bytes key = unhex(group.at("publicKey").at("pk").get<std::string>());
    CHECK(cs::is_acceptable_ed25519_key(test::fixed<32>(key)));
    for (const json& row : group.at("tests")) {
      CAPTURE(row.at("tcId").get<int>(), row.at("comment").get<std::string>());
      CHECK(verifies(key, unhex(row.at("msg").get<std::string>()),
                     unhex(row.at("sig").get<std::string>())) == (row.at("result") == "valid"));
      ++seen;
    }
  }
  CHECK(seen == all.at("numberOfTests"));
}

TEST_CASE("B6 of speccheck's twelve, only number 3 verifies", "[vectors]") {
  const json all = test::vectors("ed25519-speccheck.json");
  CHECK(all.size() == 12);
  for (std::size_t number = 0; number < all.size(); ++number) {
    CAPTURE(number);
    const json& row = all.at(number);
    CHECK(verifies(unhex(row.at("pub_key").get<std::string>()),
                   unhex(row.at("message").get<std::string>()),
                   unhex(row.at("signature").get<std::string>())) == (number == 3));
  }
}

TEST_CASE("RFC 8032, section 7.1", "[vectors]") {
  const json all = test::vectors("rfc8032-section7.1-ed25519.json");
  const json& rows = all.at("vectors");
  CHECK(rows.size() == 5);
  for (const json& row : rows) {
    CHECK(verifies(unhex(row.at("public").get<std::string>()),
                   unhex(row.at("message").get<std::string>()),
                   unhex(row.at("signature").get<std::string>())));
  }
}

TEST_CASE("B12 Wycheproof HMAC-SHA256, full tags; a truncated tag never verifies", "[vectors]") {
  std::size_t seen = 0;
  std::size_t full = 0;
  const json all = test::vectors("wycheproof/hmac_sha256_test.json");
  for (const json& group : all.at("testGroups")) {
    for (const json& row : group.at("tests")) {
      CAPTURE(row.at("tcId").get<int>());
      const bool whole = group.at("tagSize") == 256;
      CHECK(cs::verify_hmac_sha256(
                unhex(row.at("key").get<std::string>()), unhex(row.at("msg").get<std::string>()),
                unhex(row.at("tag").get<std::string>())) == (whole && row.at("result") == "valid"));
      ++seen;
      full += whole ? 1 : 0;
    }
  }
  CHECK(seen == all.at("numberOfTests"));
  CHECK(full > 50);
}

TEST_CASE("NIST SHA-256, short and long messages", "[vectors]") {
  std::size_t seen = 0;
  for (const char* name : {"nist/SHA256ShortMsg.rsp", "nist/SHA256LongMsg.rsp"}) {
    std::istringstream lines(test::vector_text(name));
    std::size_t bits = 0;
    Bytes message;
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.starts_with("Len = ")) bits = std::stoul(line.substr(6));
      if (line.starts_with("Msg = ")) message = unhex(line.substr(6));
      if (!line.starts_with("MD = ")) continue;
      message.resize(bits / 8);  // the empty message is written 00
      CHECK(test::hex(cs::sha256(message)) == line.substr(5));
      ++seen;
    }
  }
  CHECK(seen == 65 + 64);
}
