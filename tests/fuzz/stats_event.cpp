// SPDX-License-Identifier: MIT
// An event that is given this device's id and signed here passes, in each mode, and never under
// another key. Nothing that was not signed here passes.
#include "countersign/json/stats_event.hpp"

#include <vector>

#include "countersign/json/canonical.hpp"
#include "support.hpp"

namespace cs = countersign;
using cs::json::Document;
using fuzz::check;

namespace {

constexpr std::string_view key_text = "000102030405060708090a0b0c0d0e0f";

std::string tag_of(cs::ByteView key, std::string_view message) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "\"";
  for (const std::uint8_t byte : cs::hmac_sha256(key, cs::bytes_of(message))) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text + '"';
}

/// HKDF-SHA256 with an empty salt and one block, written out once more.
cs::Hash strict_key() {
  const cs::Hash salt{};
  const cs::Hash extracted = cs::hmac_sha256(salt, cs::bytes_of(key_text));
  return cs::hmac_sha256(extracted, cs::bytes_of("stats-event-v2\x01"));
}

/// replaced puts another value in place of the one of a member; nothing where there is none.
std::optional<std::string> replaced(const std::string& text, std::string_view outer,
                                    std::string_view name, std::string_view value) {
  const auto event = Document::read(text);
  if (!event) return std::nullopt;
  std::size_t object = Document::root;
  if (!outer.empty()) object = event->find(object, outer);
  const std::size_t found = object == Document::none ? object : event->find(object, name);
  if (found == Document::none) return std::nullopt;
  const auto& node = event->nodes()[found];
  std::string changed = text;
  return changed.replace(node.begin, node.end - node.begin, value);
}

/// resigned gives the event this device's id and its signatures; nothing where it lacks a member.
std::optional<std::string> resigned(std::string_view text, const cs::StatsKey& key,
                                    cs::StatsMode mode) {
  auto event = replaced(std::string(text), "", "deviceId", '"' + key.device_id() + '"');
  if (!event) return std::nullopt;
  if (mode == cs::StatsMode::covered) {
    const std::string message = cs::strict_message(*Document::read(*event));
    event = replaced(*event, "data", "strict_signature", tag_of(strict_key(), message));
    if (!event) return std::nullopt;
  }
  const auto document = Document::read(*event);
  const std::string tag = mode == cs::StatsMode::strict
                              ? tag_of(strict_key(), cs::strict_message(*document))
                              : tag_of(cs::bytes_of(key_text), cs::compatible_message(*document));
  return replaced(*event, "", "signature", tag);
}

bool has_proto(const Document& event) {
  for (std::size_t node = 0; node < event.nodes().size(); ++node) {
    if (event.nodes()[node].is_name && event.text(node) == "__proto__") return true;
  }
  return false;
}

bool has_inner(const Document& event) {
  const std::size_t data = event.find(Document::root, "data");
  return data != Document::none && event.find(data, "strict_signature") != Document::none;
}

void check_signed(const std::string& text, const cs::StatsKey& key, cs::StatsMode mode) {
  static const auto other = cs::StatsKey::import(cs::bytes_of(std::string(64, 'a')));
  static const auto weak = cs::StatsKey::import(cs::bytes_of("short"));
  const auto event = Document::read(text);
  const auto verdict = cs::verify_stats_event(text, key, mode);
  check(!cs::verdict_name(verdict).empty());
  check(cs::verify_stats_event(text, *other, mode) != cs::StatsVerdict::ok);
  check(cs::verify_stats_event(text, *weak, mode) != cs::StatsVerdict::ok);
  if (has_proto(*event)) {
    check(verdict == cs::StatsVerdict::malformed);
  } else if (mode == cs::StatsMode::strict && has_inner(*event)) {
    check(verdict == cs::StatsVerdict::signature_mismatch);
  } else {
    check(verdict == cs::StatsVerdict::ok);
    // The canonical form says the same, so it passes too.
    const std::string canonical = cs::json::write_canonical(*event);
    check(cs::verify_stats_event(canonical, key, mode) == cs::StatsVerdict::ok);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto key = cs::StatsKey::import(cs::bytes_of(key_text));
  check(!cs::StatsKey::import(cs::bytes_of(" \n")).ok());
  const std::string_view text = cs::text_of({data, size});
  for (const auto mode :
       {cs::StatsMode::strict, cs::StatsMode::covered, cs::StatsMode::compatible}) {
    // The key is the fuzzers' own: no input carries its signature but by the repair below.
    const auto again = resigned(text, *key, mode);
    if (again) check_signed(*again, *key, mode);
    static const auto unknown = cs::StatsKey::import(cs::bytes_of(std::string(64, 'b')));
    check(cs::verify_stats_event(text, *unknown, mode) != cs::StatsVerdict::ok);
  }
  return 0;
}
