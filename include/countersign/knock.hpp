// SPDX-License-Identifier: MIT
// siglatch knock packets, versions 1 to 4 (docs/profiles/knock.md): what is hashed, the packet
// around it, the header of the hybrid versions, and the reply inside a payload.
//
// The tag is HMAC-SHA256 of digest(): the host's key makes it between begin and finish, so that it
// never has to be here. Versions 1 and 2 are packets of one RSA block; 3 and 4 are a body under
// AES-256-GCM whose key travels in an RSA block.
#pragma once

#include "countersign/sha256.hpp"

namespace countersign::knock {

/// Version is that of a packet, and the number in front of it.
enum class Version : std::uint8_t { v1 = 1, v2 = 2, v3 = 3, v4 = 4 };

[[nodiscard]] constexpr bool is_hybrid(Version version) {
  return version >= Version::v3;
}

inline constexpr std::size_t packet_size = 245;  // versions 1 and 2
inline constexpr std::size_t max_payload_size = 199;
inline constexpr std::size_t max_payload_size_v2 = 191;
inline constexpr std::size_t content_key_size = 32;
inline constexpr std::size_t nonce_size = 12;
inline constexpr std::size_t seal_size = 16;  // of AES-GCM
inline constexpr std::size_t header_size = 27;
inline constexpr std::size_t wrapped_key_size = 256;
/// max_body_size is the longest that write_packet makes: version 4's envelope, body and tag.
inline constexpr std::size_t max_body_size = 30 + 15 + max_payload_size + hash_size;
inline constexpr std::size_t max_datagram_size =
    header_size + wrapped_key_size + max_body_size + seal_size;

/// Fields is what a knock says; timestamp_s is in Unix seconds.
struct Fields {
  Version version;
  std::uint32_t timestamp_s;
  std::uint16_t user_id;
  std::uint8_t action_id;
  std::uint32_t challenge;
  ByteView payload;
};

/// digest gives what the tag is a MAC of; fails with payload_too_large.
Result<Hash> digest(const Fields& fields);

/// write_packet writes what is encrypted: 245 bytes, or the body of a hybrid version; fails with
/// payload_too_large or buffer_too_small.
Result<ByteView> write_packet(const Fields& fields, HashView tag,
                              Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// Packet is a decrypted packet after parsing; nothing of it has been verified.
struct Packet {
  Fields fields;
  HashView tag;
};

/// read_packet takes a decrypted packet of a version apart, to its last byte; fails with truncated,
/// trailing_bytes, bad_magic, bad_version or bad_length. Zeros after the payload are the sender's
/// business: the tag does not cover them.
Result<Packet> read_packet(Version version, ByteView packet COUNTERSIGN_LIFETIMEBOUND);

/// version_of tells which version a decrypted packet can only be by its first bytes (but for bodies
/// of 1970 and 2014); whether it is one is read_packet's to say.
Version version_of(ByteView packet);

/// Header is the front of a hybrid datagram, also the additional data of its encryption.
struct Header {
  Version version;
  std::span<const std::uint8_t, nonce_size> nonce;
  std::size_t ciphertext_size;
};

/// write_header writes the 27 bytes; fails with invalid_argument for a version without one, or
/// with buffer_too_small.
Result<ByteView> write_header(const Header& header, Buffer buffer COUNTERSIGN_LIFETIMEBOUND);

/// Datagram is a hybrid datagram taken apart; views into it.
struct Datagram {
  Header header;
  ByteView additional_data;
  ByteView wrapped_key;
  /// The ciphertext with its seal behind it, as AES-GCM implementations take it.
  ByteView sealed;
};

/// read_datagram takes a hybrid datagram apart, to its last byte; fails with truncated,
/// trailing_bytes, bad_magic, bad_version or bad_length.
Result<Datagram> read_datagram(ByteView datagram COUNTERSIGN_LIFETIMEBOUND);

/// Reply is what a daemon's payload says. A refusal has no reply: it is silence.
struct Reply {
  std::uint8_t status;
  std::uint8_t request_action;
  std::uint8_t flags;
  ByteView text;
};

/// read_reply takes a reply's payload apart; fails with truncated.
Result<Reply> read_reply(ByteView payload COUNTERSIGN_LIFETIMEBOUND);

/// Rules is what verify asks of a packet; the window is inclusive.
struct Rules {
  std::uint32_t now_s;
  std::uint32_t window_s = 300;
};

/// check_time passes timestamps within the window; fails with stale.
Status check_time(std::uint32_t timestamp_s, const Rules& rules);

/// verify checks tag (constant time) and time of a decrypted packet, in this order, and gives its
/// fields; fails as read_packet does, with bad_signature, or with stale. That a nonce is new is for
/// whoever keeps them.
Result<Fields> verify(Version version, ByteView packet COUNTERSIGN_LIFETIMEBOUND, ByteView key,
                      const Rules& rules);

}  // namespace countersign::knock
