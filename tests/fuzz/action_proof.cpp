// SPDX-License-Identifier: MIT
// A body that is signed here passes where its members are sound and fresh, and never under another
// secret or with another value. Nothing that was not signed here passes.
#include "countersign/json/action_proof.hpp"

#include "support.hpp"

namespace cs = countersign;
using cs::json::Document;
using fuzz::check;

namespace {

constexpr std::string_view names[] = {"action_type", "timestamp", "action_data", "expected_points",
                                      "nonce"};
constexpr std::string_view secret = "sess_7f3a9c0d2e4b6a88";
constexpr std::uint64_t now_ms = 1'752'748'200'000;  // of the vectors

std::string hex_of(cs::ByteView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string sign(std::string_view message) {
  return hex_of(cs::hmac_sha256(cs::bytes_of(secret), cs::bytes_of(message)));
}

/// slices_of is the five members in the order that is signed.
std::string slices_of(const Document& body, std::size_t proof) {
  std::string text;
  for (const std::string_view name : names) {
    text += (text.empty() ? "{\"" : ",\"") + std::string(name) + "\":";
    text += body.raw(body.find(proof, name));
  }
  return text + '}';
}

/// Signed is a body, and where its signature begins.
struct Signed {
  std::string body;
  std::size_t signature;
};

/// resigned writes the five members in an order and with spaces that the choice names, and the
/// signature before one of them or at the end; nothing where one is missing.
std::optional<Signed> resigned(const Document& body, cs::ProofMode mode, std::uint64_t choice) {
  const std::size_t proof = body.find(Document::root, "action_proof");
  const auto is_there = [&](std::string_view name) {
    return proof != Document::none && body.find(proof, name) != Document::none;
  };
  if (!std::all_of(std::begin(names), std::end(names), is_there)) return std::nullopt;
  const std::string space(choice % 3, ' ');
  const std::size_t wanted = choice / 3 % (std::size(names) + 1);
  std::string text;
  std::size_t place = 0;
  for (std::size_t at = 0; at < std::size(names); ++at) {
    const std::string_view name = names[(at + choice) % std::size(names)];
    text += (at == 0 ? "{" : ",") + space;
    if (at == wanted) place = text.size();
    text += '"' + std::string(name) + "\":" + space;
    text += body.raw(body.find(proof, name));
  }
  const bool is_last = wanted == std::size(names);
  if (is_last) place = text.size();
  text += space + '}';
  const bool in_slices = mode == cs::ProofMode::slices;
  const std::string signature = sign(in_slices ? slices_of(body, proof) : text);
  std::string member = "\"client_signature\":" + space + '"' + signature + '"';
  member = is_last ? "," + space + member : member + space + ",";
  text = "{\"action_proof\":" + text.insert(place, member) + "}";
  return Signed{text, text.find(signature)};
}

cs::ProofVerdict verify(std::string_view body, cs::ProofMode mode, std::string_view key,
                        cs::ActionProof& proof) {
  return cs::verify_action_proof(body, cs::bytes_of(key), {.now_ms = now_ms, .mode = mode}, proof);
}

void check_passed(const cs::ActionProof& proof) {
  const auto time_ms = cs::time_of_timestamp(proof.timestamp);
  check(time_ms && *time_ms == proof.timestamp_ms && proof.timestamp_ms <= now_ms + 5'000 &&
        proof.timestamp_ms + 30'000 > now_ms);
  check(!proof.action_type.empty() && proof.nonce.size() >= 8 && !proof.action_data.empty());
}

/// What is read of a body is one proof or a batch, and each message is an object of its own.
void check_read(std::string_view text, cs::ProofMode mode) {
  const auto read = cs::read_action_proofs(text, {.now_ms = now_ms, .mode = mode});
  if (!read) return;
  check(!read->proofs.empty() && read->proofs.size() <= (read->is_batch ? 50 : 1));
  for (const cs::ReadProof& proof : read->proofs) {
    if (proof.verdict == cs::ProofVerdict::malformed) continue;
    const auto message = Document::read(proof.message);
    check(message && message->find(Document::root, "nonce") != Document::none);
    check(message->find(Document::root, "client_signature") == Document::none);
    check(!proof.tag || mode != cs::ProofMode::bare);
  }
}

void check_signed(const Signed& made, cs::ProofMode mode) {
  cs::ActionProof proof;
  const cs::ProofVerdict verdict = verify(made.body, mode, secret, proof);
  check(verdict != cs::ProofVerdict::signature && !cs::verdict_name(verdict).empty());
  if (verdict != cs::ProofVerdict::ok) return;
  check_passed(proof);
  check(verify(made.body, mode, "another secret", proof) == cs::ProofVerdict::signature);
  std::string changed = made.body;
  changed[made.signature] = changed[made.signature] == '0' ? '1' : '0';
  check(verify(changed, mode, secret, proof) == cs::ProofVerdict::signature);
  // A member that nobody signs is no part of a proof.
  const std::string more = made.body.substr(0, made.body.size() - 2) + ",\"more\":1}}";
  check(verify(more, mode, secret, proof) == cs::ProofVerdict::malformed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Choices choices({data, size});
  const std::uint64_t choice = choices.number(1);
  const std::string_view text = cs::text_of(choices.rest());
  const auto body = Document::read(text);
  for (const auto mode : {cs::ProofMode::slices, cs::ProofMode::excise, cs::ProofMode::bare}) {
    check_read(text, mode);
  }
  for (const auto mode : {cs::ProofMode::slices, cs::ProofMode::excise}) {
    cs::ActionProof proof;
    check(verify(text, mode, "unknown", proof) != cs::ProofVerdict::ok);
    if (!body) continue;
    const auto again = resigned(*body, mode, choice);
    if (again) check_signed(*again, mode);
  }
  return 0;
}
