// SPDX-License-Identifier: MIT
#include "countersign/knock.hpp"

#include <algorithm>

namespace countersign::knock {

namespace {

constexpr std::uint8_t magic[] = {'S', 'L', 'P', 'K'};
constexpr std::uint8_t form = 1;
// Session, message, stream, fragment 0 of 1, no flags, type 0: what a single knock always says.
constexpr std::uint8_t envelope_v4[30] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                          1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
constexpr std::uint8_t fill[max_payload_size] = {};

enum class Order : std::uint8_t { little, big };

constexpr std::uint32_t number_of(Version version) {
  const auto number = static_cast<std::uint32_t>(version);
  return version == Version::v1 ? number : number << 16;
}

std::size_t payload_limit(Version version) {
  return version == Version::v2 ? max_payload_size_v2 : max_payload_size;
}

/// Packer puts numbers of any size in either byte order.
class Packer : public Writer {
 public:
  Packer(Buffer buffer, Order order) : Writer(buffer), order_(order) {}

  template <class Number>
  Packer& put(Number number) {
    std::array<std::uint8_t, sizeof(Number)> encoded;
    for (std::uint8_t& byte : encoded) {
      byte = static_cast<std::uint8_t>(number);
      number = static_cast<Number>(static_cast<std::uint64_t>(number) >> 8);
    }
    if (order_ == Order::big) std::reverse(encoded.begin(), encoded.end());
    return put_bytes(encoded);
  }
  Packer& put_bytes(ByteView raw) {
    bytes(raw);
    return *this;
  }

 private:
  Order order_;
};

/// Unpacker takes them.
class Unpacker : public Reader {
 public:
  Unpacker(ByteView bytes, Order order) : Reader(bytes), order_(order) {}

  template <class Number>
  Number take() {
    std::uint64_t number = 0;
    unsigned shift = 0;
    for (const std::uint8_t byte : bytes(sizeof(Number))) {
      number = order_ == Order::big ? number << 8 | byte
                                    : number | static_cast<std::uint64_t>(byte) << shift;
      shift += 8;
    }
    return static_cast<Number>(number);
  }
  HashView take_tag() {
    static constexpr Hash nothing{};
    const ByteView tag = bytes(hash_size);
    return tag.empty() ? HashView(nothing) : tag.first<hash_size>();
  }
  void constant(ByteView wanted, ErrorCode otherwise) {
    if (!is_equal(bytes(wanted.size()), wanted)) fail(otherwise);
  }
  /// padded takes a payload and the fill behind it; a length over the limit is bad_length.
  ByteView padded(std::size_t size, std::size_t limit) {
    if (size > limit) fail(ErrorCode::bad_length);
    const ByteView all = bytes(limit);
    return ok() ? all.first(size) : ByteView();
  }

