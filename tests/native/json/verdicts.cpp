// SPDX-License-Identifier: MIT
// Judges the events on its input, one a line, and prints a verdict for each: verdicts KEY MODE
#include <iostream>

#include "countersign/json/stats_event.hpp"

namespace cs = countersign;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ios::sync_with_stdio(false);
  const auto key = cs::StatsKey::import(cs::bytes_of(argv[1]));
  const std::string_view name = argv[2];
  if (!key) return 2;
  const cs::StatsMode mode = name == "compatible" ? cs::StatsMode::compatible
                             : name == "covered"  ? cs::StatsMode::covered
                                                  : cs::StatsMode::strict;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << cs::verdict_name(cs::verify_stats_event(line, *key, mode)) << '\n';
  }
  return 0;
}
