// SPDX-License-Identifier: MIT
// Whatever parse_frame takes apart is written back to the same bytes; so are the five signing
// inputs.
#include "countersign/enrollment.hpp"
#include "countersign/event.hpp"
#include "countersign/marker.hpp"
#include "countersign/response.hpp"

namespace cs = countersign;

namespace {

void check(bool holds) {
  if (!holds) __builtin_trap();
}

template <class Fields>
void rewrite(cs::ByteView input, cs::Result<Fields> (*parse)(cs::ByteView),
             cs::Result<cs::ByteView> (*write)(const Fields&, cs::Buffer)) {
  const auto fields = parse(input);
  if (!fields) {
    check(cs::error_info(fields.error()).stage == cs::Stage::parse);
    return;
  }
  std::uint8_t buffer[cs::max_signing_input_size];
  const auto written = write(*fields, buffer);
  check(written.ok() && cs::is_equal(*written, input));
}

void read_signing_input(cs::ByteView input) {
  rewrite(input, cs::parse_request, cs::write_request);
  rewrite(input, cs::parse_response, cs::write_response);
  rewrite(input, cs::parse_event, cs::write_event);
  rewrite(input, cs::parse_enroll, cs::write_enroll);
  rewrite(input, cs::parse_rotate, cs::write_rotate);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::uint8_t buffer[1 << 20];
  const cs::ByteView bytes(data, size);
  read_signing_input(bytes);
  const auto frame = cs::parse_frame(bytes);
  if (!frame || size > sizeof buffer) return 0;
  check(cs::envelope_size(*frame) <= cs::max_envelope_size);
  const auto written = cs::write_frame(*frame, buffer);
  check(written.ok() && cs::is_equal(*written, bytes));
  read_signing_input(frame->signing_input);
  return 0;
}
