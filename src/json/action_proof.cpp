// SPDX-License-Identifier: MIT
#include "countersign/json/action_proof.hpp"

#include <algorithm>
#include <array>

#include "countersign/json/text.hpp"

namespace countersign {

using json::Document;
using JsonKind = json::Kind;

namespace {

/// In the order that is signed.
constexpr std::string_view members[] = {"action_type", "timestamp", "action_data",
                                        "expected_points", "nonce"};
constexpr std::string_view signature_name = "client_signature";
constexpr std::string_view outer_name = "action_proof";
constexpr std::string_view batch_name = "action_proofs";
constexpr std::size_t max_batch = 50;
constexpr std::size_t max_type_units = 128;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// digits reads a number of exactly these many digits; nothing where one is none.
std::optional<unsigned> digits(std::string_view text) {
  unsigned value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

bool is_leap(unsigned year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

unsigned days_of(unsigned year, unsigned month) {
  constexpr std::array<unsigned, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && is_leap(year) ? 1U : 0U);
}

/// days_since_1970 counts whole days up to a date that exists.
std::uint64_t days_since_1970(unsigned year, unsigned month, unsigned day) {
  const std::uint64_t before = year - 1;
  std::uint64_t days = before * 365 + before / 4 - before / 100 + before / 400;
  for (unsigned earlier = 1; earlier < month; ++earlier) days += days_of(year, earlier);
  constexpr std::uint64_t days_before_1970 = 719'162;
  return days + day - 1 - days_before_1970;
}

bool is_action_type(std::string_view text) {
  std::size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) return false;
    // Bytes that continue a character count nothing, those that begin one of four bytes twice.
    units += byte >= 0xf0 ? 2U : (byte & 0xc0) == 0x80 ? 0U : 1U;
  }
  return units >= 1 && units <= max_type_units;
}

bool is_nonce(std::string_view text) {
  const bool visible =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
  return visible && text.size() >= 8 && text.size() <= 128;
}

/// has_members says whether an object holds the five members, the signature where there has to be
/// one, and nothing else.
bool has_members(const Document& body, std::size_t proof, bool is_bare) {
  std::size_t count = 0;
  for (std::size_t name = proof + 1; name < body.next(proof); name = body.next(name + 1)) ++count;
  const auto is_there = [&](std::string_view name) {
    return body.find(proof, name) != Document::none;
  };
  return count == std::size(members) + (is_bare ? 0 : 1) && (is_bare || is_there(signature_name)) &&
         std::all_of(std::begin(members), std::end(members), is_there);
}

std::string slices_of(const Document& body, std::size_t proof) {
  std::string text;
  for (const std::string_view name : members) {
    text += text.empty() ? "{\"" : ",\"";
    text += name;
    text += "\":";
    text += body.raw(body.find(proof, name));
  }
  return text + '}';
}

constexpr std::string_view white_space = " \n\r\t";

/// excised is the proof without its signature and one comma.
std::string excised(std::string_view whole, const Document& body, std::size_t proof) {
  const std::size_t value = body.find(proof, signature_name);
  const auto& nodes = body.nodes();
  // A member's name is the node before its value.
  const std::uint32_t from = nodes[value - 1].begin;
  std::string before(whole.substr(nodes[proof].begin, from - nodes[proof].begin));
  std::string_view after = whole.substr(nodes[value].end, nodes[proof].end - nodes[value].end);
  const std::size_t comma = after.find_first_not_of(white_space);
  if (after[comma] == ',') return before.append(after.substr(comma + 1));
  before.erase(before.find_last_not_of(white_space));
  return before.append(after);
}

/// read_action fills in what the members say; false where one is not what it has to be.
bool read_action(const Document& body, std::size_t object, ActionProof& proof) {
  std::array<std::size_t, std::size(members)> values{};
  std::transform(std::begin(members), std::end(members), values.begin(),
                 [&](std::string_view name) { return body.find(object, name); });
  const auto [type, timestamp, data, points, nonce] = values;
  const auto is = [&](std::size_t value, JsonKind kind) { return body.kind(value) == kind; };
  if (!is(type, JsonKind::string) || !is(timestamp, JsonKind::string) ||
      !is(points, JsonKind::number) || !is(nonce, JsonKind::string)) {
    return false;
  }
  const std::optional<std::uint64_t> time_ms = time_of_timestamp(body.text(timestamp));
  proof = {.action_type = body.text(type),
           .timestamp = body.text(timestamp),
           .timestamp_ms = time_ms.value_or(0),
           .action_data = body.raw(data),
           .expected_points = body.number(points),
           .nonce = body.text(nonce)};
  return time_ms && is_action_type(proof.action_type) && is_nonce(proof.nonce);
}

bool is_fresh(std::uint64_t timestamp_ms, const ProofRules& rules) {
  if (timestamp_ms > rules.now_ms) return timestamp_ms - rules.now_ms <= rules.skew_ms;
  return rules.now_ms - timestamp_ms < rules.max_age_ms;
}

/// read_proof reads the proof that an object is.
ReadProof read_proof(std::string_view whole, const Document& body, std::size_t object,
                     const ProofRules& rules) {
  const bool is_bare = rules.mode == ProofMode::bare;
  ReadProof read;
  if (body.kind(object) != JsonKind::object || !has_members(body, object, is_bare)) return read;
  if (!is_bare) {
    const std::size_t signature = body.find(object, signature_name);
    // A text that is no tag is a wrong signature. Only a value that is no text is malformed.
    if (body.kind(signature) != JsonKind::string) return read;
    read.tag = json::read_tag(body.text(signature));
  }
  if (!read_action(body, object, read.proof)) return read;
  read.verdict = is_fresh(read.proof.timestamp_ms, rules) ? ProofVerdict::ok : ProofVerdict::stale;
  read.message =
      rules.mode == ProofMode::excise ? excised(whole, body, object) : slices_of(body, object);
  return read;
}

}  // namespace

