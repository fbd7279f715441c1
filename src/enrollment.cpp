// SPDX-License-Identifier: MIT
#include "countersign/enrollment.hpp"

#include "countersign/marker.hpp"

namespace countersign {

namespace {

void write_key(Writer& writer, Algorithm algorithm, ByteView public_key) {
  if (public_key.size() != public_key_size(algorithm)) writer.fail(ErrorCode::bad_public_key);
  writer.text(algorithm_name(algorithm));
  writer.field(public_key);
}

Algorithm read_algorithm(Reader& reader) {
  const std::string_view name = reader.text();
  for (const Algorithm algorithm : {Algorithm::ed25519, Algorithm::es256}) {
    if (name == algorithm_name(algorithm)) return algorithm;
  }
  reader.fail(ErrorCode::bad_algorithm);
  return {};
}

ByteView read_public_key(Reader& reader, Algorithm algorithm) {
  const ByteView public_key = reader.field();
  if (public_key.size() != public_key_size(algorithm)) reader.fail(ErrorCode::bad_field_size);
  return public_key;
}

}  // namespace

Result<ByteView> write_enroll(const EnrollFields& fields, Buffer buffer) {
  Writer writer(buffer);
  write_marker(writer, fields.label, Kind::enroll);
  writer.text(fields.challenge_id);
  write_key(writer, fields.algorithm, fields.public_key);
  writer.text(fields.email);
  return writer.finish();
}

Result<EnrollFields> parse_enroll(ByteView signing_input) {
  Reader reader(signing_input);
  EnrollFields fields{};
  fields.label = read_marker(reader, Kind::enroll);
  fields.challenge_id = reader.text();
  fields.algorithm = read_algorithm(reader);
  fields.public_key = read_public_key(reader, fields.algorithm);
  fields.email = reader.text();
  return reader.finish(fields);
}

Result<ByteView> write_rotate(const RotateFields& fields, Buffer buffer) {
  Writer writer(buffer);
  write_marker(writer, fields.label, Kind::rotate);
  writer.text(fields.device_session_id);
  writer.text(fields.request_id);
  write_key(writer, fields.algorithm, fields.public_key);
  return writer.finish();
}

Result<RotateFields> parse_rotate(ByteView signing_input) {
  Reader reader(signing_input);
  RotateFields fields{};
  fields.label = read_marker(reader, Kind::rotate);
  fields.device_session_id = reader.text();
  fields.request_id = reader.text();
  fields.algorithm = read_algorithm(reader);
  fields.public_key = read_public_key(reader, fields.algorithm);
  return reader.finish(fields);
}

}  // namespace countersign
