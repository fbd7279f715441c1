// SPDX-License-Identifier: MIT
// All five signing inputs as one shape, so that a rule is tested on each of them, and a second
// encoder for them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "countersign/enrollment.hpp"
#include "countersign/event.hpp"
#include "countersign/marker.hpp"
#include "countersign/response.hpp"
#include "support.hpp"

namespace test {

namespace cs = countersign;

inline constexpr cs::Kind kinds[] = {cs::Kind::request, cs::Kind::response, cs::Kind::event,
                                     cs::Kind::enroll, cs::Kind::rotate};

struct Message {
  cs::Kind kind;
  std::string label;
  /// The text fields of the kind, in their order.
  std::vector<std::string> texts;
  /// Time, or for events sequence and time.
  std::vector<std::uint64_t> numbers;
  /// The payload hash or the public key.
  Bytes fixed;

  bool operator==(const Message&) const = default;
};

inline bool has_version(cs::Kind kind) {
  return kind != cs::Kind::enroll && kind != cs::Kind::rotate;
}

inline Message random_message(cs::Kind kind, Random& random) {
  constexpr std::size_t texts[] = {4, 3, 4, 3, 3};
  Message message{kind, random.label(), {}, {}, random.bytes(32)};
  for (std::size_t count = texts[static_cast<int>(kind)]; count > 0; --count)
    message.texts.push_back(random.text());
  if (has_version(kind)) {
    message.numbers.push_back(random.time());
    if (kind == cs::Kind::event) message.numbers.push_back(random.time());
  } else {
    const bool es256 = random.below(2) == 0;
    message.fixed = random.bytes(es256 ? 65 : 32);
    message.texts[kind == cs::Kind::enroll ? 1 : 2] = es256 ? "es256" : "ed25519";
  }
  return message;
}

inline cs::Algorithm algorithm_of(const std::string& name) {
  return name == "es256" ? cs::Algorithm::es256 : cs::Algorithm::ed25519;
}

inline cs::Result<cs::ByteView> write(const Message& m, cs::Buffer out) {
  const auto& t = m.texts;
  switch (m.kind) {
    case cs::Kind::request:
      return cs::write_request(
          {m.label, t[0], t[1], t[2], m.numbers[0], t[3], cs::HashView(m.fixed)}, out);
    case cs::Kind::response:
      return cs::write_response({m.label, t[0], t[1], m.numbers[0], t[2], cs::HashView(m.fixed)},
                                out);
    case cs::Kind::event:
      return cs::write_event(
          {m.label, t[0], t[1], t[2], m.numbers[0], m.numbers[1], t[3], cs::HashView(m.fixed)},
          out);
    case cs::Kind::enroll:
      return cs::write_enroll({m.label, t[0], algorithm_of(t[1]), m.fixed, t[2]}, out);
    case cs::Kind::rotate:
      return cs::write_rotate({m.label, t[0], t[1], algorithm_of(t[2]), m.fixed}, out);
  }
  return cs::ErrorCode::internal;
}

inline cs::Result<Message> parse_as(cs::Kind kind, cs::ByteView input) {
  const auto text = [](std::string_view view) { return std::string(view); };
  const auto name = [](cs::Algorithm algorithm) {
    return std::string(cs::algorithm_name(algorithm));
  };
  switch (kind) {
    case cs::Kind::request: {
      const auto f = cs::parse_request(input);
      if (!f) return f.error();
      return Message{kind,
                     text(f->label),
                     {text(f->protocol_version), text(f->device_session_id), text(f->message_type),
                      text(f->request_id)},
                     {f->timestamp_ms},
                     copy(f->payload_hash)};
    }
    case cs::Kind::response: {
      const auto f = cs::parse_response(input);
      if (!f) return f.error();
      return Message{kind,
                     text(f->label),
                     {text(f->protocol_version), text(f->request_id), text(f->result_code)},
                     {f->timestamp_ms},
                     copy(f->payload_hash)};
    }
    case cs::Kind::event: {
      const auto f = cs::parse_event(input);
      if (!f) return f.error();
      return Message{kind,
                     text(f->label),
                     {text(f->protocol_version), text(f->device_session_id), text(f->event_type),
                      text(f->event_id)},
                     {f->sequence, f->timestamp_ms},
                     copy(f->payload_hash)};
    }
    case cs::Kind::enroll: {
      const auto f = cs::parse_enroll(input);
      if (!f) return f.error();
      return Message{kind,
                     text(f->label),
                     {text(f->challenge_id), name(f->algorithm), text(f->email)},
                     {},
                     copy(f->public_key)};
    }
    case cs::Kind::rotate: {
      const auto f = cs::parse_rotate(input);
      if (!f) return f.error();
      return Message{kind,
                     text(f->label),
                     {text(f->device_session_id), text(f->request_id), name(f->algorithm)},
                     {},
                     copy(f->public_key)};
    }
  }
  return cs::ErrorCode::internal;
}

inline cs::Result<Message> parse(cs::ByteView input) {
  const auto marker = cs::parse_marker(input);
  if (!marker) return marker.error();
  return parse_as(marker->kind, input);
}

/// The parts of a message in their order: fields with a length before them, numbers without.
struct Part {
  Bytes bytes;
  bool field;
};

inline std::vector<Part> parts_of(const Message& m) {
  const auto text = [](std::string_view value) { return Part{copy(cs::bytes_of(value)), true}; };
  const auto number = [](std::uint64_t value) {
    Bytes bytes;
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<std::uint8_t>(value >> shift));
    return Part{bytes, false};
  };
  const Part fixed{m.fixed, true};
  const Part marker = text(m.label + std::string(cs::marker_suffix(m.kind)));
  const auto& t = m.texts;
  switch (m.kind) {
    case cs::Kind::request:
      return {marker, text(t[0]), text(t[1]), text(t[2]), number(m.numbers[0]), text(t[3]), fixed};
    case cs::Kind::response:
      return {marker, text(t[0]), text(t[1]), number(m.numbers[0]), text(t[2]), fixed};
    case cs::Kind::event:
      return {marker,
              text(t[0]),
              text(t[1]),
              text(t[2]),
              number(m.numbers[0]),
              number(m.numbers[1]),
              text(t[3]),
              fixed};
    case cs::Kind::enroll:
      return {marker, text(t[0]), text(t[1]), fixed, text(t[2])};
    case cs::Kind::rotate:
      return {marker, text(t[0]), text(t[1]), text(t[2]), fixed};
  }
  return {};
}

inline Bytes length_of(std::size_t size) {
  Bytes bytes;
  for (; size > 0x7f; size >>= 7) bytes.push_back(static_cast<std::uint8_t>(size | 0x80));
  bytes.push_back(static_cast<std::uint8_t>(size));
  return bytes;
}

/// Joins parts; the length of the part at `forged` is replaced by `length`.
inline Bytes join(const std::vector<Part>& parts, std::size_t forged = ~std::size_t{0},
                  const Bytes& length = {}) {
  Bytes out;
  for (std::size_t at = 0; at < parts.size(); ++at) {
    const Bytes prefix = at == forged      ? length
                         : parts[at].field ? length_of(parts[at].bytes.size())
                                           : Bytes{};
    out.insert(out.end(), prefix.begin(), prefix.end());
    out.insert(out.end(), parts[at].bytes.begin(), parts[at].bytes.end());
  }
  return out;
}

}  // namespace test
