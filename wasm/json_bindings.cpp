// SPDX-License-Identifier: MIT
// countersign-json.wasm: what js/profiles/common/json-core.ts can call, in a file of its own so
// that only who verifies a profile downloads it. The border to JavaScript is that of bindings.cpp:
// numbers only, no logic. No key is here: a signature is handed out with its message, and who holds
// the key compares it.

#include "countersign/json/action_proof.hpp"
#include "countersign/json/stats_event.hpp"
#include "embind.hpp"
#include "io.hpp"

namespace countersign::wasm {

namespace {

// What the last call has read, until the next one.
ProofBody proofs;
std::vector<StatsClaim> claims;
std::string_view message;

int read_json(unsigned size) {
  const auto document = json::Document::read(Arguments().text(size));
  return document ? 0 : done(document.error());
}

// Gives the number of proofs, and in the table whether they are a batch.
int read_proofs(unsigned size, unsigned mode, double now_ms, double max_age_ms, double skew_ms) {
  auto read = read_action_proofs(Arguments().text(size), {.now_ms = time_of(now_ms),
                                                          .max_age_ms = time_of(max_age_ms),
                                                          .skew_ms = time_of(skew_ms),
                                                          .mode = static_cast<ProofMode>(mode)});
  if (!read) return done(read.error());
  proofs = std::move(*read);
  Table().number(proofs.is_batch ? 1 : 0);
  return static_cast<int>(proofs.proofs.size());
}

// Gives the size of the message, or 0 where the proof is malformed; leaves in the table verdict,
// time and whether there is a tag, and the tag in out.
int proof_at(unsigned index) {
  if (index >= proofs.proofs.size()) __builtin_trap();
  const ReadProof& read = proofs.proofs[index];
  Table()
      .number(static_cast<unsigned>(read.verdict))
      .number(read.proof.timestamp_ms)
      .number(read.tag ? done(*read.tag) : 0);
  message = read.message;
  return static_cast<int>(message.size());
}

// Gives the verdict, and in the table the number of claims.
int read_event(unsigned id, unsigned size, unsigned mode, unsigned is_strong) {
  Arguments in;
  const std::string_view device_id = in.text(id);
  claims.clear();
  const StatsVerdict verdict =
      read_stats_event(in.text(size), {.id = device_id, .is_strong = is_strong != 0},
                       static_cast<StatsMode>(mode), claims);
  Table().number(claims.size());
  return static_cast<int>(verdict);
}

// Gives the size of the message; leaves the mode of the key in the table, and the tag in out.
int claim_at(unsigned index) {
  if (index >= claims.size()) __builtin_trap();
  const StatsClaim& claim = claims[index];
  Table().number(static_cast<unsigned>(claim.key));
  done(claim.tag);
  message = claim.message;
  return static_cast<int>(message.size());
}

// Copies as much of the message into out as fits, and gives its size.
int message_part(unsigned from) {
  if (from > message.size()) __builtin_trap();
  return static_cast<int>(message.copy(reinterpret_cast<char*>(out), sizeof out, from));
}

}  // namespace

EMSCRIPTEN_BINDINGS(countersign_json) {
  using emscripten::function;
  declare_border();

  function("read_json", &read_json);
  function("read_proofs", &read_proofs);
  function("proof_at", &proof_at);
  function("read_event", &read_event);
  function("claim_at", &claim_at);
  function("message_part", &message_part);
}

}  // namespace countersign::wasm
