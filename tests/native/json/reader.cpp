// SPDX-License-Identifier: MIT
// Reads the bodies on its input, each behind its size (4 bytes, little-endian), and prints a line
// for each: its canonical JSON, or `-` where it is not strict JSON.
#include <cstdint>
#include <iostream>
#include <string>

#include "countersign/json/canonical.hpp"

int main() {
  std::ios::sync_with_stdio(false);
  std::string body;
  unsigned char head[4];
  while (std::cin.read(reinterpret_cast<char*>(head), sizeof head)) {
    std::uint32_t size = 0;
    for (unsigned at = sizeof head; at-- > 0;) size = size << 8 | head[at];
    body.resize(size);
    std::cin.read(body.data(), static_cast<std::streamsize>(size));
    const auto canonical = countersign::json::canonical_json(body);
    std::cout << (canonical ? *canonical : "-") << '\n';
  }
  return 0;
}
