// SPDX-License-Identifier: MIT
// The list of what JavaScript can call, and the only file that knows Emscripten. Numbers only, no
// logic; js/core/wasm.ts and the files beside it are the only callers.
//
// It is built twice: whole, and with COUNTERSIGN_CLIENT for pages, which download no server.

#include "embind.hpp"
#include "judgements.hpp"
#include "messages.hpp"
#include "objects.hpp"

namespace countersign::wasm {

EMSCRIPTEN_BINDINGS(countersign) {
  using emscripten::function;
  declare_border();

  function("sha256", &sha256_once);
  function("sha256_new", &sha256_new);
  function("sha256_update", &sha256_update);
  function("sha256_finish", &sha256_finish);
  function("sha256_free", &release<Sha256>);
  function("verify_ed25519", &verify);
  function("is_acceptable_ed25519_key", &is_acceptable_key);

  function("begin_request", &put_begun_request);
  function("write_response", &put_response);
  function("write_enroll", &put_enroll);
  function("write_rotate", &put_rotate);

  function("write_envelope", &put_envelope);
  function("key_ring_new", &key_ring_new);
  function("key_ring_add", &key_ring_add);
  function("key_ring_free", &key_ring_free);
  function("trust", &trust);
  function("open_envelope", &take_answer);
  function("open_event", &take_event);
  function("place_begin", &place_begin);
  function("place_take", &place_take);
  function("place_free", &release<EventPlace>);

  function("client_clock_new", &client_clock_new);
  function("client_clock_run", &client_clock_run);
  function("client_clock_free", &release<ClientClock>);

#ifndef COUNTERSIGN_CLIENT
  function("hmac_sha256", &hmac);
  function("verify_hmac_sha256", &verify_hmac);
  function("trusted_key_new", &trusted_key_new);
  function("trusted_key_verify", &trusted_key_verify);
  function("trusted_key_free", &release<TrustedKey>);

  function("write_request", &put_request);
  function("write_event", &put_event);
  function("event_id", &event_id_of);
  function("parse_frame", &take_frame);
  function("parse_signing_input", &parse_signing_input);
  function("open_request", &take_request);
  function("replay_key", &replay_key_of);

  function("judge_request", &judge);
  function("judge_reservation", &judge_store);
  function("judge_again", &judge_session);
  function("request_expiry", &expiry);

  function("clock_new", &clock_new);
  function("clock_add_round_trip", &clock_add_round_trip);
  function("clock_add_event", &clock_add_event);
  function("clock_start_stored", &clock_start_stored);
  function("clock_note_wall", &clock_note_wall);
  function("clock_estimate", &clock_estimate);
  function("clock_stamp", &clock_stamp);
  function("clock_reset", &clock_reset);
  function("clock_free", &release<ServerClock>);

  function("guard_new", &guard_new);
  function("guard_reserve", &guard_reserve);
  function("guard_limit", &guard_limit);
  function("guard_state", &guard_state);
  function("guard_free", &release<ReplayGuard>);
#endif
}

}  // namespace countersign::wasm
