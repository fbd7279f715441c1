// SPDX-License-Identifier: MIT
#include "countersign/json/stats_event.hpp"

#include <algorithm>
#include <set>

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

// Exactly 64 lower-case digits, or nothing.
std::optional<Hash> read_tag(const Document& event, std::size_t node) {
  if (node == Document::none || event.kind(node) != JsonKind::string) return std::nullopt;
  const std::string text = event.text(node);
  Hash tag{};
  if (text.size() != 2 * tag.size()) return std::nullopt;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (c < 'a' || c > 'f')) return std::nullopt;
    const auto digit = static_cast<std::uint8_t>(is_digit ? c - '0' : c - 'a' + 10);
    tag[at / 2] = static_cast<std::uint8_t>(tag[at / 2] << 4 | digit);
  }
  return tag;
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

bool is_compatible(const Document& event, const StatsKey& key) {
  const auto tag = read_tag(event, event.find(Document::root, "signature"));
  return tag && key.is_tag(StatsMode::compatible, compatible_message(event), *tag);
}

bool is_strict(const Document& event, const StatsKey& key, std::size_t signature) {
  const auto tag = read_tag(event, signature);
  return tag && key.is_tag(StatsMode::strict, strict_message(event), *tag);
}

bool is_signed(const Document& event, const StatsKey& key, StatsMode mode) {
  const std::size_t inner = inner_of(event);
  switch (mode) {
    case StatsMode::compatible:
      break;
    case StatsMode::covered:
      return is_compatible(event, key) && is_strict(event, key, inner);
    case StatsMode::strict:
      // The strict message leaves the inner signature out: with one, a part would have no owner.
      return inner == Document::none &&
             is_strict(event, key, event.find(Document::root, "signature"));
  }
  return is_compatible(event, key);
}

bool is_of_device(const Document& event, const StatsKey& key) {
  const std::size_t device = event.find(Document::root, "deviceId");
  return device != Document::none && event.kind(device) == JsonKind::string &&
         event.text(device) == key.device_id();
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
  std::set<std::string> names;
  for (std::size_t at = 1; at < event.next(Document::root); at = event.next(event.next(at))) {
    names.insert(event.text(at));
  }
  names.erase("signature");
  return json::write_canonical(event, Document::root, [&](std::size_t, const Member& member) {
    return names.contains(member.name);
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

StatsVerdict verify_stats_event(std::string_view event, const StatsKey& key, StatsMode mode) {
  const auto document = Document::read(event);
  if (!document || document->kind(Document::root) != JsonKind::object || has_proto(*document)) {
    return StatsVerdict::malformed;
  }
  if (mode != StatsMode::compatible) {
    if (!key.is_strong()) return StatsVerdict::weak_key;
    if (!is_of_device(*document, key)) return StatsVerdict::device_mismatch;
  }
  return is_signed(*document, key, mode) ? StatsVerdict::ok : StatsVerdict::signature_mismatch;
}

}  // namespace countersign
