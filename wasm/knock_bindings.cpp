// SPDX-License-Identifier: MIT
// countersign-knock.wasm: what js/profiles/knock/core.ts can call, in a file of its own so that
// only who knocks downloads it. The border to JavaScript is that of bindings.cpp: numbers only, no
// logic.

#include "countersign/knock.hpp"
#include "countersign/rsa.hpp"
#include "embind.hpp"
#include "io.hpp"

namespace countersign::wasm {

namespace {

knock::Fields fields(unsigned version, unsigned timestamp_s, unsigned user, unsigned action,
                     unsigned challenge, ByteView payload) {
  return {.version = static_cast<knock::Version>(version),
          .timestamp_s = timestamp_s,
          .user_id = static_cast<std::uint16_t>(user),
          .action_id = static_cast<std::uint8_t>(action),
          .challenge = challenge,
          .payload = payload};
}

int knock_digest(unsigned version, unsigned timestamp_s, unsigned user, unsigned action,
                 unsigned challenge, unsigned payload) {
  const auto hashed = knock::digest(
      fields(version, timestamp_s, user, action, challenge, Arguments().bytes(payload)));
  return hashed ? done(*hashed) : done(hashed.error());
}
int knock_packet(unsigned version, unsigned timestamp_s, unsigned user, unsigned action,
                 unsigned challenge, unsigned payload) {
  Arguments in;
  const auto tag = in.fixed<hash_size>();
  return done(knock::write_packet(
      fields(version, timestamp_s, user, action, challenge, in.bytes(payload)), tag, out));
}

// Version 0 asks for whichever it is. Leaves the digest in out and gives its size.
int knock_read(unsigned version, unsigned size) {
  const ByteView packet = Arguments().bytes(size);
  const knock::Version told =
      version == 0 ? knock::version_of(packet) : static_cast<knock::Version>(version);
  const auto read = knock::read_packet(told, packet);
  if (!read) return done(read.error());
  const knock::Fields& f = read->fields;
  Table()
      .number(static_cast<unsigned>(f.version))
      .number(f.timestamp_s)
      .number(f.user_id)
      .number(f.action_id)
      .number(f.challenge)
      .slice(f.payload)
      .slice(read->tag);
  const auto hashed = knock::digest(f);
  return hashed ? done(*hashed) : done(hashed.error());
}

int knock_header(unsigned version, unsigned ciphertext_size) {
  Arguments in;
  return done(knock::write_header({.version = static_cast<knock::Version>(version),
                                   .nonce = in.fixed<knock::nonce_size>(),
                                   .ciphertext_size = ciphertext_size},
                                  out));
}
int knock_datagram(unsigned size) {
  const auto read = knock::read_datagram(Arguments().bytes(size));
  if (!read) return done(read.error());
  Table()
      .number(static_cast<unsigned>(read->header.version))
      .slice(read->header.nonce)
      .slice(read->additional_data)
      .slice(read->wrapped_key)
      .slice(read->sealed);
  return 0;
}
int knock_reply(unsigned size) {
  const auto reply = knock::read_reply(Arguments().bytes(size));
  if (!reply) return done(reply.error());
  Table()
      .number(reply->status)
      .number(reply->request_action)
      .number(reply->flags)
      .slice(reply->text);
  return 0;
}

// Gives the size of a block.
int rsa_public(unsigned der) {
  const auto key = read_rsa_public_key(Arguments().bytes(der));
  return key ? static_cast<int>(key->size()) : done(key.error());
}
int rsa_private(unsigned der) {
  const auto key = read_rsa_private_key(Arguments().bytes(der));
  return key ? static_cast<int>(key->size()) : done(key.error());
}
int rsa_seal(unsigned der, unsigned message, unsigned padding) {
  Arguments in;
  const auto key = read_rsa_public_key(in.bytes(der));
  if (!key) return done(key.error());
  const ByteView text = in.bytes(message);
  return done(rsa_encrypt(*key, text, in.bytes(padding), out));
}
// Leaves message bytes in out, whatever they are; gives 1 where they were a message of this size.
int rsa_open(unsigned der, unsigned ciphertext, unsigned message) {
  Arguments in;
  const auto key = read_rsa_private_key(in.bytes(der));
  if (!key) return done(key.error());
  const ByteView block = in.bytes(ciphertext);
  return static_cast<int>(rsa_decrypt(*key, block, Buffer(out).first(message)));
}
int wipe_out() {
  wipe(out);
  return 0;
}

}  // namespace

EMSCRIPTEN_BINDINGS(countersign_knock) {
  using emscripten::function;
  declare_border();

  function("knock_digest", &knock_digest);
  function("knock_packet", &knock_packet);
  function("knock_read", &knock_read);
  function("knock_header", &knock_header);
  function("knock_datagram", &knock_datagram);
  function("knock_reply", &knock_reply);
  function("rsa_public", &rsa_public);
  function("rsa_private", &rsa_private);
  function("rsa_seal", &rsa_seal);
  function("rsa_open", &rsa_open);
  function("wipe_out", &wipe_out);
}

}  // namespace countersign::wasm
