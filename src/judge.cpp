// SPDX-License-Identifier: MIT
#include "countersign/judge.hpp"

#include <algorithm>

#include "countersign/ed25519.hpp"

namespace countersign {

namespace {

constexpr Refusal unauthenticated{Stage::session, "cs.unauthenticated"};
constexpr Refusal session_revoked{Stage::session, "cs.session_revoked"};
constexpr Refusal stale{Stage::freshness, "cs.stale"};

/// The base point of Ed25519, whose private key no client has. It stands in for the key of an
/// unknown session (R49).
constexpr std::array<std::uint8_t, ed25519_key_size> dummy_key = [] {
  std::array<std::uint8_t, ed25519_key_size> point{};
  point.fill(0x66);
  point[0] = 0x58;
  return point;
}();

/// verify_dummy takes the time of a verification. Its verdict is written where the compiler has to
/// believe that somebody reads it.
void verify_dummy(const Frame& frame) {
  volatile bool verdict = verify_ed25519(dummy_key, frame.signing_input, frame.signature);
  static_cast<void>(verdict);
}

/// verdict_of is the verdict of one key on the request's signature; absent where the host has not
/// given it yet. The key's algorithm decides who verifies, and a key of a wrong size verifies
/// nothing (R21).
std::optional<bool> verdict_of(const ClientKey& key, const Frame& frame,
                               const std::optional<bool>& es256) {
  if (key.public_key.size() != public_key_size(key.algorithm)) return false;
  if (key.algorithm == Algorithm::es256) return es256;
  return verify_ed25519(key.public_key.first<ed25519_key_size>(), frame.signing_input,
                        frame.signature);
}

/// has_ended says whether a replaced key verifies nothing of this type any more (R122, R151).
bool has_ended(const PreviousKey& previous, bool is_freeze, std::uint64_t now_ms) {
  const std::uint64_t kept_ms = is_freeze ? previous_key_freeze_ms : previous_key_ms;
  return now_ms > kept_ms && previous.replaced_ms < now_ms - kept_ms;
}

/// Signed is whose signature a request carries, and whether it counts.
struct Signed {
  Signer signer;
  bool counts;
  /// What the host has to verify first; refuse where nothing is open.
  NextStep asks = NextStep::refuse;
};

Signed signed_by(const OpenedRequest& request, const Session& session, const Es256Verdicts& es256,
                 std::uint64_t now_ms) {
  const std::optional<bool> present = verdict_of(session.key, request.frame, es256.key);
  if (!present) return {Signer::none, false, NextStep::verify_key};
  if (*present) return {Signer::key, true};
  const bool is_freeze = request.fields.message_type == "cs.freeze";
  if (!session.previous || has_ended(*session.previous, is_freeze, now_ms)) {
    return {Signer::none, false};
  }
  const std::optional<bool> former =
      verdict_of(session.previous->key, request.frame, es256.previous);
  if (!former) return {Signer::none, false, NextStep::verify_previous};
  if (!*former) return {Signer::none, false};
  return {Signer::previous,
          is_freeze || request.fields.timestamp_ms <= session.previous->replaced_ms};
}

/// step_of is what becomes of the id of a correctly signed request.
///
/// An attacker could hold a request back until it is fresh, here or at a gateway whose clock is
/// behind. So the id of one that is not fresh is used up as well, where it could become so (R63).
/// A burnt time never becomes fresh: its client has not heard of the change yet, and loses nothing
/// (R148).
NextStep step_of(WindowSide side, std::uint64_t timestamp_ms, const JudgeTime& time) {
  const auto [now_ms, past_ms, future_ms] = time.window;
  switch (side) {
    case WindowSide::inside:
      return NextStep::reserve_or_limit;
    case WindowSide::past:
      return timestamp_ms + past_ms + future_ms < now_ms ? NextStep::refuse
                                                         : NextStep::reserve_or_limit;
    case WindowSide::future:
      break;
  }
  if (time.is_burnt) return NextStep::refuse;
  return timestamp_ms - now_ms > max_ahead_ms ? NextStep::end_session : NextStep::reserve;
}

}  // namespace

std::uint64_t request_expiry(std::uint64_t timestamp_ms, const Window& window) {
  const std::uint64_t behind_ms = window.future_ms / 2 + window.future_ms % 2;
  const std::uint64_t last_ms = timestamp_ms + window.past_ms + behind_ms;
  return std::min(std::max(last_ms, window.now_ms) + expiry_slack_ms, max_time_ms);
}

Result<Judgement> judge_request(const OpenedRequest& request, const std::optional<Session>& session,
                                const Es256Verdicts& es256, const JudgeTime& time) {
  const std::uint64_t timestamp_ms = request.fields.timestamp_ms;
  const Result<WindowSide> side = window_side(timestamp_ms, time.window);
  if (!side) return side.error();
  const auto refused = [](const Refusal& refusal, Signer signer = Signer::none) {
    return Judgement{.next = NextStep::refuse, .signer = signer, .refusal = refusal};
  };
  if (!check_version(request.fields)) {
    return refused({Stage::version, "cs.unsupported_version"});
  }
  if (!session) {
    verify_dummy(request.frame);
    return refused(unauthenticated);
  }
  const Signed from = signed_by(request, *session, es256, time.window.now_ms);
  if (from.asks != NextStep::refuse) return Judgement{.next = from.asks};
  if (session->status != SessionStatus::active) {
    return refused(from.counts ? session_revoked : unauthenticated, from.signer);
  }
  if (!from.counts) return refused({Stage::signature, unauthenticated.result_code}, from.signer);

  Judgement judgement{.next = step_of(*side, timestamp_ms, time),
                      .signer = from.signer,
                      .side = *side,
                      .expires_ms = request_expiry(timestamp_ms, time.window)};
  if (*side != WindowSide::inside) judgement.refusal = stale;
  return judgement;
}

std::optional<Refusal> judge_reservation(const Judgement& judgement, const JudgeTime& time,
                                         const Reservation& reservation) {
  // A caller that reserved before the signature was verified, or without being asked, gains
  // nothing.
  const bool is_asked =
      judgement.next == NextStep::reserve || judgement.next == NextStep::reserve_or_limit;
  if (!is_asked) return judgement.refusal.value_or(unauthenticated);

  const std::uint64_t now_ms = time.window.now_ms;
  const bool is_late =
      reservation.done_ms > now_ms && reservation.done_ms - now_ms > max_reserve_ms;
  const bool is_inside = judgement.side == WindowSide::inside;
  const Stage stage = is_inside ? Stage::replay : Stage::freshness;
  if (is_late || reservation.verdict == ReplayVerdict::full) {
    return Refusal{stage, "cs.unavailable"};
  }
  if (!is_inside) return stale;
  switch (reservation.verdict) {
    case ReplayVerdict::reserved:
      return std::nullopt;
    case ReplayVerdict::used:
      return Refusal{stage, "cs.replayed"};
    case ReplayVerdict::limited:
      return Refusal{stage, "cs.rate_limited", reservation.wait_ms};
    case ReplayVerdict::too_old:
    case ReplayVerdict::full:
      break;
  }
  // The fence of a restart passes; a request under an ordinary floor stays too old (R62).
  if (time.is_burnt || now_ms > reservation.floor_ms) return Refusal{stage, "cs.stale"};
  return Refusal{stage, "cs.unavailable", reservation.floor_ms - now_ms + 1};
}

std::optional<Refusal> judge_again(std::optional<SessionStatus> status) {
  if (!status) return unauthenticated;
  if (*status != SessionStatus::active) return session_revoked;
  return std::nullopt;
}

}  // namespace countersign
