// SPDX-License-Identifier: MIT
// Verifies a StatsCode event: cat event.json | verify_stats_event DEVICE.KEY
// compatible|covered|strict
#include <countersign/json/stats_event.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

namespace cs = countersign;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string secret{std::istreambuf_iterator<char>(file), {}};
  const std::string event{std::istreambuf_iterator<char>(std::cin), {}};
  const std::string_view name = argv[2];
  const auto key = cs::StatsKey::import(cs::bytes_of(secret));
  if (!key) return 2;

  const cs::StatsMode mode = name == "compatible" ? cs::StatsMode::compatible
                             : name == "covered"  ? cs::StatsMode::covered
                                                  : cs::StatsMode::strict;
  const cs::StatsVerdict verdict = cs::verify_stats_event(event, *key, mode);
  std::cout << cs::verdict_name(verdict) << '\n';
  return verdict == cs::StatsVerdict::ok ? 0 : 1;
}
