// SPDX-License-Identifier: MIT
#include "countersign/rsa.hpp"

#include <bearssl.h>

#include <algorithm>
#include <bit>

#include "stack.hpp"

namespace countersign {

namespace {

constexpr std::uint8_t tag_integer = 0x02;
constexpr std::uint8_t tag_bits = 0x03;
constexpr std::uint8_t tag_octets = 0x04;
constexpr std::uint8_t tag_sequence = 0x30;

// AlgorithmIdentifier: rsaEncryption, with the NULL parameters that RFC 3279 demands.
constexpr std::uint8_t rsa_encryption[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                           0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
constexpr std::uint8_t zero[] = {0x00};
/// The bytes of a block that are neither padding nor message.
constexpr std::size_t marks_size = 3;
/// What BearSSL's operations on the largest keys need of the stack, and as much again.
constexpr std::size_t arithmetic_size = 8192;

/// Der takes one value after another from DER, in the one encoding that DER allows.
class Der {
 public:
  explicit Der(ByteView bytes) : reader_(bytes) {}

  ByteView value(std::uint8_t tag) {
    const ByteView found = reader_.bytes(1);
    if (found.empty() || found.front() != tag) reader_.fail(ErrorCode::bad_rsa_key);
    return reader_.bytes(length());
  }
  Der inner(std::uint8_t tag) { return Der(value(tag)); }
  /// integer takes a number that is not negative, without its leading zero.
  ByteView integer() {
    const ByteView bytes = value(tag_integer);
    const bool is_padded = bytes.size() > 1 && bytes[0] == 0;
    const bool is_sound = !bytes.empty() && bytes[0] < 0x80 && !(is_padded && bytes[1] < 0x80);
    if (!is_sound) reader_.fail(ErrorCode::bad_rsa_key);
    return is_padded ? bytes.subspan(1) : bytes;
  }
  /// constant takes exactly these bytes.
  void constant(std::uint8_t tag, ByteView wanted) {
    if (!is_equal(value(tag), wanted)) reader_.fail(ErrorCode::bad_rsa_key);
  }

  bool ok() const { return reader_.ok(); }
  bool is_done() const { return reader_.ok() && reader_.rest().empty(); }

 private:
  std::size_t length() {
    const ByteView first = reader_.bytes(1);
    if (first.empty()) return 0;
    if (first.front() < 0x80) return first.front();
    // Two bytes of length are more than the largest key needs.
    const std::size_t count = first.front() & 0x7f;
    std::size_t size = 0;
    if (count >= 1 && count <= 2) {
      for (const std::uint8_t byte : reader_.bytes(count)) size = size << 8 | byte;
    }
    if (size < 0x80 || (count == 2 && size < 0x100)) reader_.fail(ErrorCode::bad_rsa_key);
    return size;
  }

  Reader reader_;
};

std::size_t bits_of(ByteView number) {
  if (number.empty()) return 0;
  return number.size() * 8 - static_cast<std::size_t>(std::countl_zero(number.front()));
}

bool is_odd(ByteView number) {
  return !number.empty() && number.back() % 2 == 1;
}

bool is_rsa_size(std::size_t bits) {
  return bits >= min_rsa_bits && bits <= max_rsa_bits;
}

/// is_number says whether bytes are a number above zero without leading zeros.
bool is_number(ByteView bytes) {
  return !bytes.empty() && bytes.front() != 0;
}

bool is_less(ByteView left, ByteView right) {
  if (left.size() != right.size()) return left.size() < right.size();
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
}

/// is_sound says whether a key is one that encrypts: BearSSL leaves a block as it is where the
/// modulus has another size than the block, and computes nonsense where it is even.
bool is_sound(const RsaPublicKey& key) {
  constexpr std::uint8_t one[] = {1};
  return is_number(key.modulus) && is_odd(key.modulus) && is_rsa_size(bits_of(key.modulus)) &&
         is_number(key.exponent) && is_odd(key.exponent) && is_less(one, key.exponent) &&
         is_less(key.exponent, key.modulus);
}

/// is_sound says whether a key's numbers fit BearSSL's buffers and one another in size. A product
/// has as many bits as its factors together, or one less.
bool is_sound(const RsaPrivateKey& key) {
  const std::size_t together = bits_of(key.p) + bits_of(key.q);
  return is_rsa_size(key.bits) && key.bits % 8 == 0 && is_number(key.p) && is_odd(key.p) &&
         is_number(key.q) && is_odd(key.q) && key.p.size() <= max_rsa_size / 2 &&
         key.q.size() <= max_rsa_size / 2 && (together == key.bits || together == key.bits + 1) &&
         is_number(key.dp) && key.dp.size() <= key.p.size() && is_number(key.dq) &&
         key.dq.size() <= key.q.size() && is_number(key.iq) && key.iq.size() <= key.p.size();
}

/// not_zero is 1 for every byte but 0, without a branch.
std::uint32_t not_zero(std::uint8_t byte) {
  return (static_cast<std::uint32_t>(byte) + 0xff) >> 8;
}

// BearSSL does not write to what these point to.
unsigned char* mutable_bytes(ByteView bytes) {
  return const_cast<unsigned char*>(bytes.data());
}

// BearSSL's variables lie below the frames of these two, where wipe_stack finds them. A linker that
// made BearSSL a part of rsa_encrypt or rsa_decrypt would put them above.
[[gnu::noinline]] std::uint32_t run_public(Buffer block, const br_rsa_public_key& key) {
  return br_rsa_i31_public(block.data(), block.size(), &key);
}
[[gnu::noinline]] std::uint32_t run_private(Buffer block, const br_rsa_private_key& key) {
  return br_rsa_i31_private(block.data(), &key);
}

}  // namespace

Result<RsaPublicKey> read_rsa_public_key(ByteView der) {
  Der outer(der);
  Der info = outer.inner(tag_sequence);
  info.constant(tag_sequence, rsa_encryption);
  const ByteView bits = info.value(tag_bits);
  // No unused bits.
  if (!outer.is_done() || !info.is_done() || bits.empty() || bits.front() != 0) {
    return ErrorCode::bad_rsa_key;
  }
  Der key_bits(bits.subspan(1));
  Der numbers = key_bits.inner(tag_sequence);
  const RsaPublicKey key{.modulus = numbers.integer(), .exponent = numbers.integer()};
  if (!key_bits.is_done() || !numbers.is_done()) return ErrorCode::bad_rsa_key;
  if (!is_sound(key)) return ErrorCode::bad_rsa_key;
  return key;
}

std::size_t rsa_padding_size(const RsaPublicKey& key, std::size_t message_size) {
  const std::size_t size = key.size();
  if (size < marks_size + min_rsa_padding) return 0;
  if (message_size > size - marks_size - min_rsa_padding) return 0;
  return size - marks_size - message_size;
}

Result<ByteView> rsa_encrypt(const RsaPublicKey& key, ByteView message, ByteView padding,
                             Buffer buffer) {
  if (!is_sound(key)) return ErrorCode::bad_rsa_key;
  const std::size_t padding_size = rsa_padding_size(key, message.size());
  if (padding_size == 0) return ErrorCode::payload_too_large;
  std::uint32_t nonzero = 1;
  for (const std::uint8_t byte : padding) nonzero &= not_zero(byte);
  if (padding.size() != padding_size || nonzero != 1) return ErrorCode::invalid_argument;
  // Before the first byte of the message is written.
  if (buffer.size() < key.size()) return ErrorCode::buffer_too_small;
  constexpr std::uint8_t start[] = {0x00, 0x02};
  Writer writer(buffer);
  writer.bytes(start);
  writer.bytes(padding);
  writer.bytes(zero);
  writer.bytes(message);
  const Buffer block = buffer.first(writer.position());
  const br_rsa_public_key numbers{.n = mutable_bytes(key.modulus),
                                  .nlen = key.modulus.size(),
                                  .e = mutable_bytes(key.exponent),
                                  .elen = key.exponent.size()};
  const std::uint32_t done = run_public(block, numbers);
  wipe_stack<arithmetic_size>();
  // A sound key and a block that begins with zero make it 1. Were it 0, the message would still
  // stand there: zeros go out then, without a branch on what came of the message.
  for (std::uint8_t& byte : block) byte &= static_cast<std::uint8_t>(0 - done);
  return ByteView(block);
}

Result<RsaPrivateKey> read_rsa_private_key(ByteView der) {
  Der outer(der);
  Der info = outer.inner(tag_sequence);
  info.constant(tag_integer, zero);
  info.constant(tag_sequence, rsa_encryption);
  Der octets = info.inner(tag_octets);
  Der numbers = octets.inner(tag_sequence);
  numbers.constant(tag_integer, zero);
  const ByteView modulus = numbers.integer();
  numbers.integer();
  numbers.integer();
  const RsaPrivateKey key{.bits = bits_of(modulus),
                          .p = numbers.integer(),
                          .q = numbers.integer(),
                          .dp = numbers.integer(),
                          .dq = numbers.integer(),
                          .iq = numbers.integer()};
  const bool is_whole = outer.is_done() && info.is_done() && octets.is_done() && numbers.is_done();
  if (!is_whole || !is_odd(modulus) || !is_sound(key)) return ErrorCode::bad_rsa_key;
  return key;
}

bool rsa_decrypt(const RsaPrivateKey& key, ByteView ciphertext, Buffer message) {
  const std::size_t size = key.size();
  // Sizes are no secret.
  if (!is_sound(key) || ciphertext.size() != size) return false;
  if (message.size() > size - marks_size - min_rsa_padding) return false;
  std::array<std::uint8_t, max_rsa_size> memory;
  const Buffer block = Buffer(memory).first(size);
  std::copy(ciphertext.begin(), ciphertext.end(), block.begin());
  const br_rsa_private_key numbers{.n_bitlen = static_cast<std::uint32_t>(key.bits),
                                   .p = mutable_bytes(key.p),
                                   .plen = key.p.size(),
                                   .q = mutable_bytes(key.q),
                                   .qlen = key.q.size(),
                                   .dp = mutable_bytes(key.dp),
                                   .dplen = key.dp.size(),
                                   .dq = mutable_bytes(key.dq),
                                   .dqlen = key.dq.size(),
                                   .iq = mutable_bytes(key.iq),
                                   .iqlen = key.iq.size()};
  std::uint32_t good = run_private(block, numbers);
  wipe_stack<arithmetic_size>();
  const std::size_t mark = size - message.size() - 1;
  good &= 1 ^ not_zero(block[0]);
  good &= 1 ^ not_zero(block[1] ^ 0x02);
  for (const std::uint8_t byte : block.subspan(2, mark - 2)) good &= not_zero(byte);
  good &= 1 ^ not_zero(block[mark]);
  const ByteView tail = block.last(message.size());
  std::copy(tail.begin(), tail.end(), message.begin());
  wipe(block);
  return good == 1;
}

}  // namespace countersign
