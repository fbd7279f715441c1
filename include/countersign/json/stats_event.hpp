// SPDX-License-Identifier: MIT
// StatsCode's signed events, verified over the bytes that arrived (docs/profiles/stats-event.md,
// which also says what the scheme does not protect).
#pragma once

#include "countersign/json/document.hpp"
#include "countersign/sha256.hpp"

namespace countersign {

/// StatsMode is how an event is signed. `compatible` leaves the members of `data` unprotected.
enum class StatsMode : std::uint8_t { strict, covered, compatible };

/// StatsVerdict is what an event is: signed by the device in that mode, or why not.
enum class StatsVerdict : std::uint8_t {
  ok,
  malformed,
  device_mismatch,
  weak_key,
  signature_mismatch
};

/// verdict_name is the word for a verdict, the same as in JavaScript.
std::string_view verdict_name(StatsVerdict verdict);

/// StatsKey is a device key: the text of a key file, which is the HMAC key as it stands, and the
/// key derived from it for the strict signature. Both are wiped at the end, and before another key
/// takes their place.
class StatsKey {
 public:
  /// import reads the bytes of a key file, trimmed as JavaScript trims; fails with invalid_argument
  /// where nothing is left.
  static Result<StatsKey> import(ByteView file);

  StatsKey(const StatsKey&) = default;
  StatsKey& operator=(const StatsKey& other);
  ~StatsKey();

  /// device_id is 16 lower-case hexadecimal digits; it is public.
  const std::string& device_id() const COUNTERSIGN_LIFETIMEBOUND { return device_id_; }
  /// Whether the key has the 32 bytes that the strict and the covered mode ask for.
  [[nodiscard]] bool is_strong() const { return text_.size() >= 32; }

  /// is_tag says, in constant time, whether tag is the message's under the key of the mode.
  [[nodiscard]] bool is_tag(StatsMode mode, std::string_view message, ByteView tag) const;

 private:
  explicit StatsKey(std::string_view text);

  std::string text_;
  Hash strict_{};
  std::string device_id_;
};

/// compatible_message is the text StatsCode signs; strict_message is the strict signature's, its
/// label in front. The root of the event is an object.
std::string compatible_message(const json::Document& event);
std::string strict_message(const json::Document& event);

/// StatsClaim is a tag that has to be the message's, under the device's key of this mode.
struct StatsClaim {
  StatsMode key;
  std::string message;
  Hash tag;
};

/// StatsDevice is what has to be known of a device before its key is used: whether that has the 32
/// bytes that the strict and the covered mode ask for, and its id.
struct StatsDevice {
  std::string_view id;
  bool is_strong;
};

/// read_stats_event checks all of an event but its signatures, and gives these as claims. Where the
/// verdict is ok, the event is signed if every claim holds.
StatsVerdict read_stats_event(std::string_view event, const StatsDevice& device, StatsMode mode,
                              std::vector<StatsClaim>& claims);

/// verify_stats_event checks the text of one event. A name that stands twice, `__proto__`, a number
/// beyond a double, a lone surrogate and more than 64 levels make it malformed.
[[nodiscard]] StatsVerdict verify_stats_event(std::string_view event, const StatsKey& key,
                                              StatsMode mode);

}  // namespace countersign