 private:
  Order order_;
};

void put_claims(Packer& to, const Fields& f) {
  to.put(f.timestamp_s).put(f.user_id).put(f.action_id).put(f.challenge);
}

template <class Size>
Size size_of(ByteView payload) {
  return static_cast<Size>(payload.size());
}

Fields take_claims(Unpacker& from, Version version) {
  return {.version = version,
          .timestamp_s = from.take<std::uint32_t>(),
          .user_id = from.take<std::uint16_t>(),
          .action_id = from.take<std::uint8_t>(),
          .challenge = from.take<std::uint32_t>(),
          .payload = {}};
}

/// take_preamble takes magic, version and form, which versions 2 and above begin with.
void take_preamble(Unpacker& from, Version version) {
  from.constant(magic, ErrorCode::bad_magic);
  if (from.take<std::uint32_t>() != number_of(version)) from.fail(ErrorCode::bad_version);
  if (from.take<std::uint8_t>() != form) from.fail(ErrorCode::bad_version);
}

Packet read_v1(Unpacker& from) {
  if (from.take<std::uint8_t>() != 1) from.fail(ErrorCode::bad_version);
  Fields fields = take_claims(from, Version::v1);
  const HashView tag = from.take_tag();
  const std::size_t size = from.take<std::uint16_t>();
  fields.payload = from.padded(size, max_payload_size);
  return {.fields = fields, .tag = tag};
}

Packet read_v2(Unpacker& from) {
  take_preamble(from, Version::v2);
  Fields fields = take_claims(from, Version::v2);
  const HashView tag = from.take_tag();
  const std::size_t size = from.take<std::uint16_t>();
  fields.payload = from.padded(size, max_payload_size_v2);
  return {.fields = fields, .tag = tag};
}

Packet read_body(Unpacker& from, Version version) {
  if (version == Version::v4) from.constant(envelope_v4, ErrorCode::bad_magic);
  Fields fields = take_claims(from, version);
  const std::size_t size = from.take<std::uint32_t>();
  if (size > max_payload_size) from.fail(ErrorCode::bad_length);
  fields.payload = from.bytes(size);
  return {.fields = fields, .tag = from.take_tag()};
}

}  // namespace

Result<Hash> digest(const Fields& f) {
  if (f.payload.size() > payload_limit(f.version)) return ErrorCode::payload_too_large;
  std::array<std::uint8_t, 24 + max_payload_size> memory;
  Packer packer(memory, Order::little);
  if (f.version == Version::v1) {
    packer.put(std::uint8_t{1});
  } else {
    packer.put(number_of(f.version));
    if (is_hybrid(f.version)) packer.put(form);
  }
  put_claims(packer, f);
  if (is_hybrid(f.version)) {
    packer.put(size_of<std::uint64_t>(f.payload));
  } else {
    packer.put(size_of<std::uint16_t>(f.payload));
  }
  packer.put_bytes(f.payload);
  const Result<ByteView> input = packer.finish();
  if (!input) return input.error();
  return sha256(*input);
}

Result<ByteView> write_packet(const Fields& f, HashView tag, Buffer buffer) {
  const std::size_t limit = payload_limit(f.version);
  if (f.payload.size() > limit) return ErrorCode::payload_too_large;
  const ByteView rest = ByteView(fill).first(limit - f.payload.size());
  Packer packer(buffer, f.version == Version::v1 ? Order::little : Order::big);
  if (f.version == Version::v1) packer.put(std::uint8_t{1});
  if (f.version == Version::v2) packer.put_bytes(magic).put(number_of(f.version)).put(form);
  if (f.version == Version::v4) packer.put_bytes(envelope_v4);
  put_claims(packer, f);
  if (is_hybrid(f.version)) {
    packer.put(size_of<std::uint32_t>(f.payload)).put_bytes(f.payload).put_bytes(tag);
  } else {
    packer.put_bytes(tag)
        .put(size_of<std::uint16_t>(f.payload))
        .put_bytes(f.payload)
        .put_bytes(rest);
  }
  return packer.finish();
}

Result<Packet> read_packet(Version version, ByteView packet) {
  Unpacker from(packet, version == Version::v1 ? Order::little : Order::big);
  switch (version) {
    case Version::v1:
      return from.finish(read_v1(from));
    case Version::v2:
      return from.finish(read_v2(from));
    case Version::v3:
    case Version::v4:
      return from.finish(read_body(from, version));
  }
  return ErrorCode::bad_version;
}

Version version_of(ByteView packet) {
  const auto begins_with = [&](ByteView front) {
    return packet.size() >= front.size() && is_equal(packet.first(front.size()), front);
  };
  if (begins_with(magic)) return Version::v2;
  if (begins_with(envelope_v4)) return Version::v4;
  // A body that begins so is from the year 1970.
  constexpr std::uint8_t one[] = {1};
  return begins_with(one) ? Version::v1 : Version::v3;
}

Result<ByteView> write_header(const Header& header, Buffer buffer) {
  if (!is_hybrid(header.version)) return ErrorCode::invalid_argument;
  Packer packer(buffer, Order::big);
  packer.put_bytes(magic).put(number_of(header.version)).put(form);
  packer.put(static_cast<std::uint16_t>(wrapped_key_size)).put_bytes(header.nonce);
  packer.put(static_cast<std::uint32_t>(header.ciphertext_size));
  return packer.finish();
}

Result<Datagram> read_datagram(ByteView datagram) {
  Unpacker from(datagram, Order::big);
  from.constant(magic, ErrorCode::bad_magic);
  const std::uint32_t number = from.take<std::uint32_t>();
  const Version version = number == number_of(Version::v3) ? Version::v3 : Version::v4;
  const bool is_known = number == number_of(version) && from.take<std::uint8_t>() == form;
  if (!is_known) from.fail(ErrorCode::bad_version);
  if (from.take<std::uint16_t>() != wrapped_key_size) from.fail(ErrorCode::bad_length);
  const ByteView nonce = from.bytes(nonce_size);
  const std::size_t size = from.take<std::uint32_t>();
  if (size > max_body_size) from.fail(ErrorCode::bad_length);
  const ByteView wrapped = from.bytes(wrapped_key_size);
  const ByteView sealed = from.bytes(size + seal_size);
  const Result<bool> whole = from.finish(true);
  if (!whole) return whole.error();
  return Datagram{
      .header = {.version = version, .nonce = nonce.first<nonce_size>(), .ciphertext_size = size},
      .additional_data = datagram.first(header_size),
      .wrapped_key = wrapped,
      .sealed = sealed};
}

Result<Reply> read_reply(ByteView payload) {
  Unpacker from(payload, Order::big);
  const Reply reply{.status = from.take<std::uint8_t>(),
                    .request_action = from.take<std::uint8_t>(),
                    .flags = from.take<std::uint8_t>(),
                    .text = from.rest()};
  if (!from.ok()) return ErrorCode::truncated;
  return reply;
}

Status check_time(std::uint32_t timestamp_s, const Rules& rules) {
  const std::uint32_t apart_s =
      std::max(timestamp_s, rules.now_s) - std::min(timestamp_s, rules.now_s);
  if (apart_s > rules.window_s) return ErrorCode::stale;
  return {};
}

Result<Fields> verify(Version version, ByteView packet, ByteView key, const Rules& rules) {
  const Result<Packet> read = read_packet(version, packet);
  if (!read) return read.error();
  const Result<Hash> hashed = digest(read->fields);
  if (!hashed) return hashed.error();
  if (!verify_hmac_sha256(key, *hashed, read->tag)) return ErrorCode::bad_signature;
  const Status timely = check_time(read->fields.timestamp_s, rules);
  if (!timely) return timely.error();
  return read->fields;
}

}  // namespace countersign::knock
