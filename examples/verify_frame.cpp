// SPDX-License-Identifier: MIT
// Reads an answer's frame from standard input and verifies it: verify_frame LABEL KEY_ID KEY_IN_HEX
// REQUEST_ID < frame
#include <countersign/response.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace cs = countersign;

int main(int argc, char** argv) {
  if (argc != 5 || std::string(argv[3]).size() != 64) {
    std::fprintf(stderr, "usage: verify_frame LABEL KEY_ID KEY_IN_HEX REQUEST_ID < frame\n");
    return 2;
  }
  std::uint8_t public_key[cs::ed25519_key_size];
  for (int at = 0; at < 32; ++at) {
    const std::string digits(argv[3] + 2 * at, 2);
    public_key[at] = static_cast<std::uint8_t>(std::strtoul(digits.c_str(), nullptr, 16));
  }
  std::vector<std::uint8_t> frame;
  for (int byte = std::getchar(); byte != EOF; byte = std::getchar())
    frame.push_back(static_cast<std::uint8_t>(byte));

  const cs::ServerKey key{argv[2], cs::TrustedKey(public_key)};
  const auto opened =
      cs::open_response(frame, {.label = argv[1], .trust = {{&key, 1}}, .request_id = argv[4]});
  if (!opened) {
    const cs::ErrorInfo& error = cs::error_info(opened.error());
    std::fprintf(stderr, "refused at %s: %s\n", cs::stage_name(error.stage).data(),
                 error.message.data());
    return 1;
  }
  std::fwrite(opened->payload.data(), 1, opened->payload.size(), stdout);
}
