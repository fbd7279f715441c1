// SPDX-License-Identifier: MIT
// Judgements of requests as calls of numbers; js/core/judge.ts is the other half, and has its enums
// in the order of the core's.
#pragma once

#include "countersign/judge.hpp"
#include "io.hpp"

namespace countersign::wasm {

/// key_of takes a key from io. Its kind is the algorithm, plus 2 where the host's verdict is no,
/// and 4 where it is yes.
inline ClientKey key_of(Arguments& in, unsigned size, unsigned kind) {
  return {.algorithm = static_cast<Algorithm>(kind & 1), .public_key = in.bytes(size)};
}
inline std::optional<bool> verdict_of(unsigned kind) {
  if (kind < 2) return std::nullopt;
  return kind >= 4;
}

/// put_refusal writes stage and code to out, and their sizes and the wait to table; a wait below 0
/// is none. Without a refusal the sizes are 0.
inline int put_refusal(Table& numbers, const std::optional<Refusal>& refusal) {
  const std::string_view stage = refusal ? stage_name(refusal->stage) : std::string_view{};
  const std::string_view code = refusal ? refusal->result_code : std::string_view{};
  __builtin_memcpy(out, stage.data(), stage.size());
  __builtin_memcpy(out + stage.size(), code.data(), code.size());
  numbers.number(stage.size()).number(code.size());
  if (refusal && refusal->retry_after_ms) {
    numbers.number(*refusal->retry_after_ms);
  } else {
    numbers.number(-1);
  }
  return 0;
}

inline JudgeTime judge_time(double now_ms, double past_ms, double future_ms, bool is_burnt) {
  return {.window = {time_of(now_ms), time_of(past_ms), time_of(future_ms)}, .is_burnt = is_burnt};
}

// The facts are bits: 1 the session is known, 2 it is active, 4 it has a previous key, 8 the time
// is burnt.
inline int judge(unsigned input_size, unsigned key_size, unsigned key_kind, unsigned previous_size,
                 unsigned previous_kind, double replaced_ms, unsigned facts, double now_ms,
                 double past_ms, double future_ms) {
  Arguments in;
  const auto signature = in.fixed<signature_size>();
  const ByteView input = in.bytes(input_size);
  // What is judged is what was signed (R11).
  const Result<RequestFields> fields = parse_request(input);
  if (!fields) return done(fields.error());
  const OpenedRequest request{
      .frame = {.signing_input = input, .key_id = {}, .signature = signature},
      .fields = *fields,
      .idempotency_key = {}};
  std::optional<Session> session;
  if (facts & 1) {
    session = Session{.status = facts & 2 ? SessionStatus::active : SessionStatus::revoked,
                      .key = key_of(in, key_size, key_kind)};
    if (facts & 4) {
      session->previous = PreviousKey{.key = key_of(in, previous_size, previous_kind),
                                      .replaced_ms = time_of(replaced_ms)};
    }
  }
  const Result<Judgement> judgement = judge_request(
      request, session, {.key = verdict_of(key_kind), .previous = verdict_of(previous_kind)},
      judge_time(now_ms, past_ms, future_ms, (facts & 8) != 0));
  if (!judgement) return done(judgement.error());
  Table numbers;
  numbers.number(judgement->next)
      .number(judgement->signer)
      .number(judgement->side)
      .number(judgement->expires_ms);
  return put_refusal(numbers, judgement->refusal);
}

inline int judge_store(unsigned next, unsigned side, unsigned verdict, double wait_ms,
                       double floor_ms, double done_ms, double now_ms, bool is_burnt) {
  const Judgement judgement{.next = static_cast<NextStep>(next),
                            .side = static_cast<WindowSide>(side)};
  Table numbers;
  return put_refusal(numbers, judge_reservation(judgement, judge_time(now_ms, 0, 0, is_burnt),
                                                {.verdict = static_cast<ReplayVerdict>(verdict),
                                                 .wait_ms = time_of(wait_ms),
                                                 .floor_ms = time_of(floor_ms),
                                                 .done_ms = time_of(done_ms)}));
}

// Whether the session is known, and active.
inline int judge_session(bool is_known, bool is_active) {
  std::optional<SessionStatus> status;
  if (is_known) status = is_active ? SessionStatus::active : SessionStatus::revoked;
  Table numbers;
  return put_refusal(numbers, judge_again(status));
}

inline int expiry(double timestamp_ms, double now_ms, double past_ms, double future_ms) {
  Table().number(
      request_expiry(time_of(timestamp_ms), judge_time(now_ms, past_ms, future_ms, false).window));
  return 0;
}

}  // namespace countersign::wasm
