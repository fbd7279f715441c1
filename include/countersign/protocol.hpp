// SPDX-License-Identifier: MIT
// The constants of exchange v1 and the words it is made of. Section numbers are PROTOCOL.md's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// COUNTERSIGN_LIFETIMEBOUND marks what a result is a view into: clang warns where that is gone
/// first.
#if defined(__clang__) && __has_cpp_attribute(clang::lifetimebound)
#define COUNTERSIGN_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define COUNTERSIGN_LIFETIMEBOUND
#endif

namespace countersign {

/// ByteView is a borrowed run of bytes; its holder keeps the bytes alive.
using ByteView = std::span<const std::uint8_t>;
/// Buffer is where a write_ function puts its bytes.
using Buffer = std::span<std::uint8_t>;

inline constexpr std::string_view library_version = "0.1.0";
inline constexpr std::string_view protocol_version = "v1";  // section 2

// Section 1: encoding.
inline constexpr std::size_t max_text_size = 128;
inline constexpr std::uint64_t max_time_ms = (std::uint64_t{1} << 53) - 1;

// Section 2: signing inputs.
inline constexpr std::size_t max_label_size = 32;
inline constexpr std::size_t hash_size = 32;
inline constexpr std::size_t signature_size = 64;
inline constexpr std::size_t digest_text_size = 22;  // R, T and event ids
inline constexpr std::size_t max_idempotency_key_size = 64;
inline constexpr std::size_t max_signing_input_size = 640;

// Section 3: keys.
inline constexpr std::size_t ed25519_key_size = 32;
inline constexpr std::size_t es256_key_size = 65;

// Section 4: frames.
inline constexpr std::uint8_t frame_magic[] = {0x43, 0x53, 0x01};
inline constexpr std::size_t max_envelope_size = 1024;

// Section 7: freshness and replay.
inline constexpr std::uint64_t default_past_ms = 60'000;
inline constexpr std::uint64_t default_future_ms = 10'000;
inline constexpr std::uint64_t max_reserve_ms = 1'000;     // R59
inline constexpr std::uint64_t expiry_slack_ms = 2'000;    // R60
inline constexpr std::uint64_t max_ahead_ms = 86'400'000;  // R63
inline constexpr std::size_t session_quota_divisor = 64;
inline constexpr std::size_t max_replay_capacity = std::size_t{1} << 24;

// Section 11: how long a replaced key still verifies (R122), and `cs.freeze` (R151).
inline constexpr std::uint64_t previous_key_ms = 60'000;
inline constexpr std::uint64_t previous_key_freeze_ms = 86'400'000;

// Section 9: the server's clock.
inline constexpr double max_drift = 200e-6;
inline constexpr double max_round_trip_ms = 5'000;
inline constexpr double max_wall_divergence_ms = 250;
inline constexpr double clock_resolution_ms = 2;
inline constexpr double day_ms = 86'400'000;
inline constexpr double floor_slack_ms = 300'000;  // R27, and R76 for claims
inline constexpr double floor_after_ms = 600'000;
inline constexpr double clock_correction_ms = 250;
inline constexpr double clock_ask_every_ms = 60'000;
// Both sides count whole milliseconds, and within a round trip of 5 s they drift apart by one more.
inline constexpr double clock_stated_ms = 3;
// A note is a write to the disk: rare, and where the device's clock was set.
inline constexpr double clock_note_every_ms = 600'000;
inline constexpr double clock_note_step_ms = 1'000;

using HashView = std::span<const std::uint8_t, hash_size>;
using SignatureView = std::span<const std::uint8_t, signature_size>;
using Ed25519KeyView = std::span<const std::uint8_t, ed25519_key_size>;

/// Kind names the five signing inputs (section 2).
enum class Kind : std::uint8_t { request, response, event, enroll, rotate };

/// marker_suffix is what follows the label in the first field of a signing input (section 2).
constexpr std::string_view marker_suffix(Kind kind) {
  constexpr std::string_view suffixes[] = {"-request-v1", "-response-v1", "-event-v1", "-enroll-v1",
                                           "-rotate-v1"};
  return suffixes[static_cast<std::size_t>(kind)];
}

/// Algorithm is a client key's; it belongs to the registered key, a message never names it (section
/// 3).
enum class Algorithm : std::uint8_t { ed25519, es256 };

constexpr std::string_view algorithm_name(Algorithm algorithm) {
  return algorithm == Algorithm::ed25519 ? "ed25519" : "es256";
}

constexpr std::size_t public_key_size(Algorithm algorithm) {
  return algorithm == Algorithm::ed25519 ? ed25519_key_size : es256_key_size;
}

/// is_label says whether text matches `[a-z][a-z0-9.-]{0,31}` (section 2).
[[nodiscard]] constexpr bool is_label(std::string_view text) {
  if (text.empty() || text.size() > max_label_size) return false;
  if (text.front() < 'a' || text.front() > 'z') return false;
  for (const char c : text) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '.' && c != '-') return false;
  }
  return true;
}

}  // namespace countersign
