// SPDX-License-Identifier: MIT
// The gateway's judgement of an opened request: the stages `version` to `replay` in their one order
// (section 6), and what to do about an id that is not accepted (section 7).
//
// The host reads the session, the clock and its stores, and does what `next` says; the rules are
// here. A judgement is no acceptance: that is judge_reservation's, and then the payload hash's.
#pragma once

#include "countersign/replay.hpp"
#include "countersign/request.hpp"

namespace countersign {

/// ClientKey is a registered key; its record decides the algorithm (R21).
struct ClientKey {
  Algorithm algorithm;
  ByteView public_key;
};

/// PreviousKey is the key before the last rotation, and when it was replaced (R122).
struct PreviousKey {
  ClientKey key;
  std::uint64_t replaced_ms;
};

/// SessionStatus is the word of the session's record.
enum class SessionStatus : std::uint8_t { active, revoked };

/// Session is what a registry keeps of a session, as far as a request is judged by it (R88).
struct Session {
  SessionStatus status;
  ClientKey key;
  std::optional<PreviousKey> previous = std::nullopt;
};

/// Es256Verdicts is what the host's ECDSA P-256 with SHA-256 says of the request's signature, under
/// the session's key and the one before; absent until `next` asks for it. Neither counts for a key
/// of another algorithm.
struct Es256Verdicts {
  std::optional<bool> key = std::nullopt;
  std::optional<bool> previous = std::nullopt;
};

/// JudgeTime is the one reading of the clock that the stages share (R47), with its window.
struct JudgeTime {
  Window window;
  /// The request's time lies in a span that a clock went through in error (R148).
  bool is_burnt = false;
};

/// Refusal is what the gateway signs: the stage that refused, and a result code of section 8.
struct Refusal {
  Stage stage;
  std::string_view result_code;
  /// Absent where the code has none, or where the gateway chooses it.
  std::optional<std::uint64_t> retry_after_ms = std::nullopt;
};

/// Signer says whose signature a request carries. A previous key's may come too late to count.
enum class Signer : std::uint8_t { none, key, previous };

/// NextStep is what the host does next.
enum class NextStep : std::uint8_t {
  /// Refuse.
  refuse,
  /// Verify the ES256 signature with the session's key, or with the one before it, and judge again.
  verify_key,
  verify_previous,
  /// Reserve the id until expires_ms, and ask judge_reservation.
  reserve,
  /// As reserve; where the store is full, limit the session by this request first (R142).
  reserve_or_limit,
  /// Revoke the session, since no store can keep the id for long enough (R63); then refuse.
  end_session
};

/// Judgement is where a request stands after the stages `version` to `freshness`.
struct Judgement {
  NextStep next;
  Signer signer = Signer::none;
  WindowSide side = WindowSide::inside;
  /// What the request gets after `next`; absent while it may still be accepted.
  std::optional<Refusal> refusal = std::nullopt;
  /// How long the id is kept: request_expiry.
  std::uint64_t expires_ms = 0;
};

/// request_expiry is the time until which a store keeps an id (R60). It lies after the last moment
/// at which a gateway of this label, whose clock may be future/2 behind, could accept the request.
/// It is never in the past. All of its arguments are times (R7).
std::uint64_t request_expiry(std::uint64_t timestamp_ms, const Window& window);

/// judge_request judges a request of session, or of none: an unknown session costs the time of one
/// Ed25519 verification and gets the answer of a bad signature (R49). Fails with invalid_time for a
/// window that is not of times.
Result<Judgement> judge_request(const OpenedRequest& request, const std::optional<Session>& session,
                                const Es256Verdicts& es256, const JudgeTime& time);

/// Reservation is how the step of the store ended that a judgement asked for.
struct Reservation {
  ReplayVerdict verdict;
  /// With `limited`: the time after which the session may send again.
  std::uint64_t wait_ms = 0;
  /// The store's floor (R61).
  std::uint64_t floor_ms = 0;
  /// The reading of the clock when the step had ended.
  std::uint64_t done_ms;
};

/// judge_reservation ends the stage `replay`, or that of a request beside the window; nothing where
/// the request passed. The step counts only within a second of the reading (R59). `cs.unavailable`
/// without a retry time says that the store did not do its part (R64).
[[nodiscard]] std::optional<Refusal> judge_reservation(const Judgement& judgement,
                                                       const JudgeTime& time,
                                                       const Reservation& reservation);

/// judge_again is the last look at a session whose request passed everything before (stage `rate`);
/// nothing where it is still active.
[[nodiscard]] std::optional<Refusal> judge_again(std::optional<SessionStatus> status);

}  // namespace countersign
