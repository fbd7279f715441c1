// SPDX-License-Identifier: MIT
// ADR-005 action proofs, verified over the bytes that arrived (docs/profiles/action-proof.md, which
// also says what the scheme does not protect).
#pragma once

#include "countersign/json/document.hpp"
#include "countersign/sha256.hpp"

namespace countersign {

/// ProofMode is how the signed text is found in a proof: its members in the fixed order, or the
/// proof with the signature cut out. A proof that is `bare` has no signature: it came in a request
/// of the exchange, which is signed.
enum class ProofMode : std::uint8_t { slices, excise, bare };

/// ProofVerdict is what a proof is: fresh and signed, or the first reason why not.
enum class ProofVerdict : std::uint8_t { ok, malformed, stale, signature };

/// verdict_name is the word for a verdict, the same as in JavaScript.
std::string_view verdict_name(ProofVerdict verdict);

/// ActionProof is what the verified bytes say. `action_data` is the raw text of its value, a view
/// into the body.
struct ActionProof {
  std::string action_type;
  std::string timestamp;
  std::uint64_t timestamp_ms = 0;
  std::string_view action_data;
  double expected_points = 0;
  std::string nonce;
};

/// ProofRules is what a proof has to meet: `-skew <= age < max_age`, in milliseconds.
struct ProofRules {
  std::uint64_t now_ms;
  std::uint64_t max_age_ms = 30'000;
  std::uint64_t skew_ms = 5'000;
  ProofMode mode = ProofMode::slices;
};

/// time_of_timestamp reads `YYYY-MM-DDTHH:MM:SS[.fff]Z` of a day that exists, from 1970 on; nothing
/// for any other text.
[[nodiscard]] std::optional<std::uint64_t> time_of_timestamp(std::string_view text);

/// ReadProof is one proof of a body. Where its verdict is ok, only the signature is left to check:
/// the tag has to be the message's under the session's secret, and nothing is one where the text is
/// no tag. The message of a bare proof is the text of its members.
struct ReadProof {
  ProofVerdict verdict = ProofVerdict::malformed;
  ActionProof proof;
  std::string message;
  std::optional<Hash> tag;
};

/// ProofBody holds the proof of `{"action_proof":{…}}`, or the 1 to 50 of `{"action_proofs":[…]}`.
struct ProofBody {
  bool is_batch = false;
  std::vector<ReadProof> proofs;
};

/// read_action_proofs reads all proofs of a body and checks form and age of each; fails with
/// bad_json where the body holds neither one proof nor a batch, or both.
Result<ProofBody> read_action_proofs(std::string_view body, const ProofRules& rules);

/// verify_action_proof checks a body `{"action_proof":{…}}`: form, age, signature (in constant
/// time), in this order, and fills in proof where it is ok. The secret is the session's text as it
/// stands. That the nonce is new, that the action is possible and what it is worth is for the
/// server.
[[nodiscard]] ProofVerdict verify_action_proof(std::string_view body, ByteView secret,
                                               const ProofRules& rules, ActionProof& proof);

}  // namespace countersign
