// SPDX-License-Identifier: MIT
// Whatever is read is written canonically, and that is read again to the same text; no text
// verifies as an event of a device it does not know.
#include "countersign/json/action_proof.hpp"
#include "countersign/json/canonical.hpp"
#include "countersign/json/stats_event.hpp"

namespace cs = countersign;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto key = cs::StatsKey::import(cs::bytes_of(std::string(64, 'a')));
  const std::string_view text = cs::text_of({data, size});
  for (const auto mode :
       {cs::StatsMode::strict, cs::StatsMode::covered, cs::StatsMode::compatible}) {
    check(cs::verify_stats_event(text, *key, mode) != cs::StatsVerdict::ok);
  }
  for (const auto mode : {cs::ProofMode::slices, cs::ProofMode::excise}) {
    cs::ActionProof proof;
    const cs::ProofRules rules{
        .now_ms = 1, .max_age_ms = cs::max_time_ms, .skew_ms = cs::max_time_ms, .mode = mode};
    check(cs::verify_action_proof(text, cs::bytes_of(std::string_view("secret")), rules, proof) !=
          cs::ProofVerdict::ok);
  }
  const cs::json::Limits deep{.max_depth = 1 << 20};
  const auto canonical = cs::json::canonical_json(text, deep);
  if (!canonical) return 0;
  const auto again = cs::json::canonical_json(*canonical, deep);
  check(again.ok() && *again == *canonical);
  return 0;
}
