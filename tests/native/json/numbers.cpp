// SPDX-License-Identifier: MIT
// Prints the finite doubles on its input (8 bytes each, little-endian), a line each; `read` instead
// reads such lines and writes the doubles.
#include <bit>
#include <cstdint>
#include <iostream>
#include <string>

#include "countersign/json/number.hpp"

namespace json = countersign::json;

namespace {

int read_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto number = json::read_number(line);
    if (!number) return 1;
    const auto bits = std::bit_cast<std::uint64_t>(*number);
    for (unsigned shift = 0; shift < 64; shift += 8)
      std::cout.put(static_cast<char>(bits >> shift));
  }
  return 0;
}

}  // namespace

int main(int argc, char**) {
  std::ios::sync_with_stdio(false);
  if (argc > 1) return read_lines();
  std::string out;
  char bytes[8];
  while (std::cin.read(bytes, sizeof bytes)) {
    std::uint64_t bits = 0;
    for (unsigned at = 8; at-- > 0;) bits = bits << 8 | static_cast<std::uint8_t>(bytes[at]);
    json::append_number(out, std::bit_cast<double>(bits));
    out += '\n';
    std::cout << out;
    out.clear();
  }
  return 0;
}
