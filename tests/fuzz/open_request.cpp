// SPDX-License-Identifier: MIT
// A request opens only with its own id; one that is begun from whatever fields can be read does
// open.
#include "countersign/request.hpp"

namespace cs = countersign;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

void open(cs::ByteView frame, bool compatible) {
  const auto opened = cs::open_request(frame, {.label = "fuzz", .compatible = compatible});
  if (!opened) {
    check(cs::error_info(opened.error()).stage == cs::Stage::parse);
    return;
  }
  check(opened->fields.label == "fuzz" && opened->frame.key_id.empty());
  if (!compatible) check(cs::check_request_id(opened->fields).ok());
  const std::uint8_t key[cs::ed25519_key_size] = {1};
  check(!cs::check_request(*opened, {cs::Algorithm::ed25519, key}, {opened->fields.timestamp_ms})
             .ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cs::ByteView bytes(data, size);
  open(bytes, false);
  open(bytes, true);

  auto fields = cs::parse_request(bytes);
  if (!fields) return 0;
  fields->label = "fuzz";
  std::uint8_t input[cs::max_signing_input_size];
  const auto begun = cs::begin_request(*fields, input);
  if (!begun) return 0;
  std::uint8_t frame[cs::max_envelope_size];
  const std::uint8_t signature[cs::signature_size] = {};
  const auto written = cs::write_frame({.signing_input = begun->signing_input,
                                        .key_id = {},
                                        .signature = cs::SignatureView(signature)},
                                       frame);
  check(written.ok() && cs::open_request(*written, {.label = "fuzz"}).ok());
  return 0;
}
