// SPDX-License-Identifier: MIT
#include "countersign/frame.hpp"

namespace countersign {

namespace {

std::string_view read_key_id(Reader& reader) {
  const std::string_view key_id = text_of(reader.field());
  if (!key_id.empty() && !is_text(key_id)) reader.fail(ErrorCode::bad_text);
  return key_id;
}

}  // namespace

Result<ByteView> write_frame(const Frame& frame, Buffer buffer) {
  Writer writer(buffer);
  if (!frame.key_id.empty() && !is_text(frame.key_id)) writer.fail(ErrorCode::invalid_text);
  writer.bytes(frame_magic);
  writer.field(frame.signing_input);
  writer.field(bytes_of(frame.key_id));
  writer.field(frame.signature);
  if (writer.position() > max_envelope_size) writer.fail(ErrorCode::envelope_too_large);
  writer.bytes(frame.payload);
  return writer.finish();
}

Result<Frame> parse_frame(ByteView bytes) {
  Reader reader(bytes);
  if (!is_equal(reader.bytes(sizeof frame_magic), frame_magic)) reader.fail(ErrorCode::bad_magic);
  Frame frame{.signing_input = reader.field(),
              .key_id = read_key_id(reader),
              .signature = reader.fixed_field<signature_size>()};
  if (reader.position() > max_envelope_size) reader.fail(ErrorCode::envelope_too_large);
  frame.payload = reader.bytes(reader.rest().size());
  return reader.finish(frame);
}

std::size_t envelope_size(const Frame& frame) {
  // No field of an envelope has a length of more than two bytes.
  const auto field_size = [](std::size_t size) { return (size < 0x80 ? 1 : 2) + size; };
  return sizeof frame_magic + field_size(frame.signing_input.size()) +
         field_size(frame.key_id.size()) + field_size(frame.signature.size());
}

}  // namespace countersign
