// SPDX-License-Identifier: MIT
#include "countersign/json/stats_event.hpp"

#include <algorithm>

#include "countersign/json/canonical.hpp"
#include "countersign/json/text.hpp"

namespace countersign {

using json::Document;
using JsonKind = json::Kind;
using json::Member;

namespace {

constexpr std::string_view strict_label = "stats-event-v2";
constexpr std::string_view inner_name = "strict_signature";

std::string hex_of(ByteView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// wipe_text makes a text zeros, with the room behind its end, where a longer one may have been.
void wipe_text(std::string& text) {
  text.resize(text.capacity());
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  text.clear();
}

// HKDF-SHA256 (RFC 5869) with an empty salt, one block of output.
Hash derive(std::string_view secret) {
  const Hash salt{};
  Hash extracted = hmac_sha256(salt, bytes_of(secret));
  const Hash derived = hmac_sha256(extracted, bytes_of(std::string(strict_label) + '\x01'));
  wipe(extracted);
  return derived;
}

std::size_t inner_of(const Document& event) {
  const std::size_t data = event.find(Document::root, "data");
  return data == Document::none ? Document::none : event.find(data, inner_name);
}

bool has_proto(const Document& event) {
  const auto& nodes = event.nodes();
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    if (nodes[at].is_name && event.text(at) == "__proto__") return true;
  }
  return false;
}

bool is_of_device(const Document& event, std::string_view device_id) {
  const std::size_t device = event.find(Document::root, "deviceId");
  return device != Document::none && event.kind(device) == JsonKind::string &&
         event.text(device) == device_id;
}

// Adds the claim that a member of the event makes; false where the member is no tag.
bool add_claim(const Document& event, std::size_t signature, StatsMode key,
               std::vector<StatsClaim>& claims) {
  if (signature == Document::none || event.kind(signature) != JsonKind::string) return false;
  const auto tag = json::read_tag(event.text(signature));
  if (!tag) return false;
  const bool is_strict = key == StatsMode::strict;
  claims.push_back({key, is_strict ? strict_message(event) : compatible_message(event), *tag});
  return true;
}

bool read_claims(const Document& event, StatsMode mode, std::vector<StatsClaim>& claims) {
  const std::size_t outer = event.find(Document::root, "signature");
  const std::size_t inner = inner_of(event);
  if (mode == StatsMode::strict) {
    // The strict message leaves the inner signature out: with one, a part would have no owner.
    return inner == Document::none && add_claim(event, outer, StatsMode::strict, claims);
  }
  return add_claim(event, outer, StatsMode::compatible, claims) &&
         (mode == StatsMode::compatible || add_claim(event, inner, StatsMode::strict, claims));
}

}  // namespace

std::string_view verdict_name(StatsVerdict verdict) {
  constexpr std::string_view names[] = {"ok", "malformed", "device_mismatch", "weak_key",
                                        "signature_mismatch"};
  return names[static_cast<std::size_t>(verdict)];
}

StatsKey::StatsKey(std::string_view text)
    : text_(text),
      strict_(derive(text_)),
      device_id_(hex_of(hmac_sha256(bytes_of(text_), bytes_of("device-id"))).substr(0, 16)) {}

StatsKey& StatsKey::operator=(const StatsKey& other) {
  if (this == &other) return *this;
  wipe_text(text_);
  text_ = other.text_;
  strict_ = other.strict_;
  device_id_ = other.device_id_;
  return *this;
}

StatsKey::~StatsKey() {
  wipe_text(text_);
  wipe(strict_);
}

Result<StatsKey> StatsKey::import(ByteView file) {
  std::string text = json::decode_and_trim(file);
  if (text.empty()) return ErrorCode::invalid_argument;
  const StatsKey key(text);
  wipe_text(text);
  return key;
}

bool StatsKey::is_tag(StatsMode mode, std::string_view message, ByteView tag) const {
  const ByteView key = mode == StatsMode::compatible ? bytes_of(text_) : ByteView(strict_);
  return verify_hmac_sha256(key, bytes_of(message), tag);
}

std::string compatible_message(const Document& event) {
  // The names of the event are meant to sort its members, and do more: JSON.stringify keeps only
  // members of these names, at every depth.
  const std::vector<Member> own = event.members(Document::root);
  return json::write_canonical(event, Document::root, [&](std::size_t, const Member& member) {
    if (member.name == "signature") return false;
    const auto found = std::lower_bound(own.begin(), own.end(), member.name,
                                        [](const Member& left, const std::string& right) {
                                          return json::is_less_utf16(left.name, right);
                                        });
    return found != own.end() && found->name == member.name;
  });
}

std::string strict_message(const Document& event) {
  const std::size_t data = event.find(Document::root, "data");
  std::string message(1, static_cast<char>(strict_label.size()));
  message += strict_label;
  message +=
      json::write_canonical(event, Document::root, [&](std::size_t object, const Member& member) {
        if (object == Document::root) return member.name != "signature";
        return object != data || member.name != inner_name;
      });
  return message;
}

StatsVerdict read_stats_event(std::string_view event, const StatsDevice& device, StatsMode mode,
                              std::vector<StatsClaim>& claims) {
  const auto document = Document::read(event);
  if (!document || document->kind(Document::root) != JsonKind::object || has_proto(*document)) {
    return StatsVerdict::malformed;
  }
  if (mode != StatsMode::compatible) {
    if (!device.is_strong) return StatsVerdict::weak_key;
    if (!is_of_device(*document, device.id)) return StatsVerdict::device_mismatch;
  }
  return read_claims(*document, mode, claims) ? StatsVerdict::ok : StatsVerdict::signature_mismatch;
}

StatsVerdict verify_stats_event(std::string_view event, const StatsKey& key, StatsMode mode) {
  std::vector<StatsClaim> claims;
  const StatsDevice device{.id = key.device_id(), .is_strong = key.is_strong()};
  const StatsVerdict verdict = read_stats_event(event, device, mode, claims);
  if (verdict != StatsVerdict::ok) return verdict;
  const bool is_signed = std::all_of(claims.begin(), claims.end(), [&](const StatsClaim& claim) {
    return key.is_tag(claim.key, claim.message, claim.tag);
  });
  return is_signed ? StatsVerdict::ok : StatsVerdict::signature_mismatch;
}

}  // namespace countersign