std::string_view verdict_name(ProofVerdict verdict) {
  constexpr std::string_view names[] = {"ok", "malformed", "stale", "signature"};
  return names[static_cast<std::size_t>(verdict)];
}

std::optional<std::uint64_t> time_of_timestamp(std::string_view text) {
  constexpr std::string_view form = "0000-00-00T00:00:00";
  const bool has_fraction = text.size() == form.size() + 5;
  if (!has_fraction && text.size() != form.size() + 1) return std::nullopt;
  for (std::size_t at = 0; at < form.size(); ++at) {
    if (form[at] != '0' && form[at] != text[at]) return std::nullopt;
  }
  if (text.back() != 'Z' || (has_fraction && text[form.size()] != '.')) return std::nullopt;
  const auto year = digits(text.substr(0, 4));
  const auto month = digits(text.substr(5, 2));
  const auto day = digits(text.substr(8, 2));
  const auto hour = digits(text.substr(11, 2));
  const auto minute = digits(text.substr(14, 2));
  const auto second = digits(text.substr(17, 2));
  const auto ms = has_fraction ? digits(text.substr(20, 3)) : std::optional(0U);
  if (!year || !month || !day || !hour || !minute || !second || !ms) return std::nullopt;
  const bool exists = *year >= 1970 && *month >= 1 && *month <= 12 && *day >= 1 &&
                      *day <= days_of(*year, *month) && *hour < 24 && *minute < 60 && *second < 60;
  if (!exists) return std::nullopt;
  const std::uint64_t hours = days_since_1970(*year, *month, *day) * 24 + *hour;
  return ((hours * 60 + *minute) * 60 + *second) * 1000 + *ms;
}

Result<ProofBody> read_action_proofs(std::string_view body, const ProofRules& rules) {
  const Result<Document> document = Document::read(body);
  if (!document) return document.error();
  const std::size_t one = document->find(Document::root, outer_name);
  const std::size_t many = document->find(Document::root, batch_name);
  if ((one == Document::none) == (many == Document::none)) return ErrorCode::bad_json;
  ProofBody read{.is_batch = one == Document::none, .proofs = {}};
  if (!read.is_batch) {
    read.proofs.push_back(read_proof(body, *document, one, rules));
    return read;
  }
  if (document->kind(many) != JsonKind::array) return ErrorCode::bad_json;
  for (std::size_t at = many + 1; at < document->next(many); at = document->next(at)) {
    if (read.proofs.size() == max_batch) return ErrorCode::bad_json;
    read.proofs.push_back(read_proof(body, *document, at, rules));
  }
  if (read.proofs.empty()) return ErrorCode::bad_json;
  return read;
}

ProofVerdict verify_action_proof(std::string_view body, ByteView secret, const ProofRules& rules,
                                 ActionProof& proof) {
  Result<ProofBody> read = read_action_proofs(body, rules);
  if (!read || read->is_batch || rules.mode == ProofMode::bare) return ProofVerdict::malformed;
  ReadProof& one = read->proofs.front();
  if (one.verdict != ProofVerdict::ok) return one.verdict;
  if (!one.tag || !verify_hmac_sha256(secret, bytes_of(one.message), *one.tag)) {
    return ProofVerdict::signature;
  }
  proof = std::move(one.proof);
  return ProofVerdict::ok;
}

}  // namespace countersign
