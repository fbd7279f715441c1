// SPDX-License-Identifier: MIT
// What the compiler has to warn of, and what it must not: a line that says `dangles` keeps a view
// into what is gone at its end, one that says `ignored` throws a verdict away. Never linked.
#include <string>

#include "countersign/clock.hpp"
#include "countersign/event.hpp"
#include "countersign/json/action_proof.hpp"
#include "countersign/json/stats_event.hpp"
#include "countersign/knock.hpp"
#include "countersign/replay.hpp"
#include "countersign/rsa.hpp"

namespace cs = countersign;

std::string text();
std::size_t use(std::string_view view);
std::size_t use(cs::ByteView view);

std::size_t views(const std::string& kept, cs::Buffer buffer) {
  const cs::ByteView bytes = cs::bytes_of(text());                       // dangles
  const auto frame = cs::parse_frame(cs::bytes_of(text()));              // dangles
  const auto request = cs::parse_request(cs::bytes_of(text()));          // dangles
  const auto key = cs::read_rsa_public_key(cs::bytes_of(text()));        // dangles
  cs::Reader reader(cs::bytes_of(text()));                               // dangles
  const auto& nodes = cs::json::Document::read(kept)->nodes();           // dangles
  const auto& fields = *cs::parse_event(cs::bytes_of(kept));             // dangles
  const auto* const head = cs::parse_frame(bytes).operator->();          // dangles
  const std::string& device = cs::StatsKey::import(bytes)->device_id();  // dangles

  // Views into what is still there, and uses that end with the line.
  const auto good = cs::parse_frame(cs::bytes_of(kept));
  const auto written = cs::write_frame({bytes, {}, frame->signature}, buffer);
  const std::size_t size =
      use(cs::bytes_of(text())) + cs::parse_frame(cs::bytes_of(text()))->payload.size();
  return size + use(bytes) + good->payload.size() + written->size() + request->label.size() +
         nodes.size() + key->size() + reader.position() + use(fields.label) + head->payload.size() +
         use(device);
}

void verdicts(cs::ByteView bytes, cs::SignatureView signature, cs::Ed25519KeyView key,
              cs::HashView hash, const cs::TrustedKey& trusted, const cs::StatsKey& device,
              cs::ServerClock& clock, cs::ReplayGuard& guard, cs::Buffer buffer,
              cs::ActionProof& proof) {
  cs::verify_ed25519(key, bytes, signature);                  // ignored
  cs::is_acceptable_ed25519_key(key);                         // ignored
  trusted.verify(bytes, signature);                           // ignored
  cs::verify_hmac_sha256(bytes, bytes, bytes);                // ignored
  cs::is_equal(bytes, bytes);                                 // ignored
  cs::is_text("text");                                        // ignored
  cs::is_label("label");                                      // ignored
  cs::parse_frame(bytes);                                     // ignored
  cs::check_payload_hash(hash, hash);                         // ignored
  cs::rsa_decrypt({}, bytes, buffer);                         // ignored
  cs::knock::check_time(0, {});                               // ignored
  guard.reserve(hash, 0, 0, 0);                               // ignored
  guard.limit(hash, 0, 0, 0, bytes, true);                    // ignored
  device.is_tag(cs::StatsMode::strict, "", bytes);            // ignored
  cs::verify_stats_event("", device, cs::StatsMode::strict);  // ignored
  cs::verify_action_proof("", bytes, {}, proof);              // ignored
  // Whether a sample was taken is no verdict: the estimate says what is known.
  clock.add_round_trip({});
}
