// SPDX-License-Identifier: MIT
// Verifies an answer and prints its payload: cat server-key.bin answer.frame | verify_frame LABEL
// REQUEST_ID
#include <countersign/response.hpp>
#include <iostream>
#include <iterator>

namespace cs = countersign;

int main(int argc, char** argv) {
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  cs::Reader reader(cs::bytes_of(input));
  const cs::ByteView key = reader.bytes(cs::ed25519_key_size);
  if (argc != 3 || !reader.ok()) return 2;

  const cs::ServerKey trusted{"", cs::TrustedKey(key.first<cs::ed25519_key_size>())};
  const cs::ServerTrust trust{.keys = {&trusted, 1}, .any_key = true};
  const auto answer =
      cs::open_response(reader.rest(), {.label = argv[1], .trust = trust, .request_id = argv[2]});
  if (answer) std::cout << cs::text_of(answer->payload);
  if (!answer) std::cerr << cs::error_info(answer.error()).message << '\n';
  return answer ? 0 : 1;
}
